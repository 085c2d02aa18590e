#!/usr/bin/env bash
# limits_test.sh <tidegate-server>: keys from a JWKS file, limits, metrics, and an engine whose source is away.
set -euo pipefail
server=$1
dir=$(mktemp -d /tmp/tidegate-server-limits.XXXXXX)
pid=
finish() { [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || :; rm -rf "$dir"; }
trap finish EXIT
fail() { echo "limits_test.sh: $1" >&2; cat "$dir/out" >&2; exit 1; }
url64() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
until_true() { for _ in $(seq 3000); do "$@" && return 0; sleep 0.02; done; return 1; }

export TOKEN=0123456789abcdef0123456789abcdef SHOP_URL=postgresql://nobody:a-password-of-the-shop@127.0.0.1:1/none
secret=a-secret-of-at-least-thirty-two-octets
key64=$(printf %s "$secret" | url64)
echo '{"keys": [{"kty": "oct", "kid": "k1", "alg": "HS256", "k": "'"$key64"'"}]}' >"$dir/jwks.json"
text=$(printf '{"alg":"HS256","kid":"k1"}' | url64).$(printf '{"sub":"c1","gw":"main","exp":%s}' $(($(date +%s) + 600)) | url64)
jwt=$text.$(printf %s "$text" | openssl dgst -sha256 -hmac "$secret" -binary | url64)
cat >"$dir/config.json" <<JSON
{"listen": {"port": 0, "metrics": true}, "data": "$dir/data", "gateways": ["main", "second"],
 "auth": {"tokens": [{"token": "env:TOKEN", "role": "admin"}], "jwt": {"jwks_file": "$dir/jwks.json"}},
 "limits": {"per_client": {"per_second": 1, "burst": 20}, "connections_per_address": 50},
 "engines": [{"name": "shop", "url": "env:SHOP_URL", "tables": ["public.users"]}]}
JSON
sqlite3 "$dir/source.db" "CREATE TABLE users(id INTEGER PRIMARY KEY, updated_at TEXT); INSERT INTO users VALUES (1, '2026-01-01')"
"$server" "$dir/config.json" >"$dir/out" 2>&1 &
pid=$!
until_true grep -q '^Listening on' "$dir/out" || fail "an engine whose source is away kept it from serving"
grep -q 'engine shop: did not start' "$dir/out" || fail "it was not said which engine did not start"
grep -q 'a-password-of-the-shop' "$dir/out" && fail "the password is in the log"
url=$(sed -n 's/^Listening on //p' "$dir/out")
status() { curl -s -o /dev/null -w '%{http_code}' "$@"; }
admin=(-H "Authorization: Bearer $TOKEN")
pull="$url/v1/sync/main/pull?since=0&clientId=c1"
[ "$(status "${admin[@]}" "$url/engines/shop")" = 200 ] || fail "the engine is not shown"

let_in() { [ "$(status -H "Authorization: Bearer $jwt" "$pull")" = 200 ]; }
until_true let_in || fail "a token of the file's key was not taken"
[ "$(status -H "Authorization: Bearer ${jwt%????}AAAA" "$pull")" = 401 ] || fail "a forged token was taken"
[ "$(status -H "Authorization: Bearer $jwt" "${pull/main/second}")" = 403 ] || fail "a token for one gateway opened the other"

refused() { [ "$(status -D "$dir/head" -H "Authorization: Bearer $jwt" "$pull")" = 429 ]; }
until_true refused || fail "a client is not limited"
grep -qi '^retry-after: [1-9]' "$dir/head" || fail "a refused client is not told when to come back"
for _ in $(seq 30); do [ "$(status "${admin[@]}" "$url/engines")" = 200 ] || fail "an admin is limited as a client"; done

job='{"name":"users","source":{"dialect":"sqlite","database":"'"$dir"'/source.db"},"table_name":"users",
  "tracking_col":"updated_at","cron_tab":"@daily"'
[ "$(status "${admin[@]}" "$url/replication/jobs" -d "$job}")" = 400 ] || fail "a job took the table that the engine writes"
curl -sf "${admin[@]}" "$url/replication/jobs" -d "$job,\"target_table\":\"people\"}" >/dev/null || fail "the job was refused"
curl -sf "${admin[@]}" -X POST "$url/replication/jobs/users/run" >/dev/null || fail "the run failed"
curl -sf "$url/metrics" >"$dir/metrics" || fail "no metrics"
for wanted in 'tidegate_http_requests_total [1-9]' 'tidegate_limit_refused_total{by="client"} [1-9]' \
  'tidegate_gateway_pulls_total{gateway="main"} [1-9]' 'tidegate_gateway_pulls_total{gateway="second"} 0' \
  'tidegate_job_runs_total{job="users",outcome="ok"} 1' 'tidegate_job_rows_synced_total{job="users"} 1'; do
  grep -q -- "^$wanted" "$dir/metrics" || { cat "$dir/metrics" >&2; fail "this is not among the metrics: $wanted"; }
done
grep -vE '^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{.*\})? [0-9.e+-]+)$' "$dir/metrics" && fail "a line that is no metric"
[ -z "$(grep '^# TYPE' "$dir/metrics" | sort | uniq -d)" ] || fail "a metric comes twice"
kill -TERM "$pid"
code=0; wait "$pid" || code=$?
pid=
[ "$code" = 0 ] || fail "it ended with $code"
echo "OK: keys from a file, limits, metrics, and an engine that waits for its source"
