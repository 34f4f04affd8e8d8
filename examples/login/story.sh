#!/bin/sh
# An agent without any token proves who it is, names one request, and gets a
# token of the server that can do just that, once. By the command line, against
# a server with the plugin in it, such as the one of `make dev`.
#
# BAO_ADDR, BAO_TOKEN   the server, and a token that may set things up; or
#                       VAULT_ADDR, VAULT_TOKEN
# MOUNT                 an auth mount of the plugin; default auth/agentic
# BAO                   the server's command line; default bao
# PYTHON                a Python with PyJWT; default that of `make python-tools`
# TOOLS                 where `make` installs tools; default target/tools
# AUDIT_LOG             the server's audit log, if it can be read
set -eu

here=$(cd "$(dirname "$0")" && pwd)
mount=${MOUNT:-auth/agentic}
bao=${BAO:-bao}
python=${PYTHON:-${TOOLS:-$here/../../target/tools}/venv/bin/python}
operator=${BAO_TOKEN:-$VAULT_TOKEN}
address=${BAO_ADDR:-$VAULT_ADDR}
unset BAO_FORMAT VAULT_FORMAT
. "$here/../telling.sh"

tag=$(echo "$mount" | tr '/' '-')
secrets=orders-$tag
keys=$(mktemp -d)
trap 'rm -rf "$keys"' EXIT

main() {
    set_up
    story
    if [ -n "${AUDIT_LOG:-}" ]; then
        audited
    fi
    say "That was the story: proven, decided, used once, and told."
}

story() {
    wait_for_mount
    say "The agent has no token. It signs who it is, and asks to read one order."
    as ""
    sign
    run "$bao" write -field=token "$mount/login" jwt="$assertion" \
        target=orders action=read resource=42 reason="ticket 1234"
    token=$output

    say "What it signed is taken once."
    refuse "$bao" write "$mount/login" jwt="$assertion" target=orders action=read resource=42
    expect token.spent

    say "The token reads the order, and is used up."
    as "$token"
    run "$bao" read "$secrets/42"
    expect 'blue kettle'
    refuse "$bao" read "$secrets/42"

    say "It opens nothing else."
    as ""
    sign
    run "$bao" write -field=token "$mount/login" jwt="$assertion" target=orders action=read resource=42
    as "$output"
    refuse "$bao" read "$secrets/43"

    say "What its ceiling does not allow, it gets no token for."
    as ""
    sign
    refuse "$bao" write "$mount/login" jwt="$assertion" target=orders action=delete resource=42
    expect ceiling.none_applies
}

# The entry of the read itself, in the server's own audit log.
audited() {
    say "The server's audit log says of the read itself who it was, and by which decision."
    output=$("$python" - "$AUDIT_LOG" "$secrets/42" <<'PYTHON'
import json, sys
for line in open(sys.argv[1]):
    entry = json.loads(line)
    if entry["type"] == "response" and entry["request"]["path"] == sys.argv[2] and "agent" in entry["auth"].get("metadata", {}):
        print(json.dumps({"path": entry["request"]["path"], "metadata": entry["auth"]["metadata"]}, indent=2))
        break
PYTHON
    )
    echo "$output"
    expect '"agent": "orders-agent"'
    expect '"decision_id"'
}

# A fresh assertion by the agent's own key.
sign() {
    assertion=$("$python" "$here/assertion.py" sign "$keys/agent.pem" orders-agent "$address/v1/$mount")
}

# A mount that has just been made takes no assertion that a clock which runs
# ahead could have made before: for about half a minute.
wait_for_mount() {
    as ""
    for _ in $(seq 60); do
        sign
        if ! "$bao" write "$mount/login" jwt="$assertion" target=orders action=delete resource=42 2>&1 |
            grep -q token.spent; then
            return
        fi
        sleep 1
    done
}

# The operator's part: a secret, a target with the policy that its tokens carry,
# and the agent with its public key.
set_up() {
    as "$operator"
    "$bao" secrets enable -path="$secrets" kv >/dev/null 2>&1 || true
    quietly "$bao" write "$secrets/42" item="blue kettle"
    quietly "$bao" write "$secrets/43" item="red kettle"
    if [ -z "$("$bao" read -field=issuer "$mount/config")" ]; then
        quietly "$bao" write "$mount/config" issuer="$address/v1/$mount"
    fi
    quietly "$bao" write "$mount/targets/orders" credential_type=vault_token actions=read,delete \
        resources='**' max_uses=1 max_ttl=1m vault_policies="$secrets" \
        vault_paths="[{\"path\":\"$secrets/42\",\"capabilities\":[\"read\"]}]"
    "$bao" read -field=policy "$mount/targets/orders/acl" | quietly "$bao" policy write "$secrets" -
    quietly "$bao" write "$mount/policies/orders" policy=- <<'HCL'
rule "read orders" {
  effect  = "allow"
  targets = ["orders"]
  actions = ["read"]
}
HCL
    "$python" "$here/assertion.py" new "$keys/agent.pem" "$keys/agent.pub.pem"
    entity=$("$bao" read -field=id "identity/entity/name/$secrets" 2>/dev/null ||
        "$bao" write -field=id identity/entity name="$secrets")
    quietly "$bao" write "$mount/agents/orders-agent" entity_id="$entity" owner=you@example.com \
        ceiling_policies=orders public_keys=@"$keys/agent.pub.pem"
}

main
