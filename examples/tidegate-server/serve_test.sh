#!/usr/bin/env bash
# serve_test.sh <tidegate-server>: routes need their tokens, a job runs, SIGHUP is survived, SIGTERM ends it in good order.
set -euo pipefail
server=$1
dir=$(mktemp -d /tmp/tidegate-server-test.XXXXXX)
pid=
finish() { [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || :; rm -rf "$dir"; }
trap finish EXIT
fail() { echo "serve_test.sh: $1" >&2; cat "$dir/out" >&2; exit 1; }
export TOKEN=0123456789abcdef0123456789abcdef ANN=ann0123456789abcdef BOB=bob0123456789abcdef
cat >"$dir/config.json" <<JSON
{"listen": {"port": 0}, "data": "$dir/data", "gateways": ["main"],
 "auth": {"query_token": true, "tokens": [{"token": "env:TOKEN", "role": "admin"},
   {"token": "env:ANN", "role": "client", "subject": "ann"}, {"token": "env:BOB", "role": "client", "subject": "bob"}]}}
JSON
sqlite3 "$dir/source.db" "CREATE TABLE users(id INTEGER PRIMARY KEY, updated_at TEXT); INSERT INTO users VALUES (1, '2026-01-01')"
start() {
  "$server" "$dir/config.json" >"$dir/out" 2>&1 &
  pid=$!
  for _ in $(seq 3000); do grep -q '^Listening on' "$dir/out" && break; kill -0 "$pid" || fail "it ended"; sleep 0.02; done
  url=$(sed -n 's/^Listening on //p' "$dir/out")
}
start
case $url in http://127.0.0.1:*) ;; *) fail "it listens on '$url'" ;; esac
status() { curl -s -o /dev/null -w '%{http_code}' "$@"; }
admin=(-H "Authorization: Bearer $TOKEN")
[ "$(status "$url/")" = 200 ] || fail "no status page"
[ "$(status "$url/metrics")" = 404 ] || fail "metrics that were not asked for"
[ "$(status "$url/replication/jobs")" = 401 ] || fail "jobs without a token"
[ "$(status -H 'Authorization: Bearer wrong-wrong-wrong-wrong' "$url/engines")" = 401 ] || fail "engines with a wrong token"
[ "$(status "${admin[@]}" "$url/v1/sync/main/pull?since=0&clientId=c1")" = 200 ] || fail "no sync route"
curl -sf "${admin[@]}" "$url/replication/jobs" -d '{"name":"users","source":{"dialect":"sqlite","database":"'"$dir"'/source.db"},
  "table_name":"users","tracking_col":"updated_at","cron_tab":"@daily"}' >/dev/null || fail "the job was refused"
curl -sf "${admin[@]}" -X POST "$url/replication/jobs/users/run" | grep -q '"outcome":"ok"' || fail "the run failed"
[ "$(sqlite3 "$dir/data/replica.db" 'SELECT count(*) FROM users')" = 1 ] || fail "the row is not in the replica"
# What goes wrong is in the log.
code=$(curl -s -o "$dir/answer" -w '%{http_code}' "${admin[@]}" "$url/replication/jobs" -d '{"name":"gone","source":{"dialect":"sqlite",
  "database":"'"$dir"'/gone.db"},"table_name":"users","tracking_col":"updated_at","cron_tab":"@daily"}')
[ "$code" != 201 ] || fail "a job without its database was taken"
sqlite3 "$dir/source.db" "ALTER TABLE users RENAME TO people"
curl -s "${admin[@]}" -X POST "$url/replication/jobs/users/run" >/dev/null
grep -q 'job users: a run failed: ' "$dir/out" || fail "the failed run is not in the log"
# Rules and schemas outlive the process.
curl -sf "${admin[@]}" "$url/v1/admin/sync-rules/main" -d '{"version":1,"buckets":[{"name":"mine","tables":["todos"],
  "filters":[{"column":"owner","op":"eq","value":"jwt:sub"}]}]}' >/dev/null || fail "the rules were refused"
curl -sf "${admin[@]}" "$url/v1/admin/schema/main" -d '{"table":"todos","columns":[{"name":"owner","type":"string"}]}' >/dev/null ||
  fail "the schema was refused"
push() { # ROW COLUMN
  curl -s -o "$dir/answer" -w '%{http_code}' "${client[@]}" "$url/v1/sync/main/push" -d '{"clientId":"ann","deltas":[{"op":"INSERT",
    "table":"todos","rowId":"'"$1"'","clientId":"ann","hlc":"'$(($(date +%s%3N) << 16))'","columns":[{"column":"'"$2"'","value":"ann"}]}]}'
}
client=(-H "Authorization: Bearer $ANN")
[ "$(push 1 owner)" = 200 ] || fail "a push was refused"
[ "$(push 2 colour)" = 422 ] || fail "a column that the schema does not have was taken"
[ "$(status "$url/v1/sync/main/pull?since=0&clientId=ann&token=$ANN")" = 200 ] || fail "a token in the query was refused"
kill -KILL "$pid"
wait "$pid" 2>/dev/null || :
start
[ "$(push 2 colour)" = 422 ] || fail "the schema was forgotten"
curl -sf "${admin[@]}" "$url/v1/admin/sync-rules/main" | grep -q '"jwt:sub"' || fail "the rules were forgotten"
curl -sf -H "Authorization: Bearer $BOB" "$url/v1/sync/main/pull?since=0&clientId=bob" | grep -q '"deltas":\[\]' ||
  fail "after a restart bob sees what is ann's"
curl -sf "${client[@]}" "$url/v1/sync/main/pull?since=0&clientId=ann" | grep -q '"rowId":"1"' || fail "ann's row is gone"
kill -HUP "$pid"
[ "$(status "$url/healthz")" = 200 ] || fail "SIGHUP ended it"
kill -TERM "$pid"
code=0; wait "$pid" || code=$?
pid=
[ "$code" = 0 ] || fail "it ended with $code"
grep -q '^Stopped$' "$dir/out" || fail "it did not drain"
grep -q "$TOKEN" "$dir/out" && fail "the token is in the log"
echo "OK: $url served, ran a job, and ended in good order"
