#!/usr/bin/env bash
# run.sh [tidegate-server]: a job made with curl against a PostgreSQL of its own. A row inserted in the source is in the
# replica at once with `run`, and within a minute by cron. Ends by itself. Without a program it builds one.
set -euo pipefail
case ${1:-} in --help | -h) sed -n '2,3s/^# //p' "$0"; exit 0 ;; esac
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
server=${1:-}
if [ -z "$server" ]; then
  "$root/cmake/install_packages.sh" build test
  cmake -S "$root" -B "$root/build/replica_server" -G Ninja -DCMAKE_BUILD_TYPE=Release -DTIDEGATE_TESTS=OFF >/dev/null
  cmake --build "$root/build/replica_server" --target tidegate-server
  server=$root/build/replica_server/examples/tidegate-server/tidegate-server
fi
if [ -z "${POSTGRES_URL:-}" ]; then
  exec "$root/examples/sync_layer/private_postgres.sh" "$0" "$(readlink -f "$server")"
fi

dir=$(mktemp -d /tmp/replica-server.XXXXXX)
pid=
finish() {
  [ -z "$pid" ] || { kill -TERM "$pid" 2>/dev/null && wait "$pid"; } || :
  rm -rf "$dir"
}
trap finish EXIT
fail() { echo "replica_server: $1" >&2; cat "$dir/log" >&2; exit 1; }
sql() { psql "$POSTGRES_URL" -qAtX -v ON_ERROR_STOP=1 -c "$1"; }
replica() { sqlite3 "$dir/data/replica.db" "$1"; }

ADMIN_TOKEN=$(openssl rand -hex 16)
export ADMIN_TOKEN
cat >"$dir/config.json" <<JSON
{"listen": {"port": 0}, "data": "$dir/data", "auth": {"tokens": [{"token": "env:ADMIN_TOKEN", "role": "admin"}]}}
JSON
sql "CREATE TABLE IF NOT EXISTS users(id int PRIMARY KEY, name text, updated_at timestamptz DEFAULT now())"
sql "CREATE INDEX IF NOT EXISTS users_by_time ON users(updated_at, id)"
sql "INSERT INTO users(id, name) VALUES (1, 'Ada')"
"$server" "$dir/config.json" >"$dir/log" 2>&1 &
pid=$!
for _ in $(seq 500); do grep -q '^Listening on' "$dir/log" && break; kill -0 "$pid" || fail "the server ended"; sleep 0.02; done
url=$(sed -n 's/^Listening on //p' "$dir/log")
api() { curl -sS --fail-with-body -H "Authorization: Bearer $ADMIN_TOKEN" "$@"; echo; }

echo "A job is made:"
api "$url/replication/jobs" -d '{"name": "users", "source": {"dialect": "postgresql", "dsn": "'"$POSTGRES_URL"'"},
  "table_name": "public.users", "tracking_col": "updated_at", "cron_tab": "* * * * *"}' || fail "it was refused"
echo "It is run:"
api -X POST "$url/replication/jobs/users/run" || fail "the run failed"
[ "$(replica "SELECT name FROM users WHERE id = 1")" = Ada ] || fail "the row is not in the replica"

sql "INSERT INTO users(id, name) VALUES (3, 'Eve')"
[ -z "$(replica "SELECT name FROM users WHERE id = 3")" ] || fail "a row came before the run"
api -X POST "$url/replication/jobs/users/run" || fail "the run failed"
[ "$(replica "SELECT name FROM users WHERE id = 3")" = Eve ] || fail "the row is not in the replica at once"
sql "INSERT INTO users(id, name) VALUES (2, 'Bob')"
echo "Another row was inserted; the schedule brings it within a minute."
deadline=$((SECONDS + 75))
until [ "$(replica "SELECT name FROM users WHERE id = 2")" = Bob ]; do
  [ "$SECONDS" -lt "$deadline" ] || fail "the row did not come"
  sleep 0.2
done
api "$url/replication/jobs/users/history?limit=1" | grep -q '"trigger":"schedule"' || fail "it was not the schedule"
grep -qF "$ADMIN_TOKEN" "$dir/log" && fail "the token is in the log"
echo "OK: all rows are in the replica"
