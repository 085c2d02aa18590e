#!/usr/bin/env bash
# private_postgres.sh <command> [argument...]: runs the command with POSTGRES_URL set to a PostgreSQL of its own, in a new
# folder under /tmp, with wal_level = logical; it is stopped and removed when the command ends.
set -euo pipefail
[ $# -gt 0 ] || { sed -n '2,3s/^# //p' "$0"; exit 2; }
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
[ -x "${bin:-}/initdb" ] || { echo "no PostgreSQL server was found (Debian: postgresql)" >&2; exit 1; }
dir=$(mktemp -d /tmp/sync-layer-postgres.XXXXXX)
as=()
if [ "$(id -u)" = 0 ]; then
  chown postgres "$dir"
  as=(setpriv --reuid=postgres --regid=postgres --init-groups --)
fi
command_pid=
finish() {
  local code=$?
  trap '' INT TERM
  [ -z "$command_pid" ] || kill -TERM "$command_pid" 2>/dev/null || :
  [ -z "$command_pid" ] || wait "$command_pid" 2>/dev/null || :
  "${as[@]}" "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1 || :
  rm -rf "$dir"
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$dir"
"${as[@]}" "$bin/initdb" -D "$dir/data" -U postgres -A trust --no-sync >"$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log" >&2; exit 1; }
"${as[@]}" "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w start -o "-c wal_level=logical -c listen_addresses='' -c unix_socket_directories=$dir -c max_wal_senders=8 -c max_replication_slots=8" >/dev/null ||
  { cat "$dir/log" >&2; exit 1; }
cd - >/dev/null
export POSTGRES_URL="postgresql://postgres@/postgres?host=$dir&sslmode=disable"
"$@" &
command_pid=$!
code=0
wait "$command_pid" || code=$?
command_pid=
exit "$code"
