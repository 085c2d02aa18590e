#!/usr/bin/env bash
# polls_test.sh <tidegate-server>: a SQLite database is polled, by cursor and by comparing, into the replica and into a
# file of its own.
set -euo pipefail
server=$1
dir=$(mktemp -d /tmp/tidegate-server-polls.XXXXXX)
pid=
finish() { [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || :; rm -rf "$dir"; }
trap finish EXIT
fail() { echo "polls_test.sh: $1" >&2; cat "$dir/out" >&2; exit 1; }
until_true() { for _ in $(seq 3000); do "$@" && return 0; sleep 0.02; done; return 1; }
source_sql() { sqlite3 "$dir/source.db" "$1"; }
holds() { [ "$(sqlite3 "$dir/$1" "SELECT group_concat(name) FROM (SELECT name FROM $2 ORDER BY name)" 2>/dev/null)" = "$3" ]; }

source_sql "CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT, updated_at TEXT);
  CREATE INDEX by_time ON users(updated_at, id);
  CREATE TABLE tags(place TEXT, name TEXT, PRIMARY KEY(place, name));
  INSERT INTO users VALUES (1, 'ann', '2026-01-01 10:00:00'), (2, 'bob', '2026-01-01 10:00:01');
  INSERT INTO tags VALUES ('a', 'red'), ('b', 'blue')"
# A target that refuses one of the rows.
sqlite3 "$dir/strict.db" "CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT CHECK (name <> 'cid'), updated_at TEXT)"
cat >"$dir/config.json" <<JSON
{"listen": {"port": 0}, "data": "$dir/data",
 "engines": [{"name": "here", "url": "sqlite:$dir/source.db", "interval_seconds": 1,
              "tables": [{"table": "users", "cursor": "updated_at"}, {"table": "tags", "key": ["place", "name"]}]},
             {"name": "strict", "url": "sqlite:$dir/source.db", "interval_seconds": 1, "tables": ["users"],
              "into": "sqlite:$dir/strict.db", "on_failure": "dead_letter"},
             {"name": "there", "url": "sqlite:$dir/source.db", "interval_seconds": 1, "tables": ["users"],
              "into": "sqlite:$dir/other.db"}]}
JSON
start() {
  "$server" "$dir/config.json" >"$dir/out" 2>&1 &
  pid=$!
  until_true grep -q '^Listening on' "$dir/out" || fail "it does not listen"
}
stop() {
  kill -TERM "$pid"
  code=0; wait "$pid" || code=$?
  pid=
  [ "$code" = 0 ] || fail "it ended with $code"
}
start
until_true holds data/replica.db users ann,bob || fail "the rows did not come"
until_true holds data/replica.db tags blue,red || fail "a table with a key of two columns did not come"
until_true holds other.db users ann,bob || fail "the rows did not come into the file of their own"
source_sql "INSERT INTO users VALUES (3, 'cid', '2026-01-01 10:00:02'); UPDATE users SET name = 'bea', updated_at = '2026-01-01 10:00:03' WHERE id = 2;
  DELETE FROM tags WHERE name = 'red'"
until_true holds data/replica.db users ann,bea,cid || fail "what changed did not come"
until_true holds data/replica.db tags blue || fail "what was deleted did not go"
until_true holds other.db users ann,bea,cid || fail "what changed did not come into the other file"
until_true holds strict.db users ann,bea || fail "a refused row held the others up"
letters=$(sed -n 's/^Listening on //p' "$dir/out")/engines/strict/pipelines/strict/dead-letters
curl -sf -H 'Authorization: Bearer any' "$letters" | grep -q '"count":1' || fail "the refused row was not put aside"
stop
source_sql "DELETE FROM users WHERE id = 1; INSERT INTO users VALUES (4, 'dan', '2026-01-01 10:00:09')"
start
until_true holds other.db users bea,cid,dan || fail "what changed while it was away did not come"
stop
echo "OK: SQLite was polled into the replica and into a file"
