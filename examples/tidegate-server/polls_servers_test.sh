#!/usr/bin/env bash
# polls_servers_test.sh <tidegate-server>: MariaDB is polled into PostgreSQL, and SQLite into MariaDB.
# Run it under tests/servers/with_servers.sh.
set -euo pipefail
server=$1
: "${TIDEGATE_MYSQL_URL:?run this under tests/servers/with_servers.sh}" "${TIDEGATE_POSTGRES_URL:?}"
dir=$(mktemp -d /tmp/tidegate-server-polls.XXXXXX)
pid=
finish() { [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || :; rm -rf "$dir"; }
trap finish EXIT
fail() { echo "polls_servers_test.sh: $1" >&2; cat "$dir/out" >&2; exit 1; }
until_true() { for _ in $(seq 3000); do "$@" && return 0; sleep 0.02; done; return 1; }
account=${TIDEGATE_MYSQL_URL#mysql://} socket=${TIDEGATE_MYSQL_URL##*socket=}
account=${account%%@*}
mysql() { MYSQL_PWD=${account#*:} mariadb -u "${account%%:*}" -S "${socket//%2F//}" -N tidegate -e "$1"; }
sql() {
  MYSQL_PWD=$(sed 's/.*:\(.*\)@.*/\1/' <<<"${account%%@*}@") mariadb -u "${account%%:*}" -S "${socket//%2F//}" -N tidegate -e "$1"
}
sql() { psql -qAt "$TIDEGATE_POSTGRES_URL" -c "$1" 2>/dev/null; }
sort_names() { tr '\n' ' ' | sed 's/ $//'; }
in_postgres() { [ "$(sql 'SELECT name FROM polled_shop ORDER BY name' | sort_names)" = "$1" ]; }
in_mysql() { [ "$(mysql 'SELECT name FROM polled_notes ORDER BY name' 2>/dev/null | sort_names)" = "$1" ]; }

sql 'DROP TABLE IF EXISTS polled_shop'
mysql "DROP TABLE IF EXISTS polled_shop, polled_notes; CREATE TABLE polled_shop(id INT PRIMARY KEY, name VARCHAR(20), at DATETIME(6), KEY(at, id));
  INSERT INTO polled_shop VALUES (1, 'ann', NOW(6)), (2, 'bob', NOW(6))"
sqlite3 "$dir/notes.db" "CREATE TABLE polled_notes(id INTEGER PRIMARY KEY, name TEXT); INSERT INTO polled_notes VALUES (1, 'one')"
cat >"$dir/config.json" <<JSON
{"listen": {"port": 0}, "data": "$dir/data",
 "engines": [{"name": "shop", "url": "env:TIDEGATE_MYSQL_URL", "interval_seconds": 1, "into": "env:TIDEGATE_POSTGRES_URL",
              "tables": [{"table": "polled_shop", "cursor": "at"}]},
             {"name": "notes", "url": "sqlite:$dir/notes.db", "interval_seconds": 1, "into": "env:TIDEGATE_MYSQL_URL",
              "tables": ["polled_notes"]}]}
JSON
"$server" "$dir/config.json" >"$dir/out" 2>&1 &
pid=$!
until_true grep -q '^Listening on' "$dir/out" || fail "it does not listen"
until_true in_postgres 'ann bob' || fail "MariaDB's rows did not come into PostgreSQL"
until_true in_mysql one || fail "SQLite's rows did not come into MariaDB"
mysql "INSERT INTO polled_shop VALUES (3, 'cid', NOW(6))"
sqlite3 "$dir/notes.db" "DELETE FROM polled_notes; INSERT INTO polled_notes VALUES (2, 'two')"
until_true in_postgres 'ann bob cid' || fail "what changed in MariaDB did not come"
until_true in_mysql two || fail "what changed in SQLite did not come"
kill -TERM "$pid"
code=0; wait "$pid" || code=$?
pid=
[ "$code" = 0 ] || fail "it ended with $code"
sql 'DROP TABLE polled_shop'
mysql 'DROP TABLE polled_shop, polled_notes'
echo "OK: MariaDB was polled into PostgreSQL, SQLite into MariaDB"
