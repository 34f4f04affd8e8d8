#!/bin/sh
# Starts what `make dev` starts, runs the commands it prints, and ends it.
# usage: dev_smoke.sh DEV
set -eu
DEV=$1
export DEV

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
make --no-print-directory dev DEV="$DEV" PORT="$port"
trap 'make --no-print-directory dev-stop DEV="$DEV"' EXIT
. "$DEV/env"

# The commands are the indented lines.
command() {
    sed -n 's/^  //p' "$DEV/try.txt" | sed -n "$1p"
}

expect() {
    run=$(command "$1")
    echo "\$ $run"
    if output=$(eval "$run" 2>&1); then
        outcome=allowed
    else
        outcome=refused
    fi
    echo "$output"
    if [ "$outcome" != "$2" ] || ! echo "$output" | grep -q "$3"; then
        echo "expected: $2, with \"$3\" in it" >&2
        exit 1
    fi
}

expect 1 allowed '^credential '
expect 2 refused 'Code: 403'
expect 3 allowed '"keys"'
expect 4 allowed 'That was the story'
expect 5 allowed 'audit log says of the read'
expect 6 allowed 'desk-agent'
[ -z "$(command 7)" ]
