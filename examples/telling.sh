# How the examples tell what they do: each command is shown, run, and held to
# what it should come to. For `. telling.sh`.

as() {
    BAO_TOKEN=$1
    VAULT_TOKEN=$1
    export BAO_TOKEN VAULT_TOKEN
}

say() {
    printf '\n# %s\n' "$*"
}

quietly() {
    "$@" >/dev/null
}

# Runs a command that must succeed, or be refused, and keeps what it said.
run() {
    show "$@"
    if ! output=$("$@" 2>&1); then
        echo "$output"
        echo "this should have succeeded" >&2
        exit 1
    fi
    echo "$output"
}

refuse() {
    show "$@"
    if output=$("$@" 2>&1); then
        echo "$output"
        echo "this should have been refused" >&2
        exit 1
    fi
    echo "$output"
}

show() {
    shift
    printf '$ bao'
    for word in "$@"; do
        case $word in
        *=eyJ*) printf ' %s…' "${word%%=eyJ*}=eyJ" ;;
        *[!a-zA-Z0-9_=/.:-]*) printf " '%s'" "$word" ;;
        *) printf ' %s' "$word" ;;
        esac
    done
    echo
}

expect() {
    if ! printf '%s' "$output" | grep -q -- "$1"; then
        echo "expected \"$1\" in it" >&2
        exit 1
    fi
}

field() {
    printf '%s' "$output" | python3 -c "import json, sys; print(json.load(sys.stdin)['data']['$1'])"
}

# What a token says; who verifies it uses a library.
claims() {
    output=$(printf '%s' "$1" | python3 -c '
import base64, json, sys
part = sys.stdin.read().split(".")[1]
claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
print(json.dumps(claims, indent=2, ensure_ascii=False))')
    echo "$output"
}
