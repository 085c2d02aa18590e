#!/usr/bin/env bash
# waits_test.sh <tidegate-server>: an engine whose source is away at the start begins once it is there.
# Run it under tests/servers/with_servers.sh.
set -euo pipefail
server=$1
: "${TIDEGATE_POSTGRES_URL:?run this under tests/servers/with_servers.sh}"
dir=$(mktemp -d /tmp/tidegate-server-waits.XXXXXX)
pid=
finish() {
  [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || :
  $TIDEGATE_POSTGRES_CTL start >/dev/null 2>&1 || :
  rm -rf "$dir"
}
trap finish EXIT
fail() { echo "waits_test.sh: $1" >&2; cat "$dir/out" >&2; exit 1; }
until_true() { for _ in $(seq 3000); do "$@" && return 0; sleep 0.02; done; return 1; }
sql() { psql -qAt "$TIDEGATE_POSTGRES_URL" -c "$1"; }
count() { sqlite3 "$dir/data/replica.db" 'SELECT count(*) FROM waited' 2>/dev/null || echo none; }

sql 'DROP PUBLICATION IF EXISTS tidegate_waits; DROP TABLE IF EXISTS waited; CREATE TABLE waited(id integer PRIMARY KEY); INSERT INTO waited VALUES (1)' 2>/dev/null
sql 'CREATE PUBLICATION tidegate_waits FOR TABLE waited'
cat >"$dir/config.json" <<JSON
{"listen": {"port": 0, "metrics": true}, "data": "$dir/data",
 "engines": [{"name": "waits", "url": "env:TIDEGATE_POSTGRES_URL", "tables": ["public.waited"]}]}
JSON
$TIDEGATE_POSTGRES_CTL stop >/dev/null
"$server" "$dir/config.json" >"$dir/out" 2>&1 &
pid=$!
until_true grep -q '^Listening on' "$dir/out" || fail "it does not serve without its source"
grep -q 'engine waits: did not start' "$dir/out" || fail "it was not said which engine did not start"
url=$(sed -n 's/^Listening on //p' "$dir/out")
$TIDEGATE_POSTGRES_CTL start >/dev/null
has() { [ "$(count)" = "$1" ]; }
until_true has 1 || fail "the engine was not tried again"
sql 'INSERT INTO waited VALUES (2)'
until_true has 2 || fail "the engine does not follow"
curl -sf "$url/metrics" | grep -q '^tidegate_source_state{source="waits"' || fail "the engine is not among the metrics"
kill -TERM "$pid"
code=0; wait "$pid" || code=$?
pid=
[ "$code" = 0 ] || fail "it ended with $code"
sql "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'tidegate_waits'" >/dev/null
sql 'DROP PUBLICATION tidegate_waits; DROP TABLE waited'
echo "OK: it served without its source, and followed once it was there"
