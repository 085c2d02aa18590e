#!/usr/bin/env bash
# check_test.sh <tidegate-server>: --check names every mistake of a file, with its line, column and remedy.
set -euo pipefail
server=$1
dir=$(mktemp -d /tmp/tidegate-server-check.XXXXXX)
trap 'rm -rf "$dir"' EXIT
fail() { echo "check_test.sh: $1" >&2; cat "$dir/out" >&2; exit 1; }

cat >"$dir/bad.json" <<'JSON'
{
  "listen": {"address": "0.0.0.0", "port": 70000, "colour": 1},
  "log_level": "loud",
  "auth": {"tokens": [{"token": "a-secret-in-the-file", "role": "king"}]},
  "gateways": ["main", "main"],
  "engines": [{"name": "shop"}],
  "limits": {"per_client": {"burst": 0}, "per_day": 1}
}
JSON
code=0
"$server" --check "$dir/bad.json" >"$dir/out" 2>&1 || code=$?
[ "$code" = 2 ] || fail "a bad file ended with $code"
for wanted in 'bad.json:2:44: /listen/port: must be a whole number from 0 to 65535' 'bad.json:2:61: /listen/colour: is not known' \
  'bad.json:3:16: /log_level: must be one of' 'bad.json:4:33: /auth/tokens/0/token: secrets are not written here' \
  'bad.json:4:23: /auth/tokens/0: needs a role' 'bad.json:5:24: /gateways/1: is there twice' \
  'bad.json:6:15: /engines/0: needs a url' 'bad.json:6:15: /engines/0: needs tables' \
  'bad.json:7:38: /limits/per_client/burst: must be a whole number from 1' '/limits/per_day: is not known'; do
  grep -qF -- "$wanted" "$dir/out" || fail "this was not said: $wanted"
done
grep -q 'a-secret-in-the-file' "$dir/out" && fail "a secret was repeated"

printf '{\n  "log_level": "info"\n  "data": "x"\n}\n' >"$dir/comma.json"
"$server" --check "$dir/comma.json" >"$dir/out" 2>&1 && fail "a file without its comma passed"
grep -q 'comma.json:3:' "$dir/out" || fail "the line of the missing comma was not named"
echo '{"listen": {"address": "0.0.0.0"}}' >"$dir/open.json"
"$server" --check "$dir/open.json" >"$dir/out" 2>&1 && fail "it would listen to the world and ask nobody for a token"
grep -q 'is not loopback' "$dir/out" || fail "loopback was not named"
echo '{"listen": {"address": "0.0.0.0"}, "auth": {"tokens": [{"token": "env:TOKEN", "role": "admin"}]}}' >"$dir/good.json"
"$server" --check "$dir/good.json" >"$dir/out" 2>&1 && fail "a secret that is not there passed"
TOKEN=0123456789abcdef0123456789abcdef "$server" --check "$dir/good.json" >"$dir/out" 2>&1 || fail "a good file was refused"
for nobody in '{}' '{"tokens": []}' '{"query_token": true}'; do
  for address in 0.0.0.0 127.0.0.1; do
    echo '{"listen": {"address": "'$address'"}, "auth": '"$nobody"'}' >"$dir/nobody.json"
    "$server" --check "$dir/nobody.json" >"$dir/out" 2>&1 && fail "auth that names nobody passed: $nobody on $address"
    grep -q '/auth: names nobody' "$dir/out" || fail "that auth names nobody was not said: $nobody"
  done
done
echo '{"auth": {"jwt": {"jwks_url": "http://login.example.org/keys", "jwks_file": "/no/such"}}}' >"$dir/jwks.json"
"$server" --check "$dir/jwks.json" >"$dir/out" 2>&1 && fail "keys over plain HTTP passed"
for wanted in 'needs one of: secret' 'jwks_url: must begin with https://' 'jwks_file: the file /no/such cannot be read'; do
  grep -qF -- "$wanted" "$dir/out" || fail "this was not said: $wanted"
done

# What can only be known by trying.
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -days 2 -keyout "$dir/one.key" -out "$dir/one.pem" 2>/dev/null
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 2>/dev/null | tee "$dir/other.key" | openssl pkey -pubout -out "$dir/p384.pem"
echo nonsense | tee "$dir/garbage.pem" >"$dir/keys.json"
echo '{"keys": []}' >"$dir/none.json"
touch "$dir/file"
try() { # CONFIG WANTED...
  echo "$1" >"$dir/try.json"
  "$server" --check "$dir/try.json" >"$dir/out" 2>&1 && fail "this passed: $1"
  shift
  for wanted in "$@"; do grep -qE -- "$wanted" "$dir/out" || fail "this was not said: $wanted"; done
}
try '{"listen": {"tls": {"certificate": "'"$dir"'/one.pem", "key": "'"$dir"'/other.key"}}}' 'try.json:1:20: /listen/tls: .*key'
try '{"listen": {"tls": {"certificate": "'"$dir"'/garbage.pem", "key": "'"$dir"'/one.key"}}}' '/listen/tls: .*garbage.pem'
try '{"listen": {"cors": ["https://app.example", "foo"]}}' 'try.json:1:45: /listen/cors/1: .*"foo" is no origin'
try '{"auth": {"jwt": {"public_key": "file:'"$dir"'/garbage.pem"}}}' '/auth/jwt/public_key: '
try '{"auth": {"jwt": {"public_key": "file:'"$dir"'/p384.pem"}}}' '/auth/jwt/public_key: .*P-256'
try '{"auth": {"jwt": {"secret": "file:'"$dir"'/p384.pem"}}}' '/auth/jwt/secret: '
try '{"auth": {"jwt": {"jwks_file": "'"$dir"'/keys.json"}}}' '/auth/jwt/jwks_file: '
try '{"auth": {"jwt": {"jwks_file": "'"$dir"'/none.json"}}}' '/auth/jwt/jwks_file: .*no key'
try '{"data": "'"$dir"'/file/data"}' "try.json:1:10: /data: $dir/file is no folder"
try '{"gateways": ["a"], "data": "x", "gateways": ["b"]}' 'try.json:1:46: /gateways: is there twice'
try '{"engines": [{"name": "a", "url": "sqlite:/a.db", "tables": ["t"]}, {"name": "b", "url": "sqlite:/b.db", "tables": ["t"]}]}' \
  '/engines/1/tables: the table t is written by engine a too'

cat >"$dir/engines.json" <<'JSON'
{"data": "x",
 "engines": [
  {"name": "a", "url": "sqlite:/a.db", "slot": "a", "tables": ["t", {"table": "u", "key": [], "order": 1}, {"cursor": "c"}, "t"]},
  {"name": "b", "url": "sqlite:", "into": "mysql://user:a-secret@host/db", "tables": [1]},
  {"name": "c", "url": "env:ORACLE", "interval_seconds": 5, "tables": []}],
 "auth": {"jwt": {"secret": "env:LONG", "jwks_private": true, "jwks_ca_file": "/no/ca"}}}
JSON
ORACLE=oracle://a-secret@host LONG=0123456789abcdef0123456789abcdef "$server" --check "$dir/engines.json" >"$dir/out" 2>&1 &&
  fail "a file of bad engines passed"
for wanted in 'engines.json:3:48: /engines/0/slot: is for PostgreSQL, which is not polled' '/engines/0/tables/1/order: is not known' \
  '/engines/0/tables/1/key: needs the columns' '/engines/0/tables/2: needs a table' '/engines/0/tables: names t twice' \
  'engines.json:4:24: /engines/1/url: must begin with postgresql://' '/engines/1/into: secrets are not written here' \
  '/engines/1/tables/0: must be a table' '/engines/2/interval_seconds: is for sources that are polled' \
  'engines.json:5:24: /engines/2/url: must begin with' 'engines.json:5:3: /engines/2: needs tables' \
  '/auth/jwt/jwks_private: says how jwks_url is asked' '/auth/jwt/jwks_ca_file: the file /no/ca cannot be read'; do
  grep -qF -- "$wanted" "$dir/out" || fail "this was not said: $wanted"
done
grep -q 'a-secret' "$dir/out" && fail "a secret was repeated"
echo "OK: every mistake has its place and its remedy"
