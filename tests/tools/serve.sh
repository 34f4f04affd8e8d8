#!/bin/sh
# Runs a server for as long as stdin is open, and then ends it, by its own pid.
# So it ends with the process that started it, however that one ends.
#
# usage: serve.sh LOG SCRATCH COMMAND...
# Prints the server's pid. SCRATCH, if not empty, is removed at the end.
set -u
log=$1
scratch=$2
shift 2

trap '' INT
"$@" >>"$log" 2>&1 </dev/null &
pid=$!
echo "$pid"

read -r _

kill "$pid" 2>/dev/null
for _ in $(seq 100); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
done
kill -9 "$pid" 2>/dev/null
wait "$pid" 2>/dev/null
if [ -n "$scratch" ]; then
    rm -rf "$scratch"
fi
