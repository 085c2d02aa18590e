#!/usr/bin/env bash
# A replica that somebody else has changed: the check finds it, and the exit code is 1.
set -euo pipefail
quickstart=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"$quickstart" --seconds 3 --dir "$scratch/data" >"$scratch/out" 2>&1 &
pid=$!
for ((i = 0; i < 600; ++i)); do
  # A few rows, since the shop may change one of them again.
  deleted=$(sqlite3 -cmd '.timeout 5000' "$scratch/data/replica.db" \
    'DELETE FROM users WHERE id % 100 = 1; SELECT changes()' 2>/dev/null) || deleted=0
  ((deleted > 5)) && break
  sleep 0.1
done
code=0
wait "$pid" || code=$?
cat "$scratch/out"
[[ $code == 1 ]] || { echo "exit code $code instead of 1"; exit 1; }
grep -q 'replica (no such row)' "$scratch/out"
