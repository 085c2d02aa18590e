#!/usr/bin/env bash
# The example as a user meets it: help, a durable stream over a restart and over kill -9, a token, Ctrl-C.
set -euo pipefail
program=$1
scratch=$(mktemp -d)
pid=
trap '[[ -z $pid ]] || kill -9 "$pid" 2>/dev/null; rm -rf "$scratch"' EXIT
fail() { echo "$1" >&2; cat "$scratch/out" >&2; exit 1; }

"$program" --help | grep -q -- --token-file
code=0
"$program" --no-such-option >/dev/null 2>&1 || code=$?
[[ $code == 2 ]] || fail "exit code $code for an unknown option"

start() {
  : >"$scratch/out"
  "$program" --port 0 "$@" >"$scratch/out" 2>&1 &
  pid=$!
  for ((i = 0; i < 300; ++i)); do
    url=$(sed -n 's/^Listening on //p' "$scratch/out")
    [[ -z $url ]] || return 0
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  fail "it did not start"
}
stop() {
  kill -"$1" "$pid"
  code=0
  wait "$pid" 2>/dev/null || code=$?
  pid=
}

start --dir "$scratch/streams"
curl -fsS -X PUT "$url/events" -H 'Content-Type: application/json' >/dev/null
curl -fsS -X POST "$url/events" -H 'Content-Type: application/json' -d '{"n":1}'
# A second owner of the folder is refused, and says why.
{ "$program" --port 0 --dir "$scratch/streams" 2>&1 || true; } | grep -q "in use by another process" || fail "two owners"
curl -fsSN "$url/events?offset=-1&live=sse" >"$scratch/events" &
reader=$!
for ((i = 0; i < 300; ++i)); do grep -q upToDate "$scratch/events" && break; sleep 0.1; done
stop INT
[[ $code == 0 ]] || fail "exit code $code after Ctrl-C"
grep -q '^Stopped: 1 appends' "$scratch/out" || fail "it did not say how it stopped"
wait "$reader" || fail "the event stream was cut instead of ended"

start --dir "$scratch/streams" --token secret-token
[[ $(curl -s -o /dev/null -w '%{http_code}' "$url/events") == 401 ]] || fail "no token was needed"
grep -q secret-token "$scratch/out" && fail "the token is in the output"
auth='Authorization: Bearer secret-token'
curl -fsS -X POST "$url/events" -H "$auth" -H 'Content-Type: application/json' -d '{"n":2}'
stop KILL

start --dir "$scratch/streams"
[[ $(curl -fsS "$url/events") == '[{"n":1},{"n":2}]' ]] || fail "an acknowledged append is lost: $(curl -fsS "$url/events")"
stop TERM
[[ $code == 0 ]] || fail "exit code $code after SIGTERM"

start --memory
[[ $(curl -s -o /dev/null -w '%{http_code}' "$url/events") == 404 ]] || fail "memory remembers"
stop TERM
