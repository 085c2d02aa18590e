#!/usr/bin/env bash
# tls_test.sh <tidegate-server>: SIGHUP takes a new certificate; one that cannot be read changes nothing.
set -euo pipefail
server=$1
dir=$(mktemp -d /tmp/tidegate-server-tls.XXXXXX)
pid=
finish() { [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || :; rm -rf "$dir"; }
trap finish EXIT
fail() { echo "tls_test.sh: $1" >&2; cat "$dir/out" >&2; exit 1; }
make() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$1" \
    -addext subjectAltName=IP:127.0.0.1 -keyout "$dir/$1.key" -out "$dir/$1.pem" 2>/dev/null
}
use() { cp "$dir/$1.key" "$dir/key.pem"; cp "$dir/$1.pem" "$dir/chain.pem"; }
trusts() { curl -sf -o /dev/null --cacert "$dir/$1.pem" "$url/healthz"; }
until_true() { for _ in $(seq 3000); do "$@" && return 0; sleep 0.02; done; return 1; }

make first
make second
use first
echo '{"listen": {"port": 0, "tls": {"certificate": "'"$dir"'/chain.pem", "key": "'"$dir"'/key.pem"}}, "data": "'"$dir"'/data"}' \
  >"$dir/config.json"
"$server" "$dir/config.json" >"$dir/out" 2>&1 &
pid=$!
until_true grep -q '^Listening on' "$dir/out" || fail "it does not listen"
url=$(sed -n 's/^Listening on //p' "$dir/out")
case $url in https://127.0.0.1:*) ;; *) fail "it listens on '$url'" ;; esac
trusts first || fail "the first certificate is not shown"
trusts second && fail "the second certificate is trusted before it is there"

use second
trusts first || fail "the files were read before SIGHUP"
kill -HUP "$pid"
until_true trusts second || fail "the second certificate was not taken"
trusts first && fail "the first certificate is still shown"

echo 'no certificate' >"$dir/chain.pem"
kill -HUP "$pid"
until_true grep -q 'the TLS files stay as they were' "$dir/out" || fail "a bad certificate was not said"
trusts second || fail "a bad certificate took the good one away"
grep -q 'PRIVATE KEY' "$dir/out" && fail "the key is in the log"
kill -TERM "$pid"
code=0; wait "$pid" || code=$?
pid=
[ "$code" = 0 ] || fail "it ended with $code"
echo "OK: a new certificate was taken, a bad one was not"
