#!/bin/sh
# An agent asks a human for authority, is told to get consent, gets less than it
# asked for, uses it, and loses it. By the command line, against a server with
# the plugin in it, such as the one of `make dev`.
#
# BAO_ADDR, BAO_TOKEN   the server, and a token that may set things up; or
#                       VAULT_ADDR, VAULT_TOKEN
# MOUNT                 where the plugin is mounted; default agentic
# BAO                   the server's command line; default bao
set -eu

mount=${MOUNT:-agentic}
bao=${BAO:-bao}
operator=${BAO_TOKEN:-$VAULT_TOKEN}
address=${BAO_ADDR:-$VAULT_ADDR}
unset BAO_FORMAT VAULT_FORMAT
. "$(dirname "$0")/../telling.sh"

# What the steps below need. Names carry that of the mount, so that two mounts
# of one server do not get in each other's way.
tag=$(echo "$mount" | tr '/' '-')
agents=agents-$tag
people=people-$tag

main() {
    set_up
    story
    single_request
    say "That was the story: asked, narrowed, used, and revoked."
}

story() {
    say "The agent asks to act for Ada, and says what for."
    as "$agent_token"
    run "$bao" write -format=json "$mount/delegations/request" \
        subject_entity_id="$ada" purpose="Answer customers' questions" ttl=8h \
        scope='[{"type":"agentic:action","targets":["desk"],"actions":["read","delete"],"resources":["customers/**"]}]'
    expect '"status": "pending"'
    delegation=$(field id)

    say "Nobody has agreed yet, so it gets nothing."
    refuse "$bao" write "$mount/creds/issue" target=desk action=read resource=customers/42 \
        delegation_id="$delegation"
    expect delegation.pending

    say "Nobody else can agree: not the agent, and not a token without an identity."
    refuse "$bao" write -f "$mount/delegations/$delegation/approve"
    as "$operator"
    refuse "$bao" write -f "$mount/delegations/$delegation/approve"

    say "Ada sees in plain words what is asked of her."
    as "$ada_token"
    run "$bao" read "$mount/self"
    expect "$delegation"
    run "$bao" read -format=json "$mount/delegations/$delegation"
    expect 'asks to act for you'
    seen=$(field seen)

    say "An approval that does not bring back the word at the end of the question is none."
    refuse "$bao" write -f "$mount/delegations/$delegation/approve"
    expect seen

    say "She approves less: to read only, and for an hour. Her receipt is signed."
    run "$bao" write -format=json "$mount/delegations/$delegation/approve" seen="$seen" ttl=1h \
        scope='[{"type":"agentic:action","targets":["desk"],"actions":["read"],"resources":["customers/*"]}]'
    expect '"status": "active"'
    receipt=$(field receipt)
    claims "$receipt"
    expect '"text_sha256"'

    say "The agent gets a token in which Ada is the subject, and the agent the actor."
    as "$agent_token"
    run "$bao" write -format=json "$mount/creds/issue" target=desk action=read resource=customers/42 \
        delegation_id="$delegation" reason="ticket 1234"
    claims "$(field credential)"
    expect '"act"'
    expect "\"sub\": \"$ada\""

    say "What she left out, it cannot do."
    refuse "$bao" write "$mount/creds/issue" target=desk action=delete resource=customers/42 \
        delegation_id="$delegation"
    expect delegation.scope

    say "Ada takes it back, and the next request is denied for it."
    as "$ada_token"
    run "$bao" write "$mount/delegations/$delegation/revoke" reason="not today"
    as "$agent_token"
    refuse "$bao" write "$mount/creds/issue" target=desk action=read resource=customers/42 \
        delegation_id="$delegation"
    expect delegation.revoked
}

# A target that wants a yes to every single request.
single_request() {
    say "Without knowing who will answer, the agent gets a code to show."
    as "$agent_token"
    run "$bao" write -format=json "$mount/delegations/request" purpose="Pay invoices" \
        scope='[{"type":"agentic:action","targets":["bank"],"actions":["pay"],"resources":["invoices/*"]}]'
    delegation=$(field id)
    code=$(field user_code)
    as "$ada_token"
    run "$bao" read -format=json "$mount/delegations/code/$code"
    run "$bao" write -field=status "$mount/delegations/code/$code/approve" seen="$(field seen)"
    expect active

    say "The target wants Ada's yes to each payment."
    as "$agent_token"
    run "$bao" write -format=json "$mount/creds/issue" target=bank action=pay resource=invoices/7 \
        delegation_id="$delegation" reason="due today"
    expect '"outcome": "consent_required"'
    consent=$(field consent_id)
    as "$ada_token"
    run "$bao" read -format=json "$mount/consents/$consent"
    expect 'one credential'
    run "$bao" write -field=status "$mount/consents/$consent/approve" seen="$(field seen)"
    expect approved

    say "It pays this invoice, once, and no other."
    as "$agent_token"
    refuse "$bao" write "$mount/creds/issue" target=bank action=pay resource=invoices/8 \
        delegation_id="$delegation" consent_id="$consent" reason="due today"
    expect consent.mismatch
    run "$bao" write -field=outcome "$mount/creds/issue" target=bank action=pay resource=invoices/7 \
        delegation_id="$delegation" consent_id="$consent" reason="due today"
    expect allow
    refuse "$bao" write "$mount/creds/issue" target=bank action=pay resource=invoices/7 \
        delegation_id="$delegation" consent_id="$consent" reason="due today"
    expect consent.used
}

# The operator's part: who there is, what there is, and what the agent may do at
# most.
set_up() {
    as "$operator"
    for role in agent human; do
        sed "s|\"agentic/|\"$mount/|" "$(dirname "$0")/../acl/$role.hcl" |
            quietly "$bao" policy write "$role-$tag" -
    done
    if [ -z "$("$bao" read -field=issuer "$mount/config")" ]; then
        quietly "$bao" write "$mount/config" issuer="$address/v1/$mount"
    fi
    quietly "$bao" write "$mount/policies/desk" policy=- <<'HCL'
rule "desk" {
  effect  = "allow"
  targets = ["desk"]
}

rule "payments, each with a yes" {
  effect  = "allow"
  targets = ["bank"]
  consent = "per_request"
}
HCL
    quietly "$bao" write "$mount/targets/desk" actions=read,delete resources='customers/**' max_ttl=5m
    quietly "$bao" write "$mount/targets/bank" actions=pay resources='invoices/*' max_ttl=1m

    "$bao" auth enable -path="$agents" approle >/dev/null 2>&1 || true
    "$bao" auth enable -path="$people" userpass >/dev/null 2>&1 || true
    quietly "$bao" write "auth/$agents/role/desk-agent" token_policies="agent-$tag" token_ttl=1h
    quietly "$bao" write "auth/$people/users/ada" password=correct-horse token_policies="human-$tag" token_ttl=1h
    role=$("$bao" read -field=role_id "auth/$agents/role/desk-agent/role-id")
    secret=$("$bao" write -f -field=secret_id "auth/$agents/role/desk-agent/secret-id")
    agent_token=$("$bao" write -field=token "auth/$agents/login" role_id="$role" secret_id="$secret")
    ada_token=$("$bao" write -field=token "auth/$people/login/ada" password=correct-horse)
    agent=$(entity_of "$agent_token")
    ada=$(entity_of "$ada_token")
    quietly "$bao" write "$mount/agents/desk-agent" entity_id="$agent" owner=you@example.com \
        ceiling_policies=desk
    quietly "$bao" write "$mount/baselines/entity/$ada" policies=desk
}

entity_of() {
    BAO_TOKEN=$1 VAULT_TOKEN=$1 "$bao" token lookup -format=json |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["data"]["entity_id"])'
}

main
