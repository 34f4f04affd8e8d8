#!/bin/sh
# Starts an OpenBao server in development mode with the plugin in it, makes a
# small worked example, and says what to try. `make dev` and `make dev-stop`
# call this.
#
# usage: dev.sh start|stop
# DEV     where everything is kept
# BAO     the server's binary
# PLUGIN  the plugin's binary
# TOOL    `agentic`, which installs it
# PORT    the port on 127.0.0.1; without it 8200, or a free one if that is taken
set -eu

here=$(cd "$(dirname "$0")" && pwd)
pid_file=$DEV/bao.pid
log=$DEV/bao.log

main() {
    case ${1:-} in
    start) start ;;
    stop) stop ;;
    *)
        echo "usage: dev.sh start|stop" >&2
        exit 2
        ;;
    esac
}

start() {
    if running; then
        echo "A server is running already, with the pid $(cat "$pid_file"). End it with: make dev-stop" >&2
        exit 1
    fi
    mkdir -p "$DEV/plugins" "$DEV/tmp" "$DEV/bin"
    rm -f "$DEV"/plugins/vault-plugin-agentic-* "$DEV"/*.log
    ln -sfn "$BAO" "$DEV/bin/bao"
    ln -sfn "$PLUGIN" "$DEV/bin/vault-plugin-agentic"
    ln -sfn "$TOOL" "$DEV/bin/agentic"
    choose_port
    start_server
    trap 'stop >&2' EXIT
    wait_for_server
    install_plugin
    make_example
    trap - EXIT
    write_environment
    say_what_to_try
}

running() {
    [ -s "$pid_file" ] && pid=$(cat "$pid_file") &&
        tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qx -- "-config=$DEV/bao.hcl"
}

stop() {
    if ! running; then
        echo "No server of \`make dev\` is running."
        rm -f "$pid_file"
        return
    fi
    pid=$(cat "$pid_file")
    kill "$pid"
    tries=0
    while running && [ "$tries" -lt 100 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
    if running; then
        kill -9 "$pid"
    fi
    rm -f "$pid_file"
    echo "The server with the pid $pid has ended."
}

choose_port() {
    port=${PORT:-8200}
    if free "$port"; then
        return
    fi
    if [ -n "${PORT:-}" ]; then
        echo "Port $port on 127.0.0.1 is taken. Choose another: make dev PORT=18200" >&2
        exit 1
    fi
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    echo "Port 8200 on 127.0.0.1 is taken, so the server listens on $port."
}

free() {
    python3 - "$1" <<'PYTHON' 2>/dev/null
import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
PYTHON
}

start_server() {
    cat >"$DEV/bao.hcl" <<HCL
plugin_directory = "$DEV/plugins"
audit "file" "file" {
  options {
    file_path = "$DEV/audit.log"
  }
}
HCL
    # The server's own environment reaches every plugin, so it gets a small one.
    env -i PATH="$PATH" HOME="$DEV" TMPDIR="$DEV/tmp" \
        setsid "$BAO" server -dev -dev-no-store-token -dev-root-token-id=root \
        -dev-listen-address="127.0.0.1:$port" -config="$DEV/bao.hcl" \
        >"$log" 2>&1 </dev/null &
    echo $! >"$pid_file"
    BAO_ADDR=http://127.0.0.1:$port
    BAO_TOKEN=root
    HOME=$DEV
    PATH=$DEV/bin:$PATH
    export BAO_ADDR BAO_TOKEN HOME PATH
    unset VAULT_ADDR VAULT_TOKEN BAO_NAMESPACE VAULT_NAMESPACE BAO_FORMAT VAULT_FORMAT
}

wait_for_server() {
    tries=0
    until bao status >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ "$tries" -gt 150 ] || ! kill -0 "$(cat "$pid_file")" 2>/dev/null; then
            echo "The server did not start. The end of $log:" >&2
            tail -n 20 "$log" >&2
            exit 1
        fi
        sleep 0.2
    done
}

install_plugin() {
    # The server hashes the file at every start, so a small one is quicker.
    built=$DEV/vault-plugin-agentic
    strip -o "$built" "$PLUGIN" 2>/dev/null || cp "$PLUGIN" "$built"
    "$TOOL" register --binary "$built" --plugin-dir "$DEV/plugins"
}

# An agent that may read customers' records, and a target that offers more.
make_example() {
    echo
    echo "making an example: agent support-bot, target crm, policy crm-readers"
    {
        bao auth enable approle
        for role in "$here"/../acl/*.hcl; do
            bao policy write "agentic-$(basename "$role" .hcl)" "$role"
        done
        bao write agentic/config issuer="$BAO_ADDR/v1/agentic"
        bao write agentic/policies/crm-readers policy=@"$here/crm-readers.hcl"
        bao write agentic/targets/crm audience=https://crm.example.com \
            actions=read,delete resources='customers/**' default_ttl=60s max_ttl=5m
        bao write auth/approle/role/support-bot token_policies=agentic-agent token_ttl=8h
    } >>"$DEV/example.log"

    accessor=$(bao auth list -format=json | json '["approle/"]["accessor"]')
    role_id=$(bao read -field=role_id auth/approle/role/support-bot/role-id)
    entity_id=$(bao write -field=id identity/entity name=support-bot)
    {
        bao write identity/entity-alias name="$role_id" canonical_id="$entity_id" \
            mount_accessor="$accessor"
        bao write agentic/agents/register name=support-bot entity_id="$entity_id" \
            owner=you@example.com ceiling_policies=crm-readers delegation_modes=autonomous
    } >>"$DEV/example.log"

    secret_id=$(bao write -f -field=secret_id auth/approle/role/support-bot/secret-id)
    agent_token=$(bao write -field=token auth/approle/login role_id="$role_id" secret_id="$secret_id")
}

json() {
    python3 -c "import json, sys; print(json.load(sys.stdin)$1)"
}

# What the commands below need, also for scripts.
write_environment() {
    cat >"$DEV/env" <<ENV
export PATH="$DEV/bin:\$PATH"
export BAO_ADDR=$BAO_ADDR
export BAO_TOKEN=root
export AGENT_TOKEN=$agent_token
export AUDIT_LOG=$DEV/audit.log
export TOOLS=$(dirname "$BAO")
ENV
    cp "$here/try.txt" "$DEV/try.txt"
}

say_what_to_try() {
    cat <<TEXT

OpenBao listens on $BAO_ADDR, with the plugin at agentic/ and auth/agentic/.
The root token is "root". The log is in $log.
The ACL policies agentic-operator, -administrator, -auditor, -agent, -human,
-verifier, -scraper and -team-operator are those of examples/acl.

In this shell, first:

  . $DEV/env

TEXT
    cat "$DEV/try.txt"
    cat <<TEXT

End the server with:

  make dev-stop
TEXT
}

main "$@"
