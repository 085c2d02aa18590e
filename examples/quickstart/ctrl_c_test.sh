#!/usr/bin/env bash
# Ctrl-C while it runs: it ends by itself, soon, with exit code 130 and a replica that is a whole SQLite database.
set -euo pipefail
quickstart=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"$quickstart" --seconds 300 --dir "$scratch/data" >"$scratch/out" 2>&1 &
pid=$!
for ((i = 0; i < 600; ++i)); do
  grep -q 'client:' "$scratch/out" && break
  sleep 0.1
done
kill -INT "$pid"
code=0
wait "$pid" || code=$?
cat "$scratch/out"
[[ $code == 130 ]] || { echo "exit code $code instead of 130"; exit 1; }
grep -q '^Stopped' "$scratch/out"
