#!/usr/bin/env bash
# jwks_test.sh <tidegate-server>: keys are fetched from jwks_url over TLS that is verified, and from private addresses
# only where the file says so.
set -euo pipefail
server=$1
dir=$(mktemp -d /tmp/tidegate-server-jwks.XXXXXX)
pid= issuer=
finish() {
  for each in $pid $issuer; do kill -KILL "$each" 2>/dev/null && wait "$each" 2>/dev/null || :; done
  rm -rf "$dir"
}
trap finish EXIT
fail() { echo "jwks_test.sh: $1" >&2; cat "$dir/out" "$dir/issuer.out" >&2; exit 1; }
url64() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
until_true() { for _ in $(seq 3000); do "$@" && return 0; sleep 0.02; done; return 1; }
certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$1" \
    -addext subjectAltName=IP:127.0.0.1 -keyout "$dir/$1.key" -out "$dir/$1.pem" 2>/dev/null
}

certificate issuer
certificate other
openssl genrsa -out "$dir/sign.pem" 2048 2>/dev/null
modulus=$(openssl rsa -in "$dir/sign.pem" -noout -modulus | sed 's/.*=//' | tr -d '\n' | sed 's/../\\x&/g')
mkdir "$dir/www"
n64=$(printf %b "$modulus" | url64)
echo '{"keys": [{"kty": "RSA", "kid": "k1", "alg": "RS256", "use": "sig", "e": "AQAB", "n": "'"$n64"'"}]}' >"$dir/www/keys"
text=$(printf '{"alg":"RS256","kid":"k1"}' | url64).$(printf '{"sub":"c1","gw":"main","exp":%s}' $(($(date +%s) + 600)) | url64)
jwt=$text.$(printf %s "$text" | openssl dgst -sha256 -sign "$dir/sign.pem" -binary | url64)
(cd "$dir/www" && exec openssl s_server -accept 127.0.0.1:0 -cert "$dir/issuer.pem" -key "$dir/issuer.key" -WWW) \
  >"$dir/issuer.out" 2>&1 &
issuer=$!
until_true grep -q '^ACCEPT .*:[0-9]' "$dir/issuer.out" || fail "the issuer does not listen"
port=$(sed -n 's/^ACCEPT .*://p' "$dir/issuer.out" | head -n 1)

# start OPTIONS: with what the key set's URL is asked with.
start() {
  cat >"$dir/config.json" <<JSON
{"listen": {"port": 0}, "data": "$dir/data", "gateways": ["main"],
 "auth": {"jwt": {"jwks_url": "https://127.0.0.1:$port/keys"$1}}}
JSON
  "$server" "$dir/config.json" >"$dir/out" 2>&1 &
  pid=$!
  until_true grep -q '^Listening on' "$dir/out" || fail "it does not listen"
  pull="$(sed -n 's/^Listening on //p' "$dir/out")/v1/sync/main/pull?since=0&clientId=c1"
}
stop() {
  kill -TERM "$pid"
  code=0; wait "$pid" || code=$?
  pid=
  [ "$code" = 0 ] || fail "it ended with $code"
}
answers() { [ "$(curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer ${2:-$jwt}" "$pull")" = "$1" ]; }

start ', "jwks_private": true, "jwks_ca_file": "'"$dir"'/issuer.pem"'
until_true answers 200 || fail "a token of the URL's key was not taken"
answers 401 "${jwt%????}AAAA" || fail "a forged token was taken"
stop
start ', "jwks_ca_file": "'"$dir"'/issuer.pem"'
until_true grep -q 'jwks: ' "$dir/out" || fail "it is not said that the keys could not be fetched"
answers 503 || fail "keys were fetched from a private address"
stop
start ', "jwks_private": true, "jwks_ca_file": "'"$dir"'/other.pem"'
until_true grep -q 'jwks: ' "$dir/out" || fail "it is not said that the keys could not be fetched"
answers 503 || fail "keys were taken from a server that is not trusted"
stop
echo "OK: keys from a URL, and only from one that is trusted"
