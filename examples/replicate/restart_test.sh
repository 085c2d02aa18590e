#!/usr/bin/env bash
# restart_test.sh REPLICATE: a baseline, changes while it is down, changes while it is killed; then both sides are equal.
set -euo pipefail
replicate=$1
url=${TIDEGATE_POSTGRES_URL:?run this under tests/servers/with_servers.sh}
dir=$(mktemp -d)
trap 'kill -9 $(jobs -p) 2>/dev/null || :; rm -rf "$dir"' EXIT
sql() { psql -qAtX -v ON_ERROR_STOP=1 "$url" -c "$1"; }
follow=("$replicate" --from "$url" --to "$dir/replica.db" --table public.replicate_people --slot tidegate_replicate_test)

sql 'DROP TABLE IF EXISTS replicate_people; CREATE TABLE replicate_people(id bigint PRIMARY KEY, name text, born date);
     INSERT INTO replicate_people SELECT n, $$person $$ || n, $$2000-01-01$$::date + n::int FROM generate_series(1, 5000) n'
"${follow[@]}" --seconds 2
sql 'UPDATE replicate_people SET name = upper(name) WHERE id % 3 = 0; DELETE FROM replicate_people WHERE id % 10 = 0'
"${follow[@]}" --seconds 60 &
sleep 1
sql 'INSERT INTO replicate_people SELECT n, $$late $$ || n, NULL FROM generate_series(6000, 26000) n'
kill -9 $!
wait $! 2>/dev/null || :
sql 'UPDATE replicate_people SET id = id + 100000 WHERE id BETWEEN 11 AND 19'
"${follow[@]}" --seconds 2 --verify --forget | tee "$dir/out"
grep -q '24501' "$dir/out" || { echo "the report does not name the 24501 rows"; exit 1; }
[[ $(sql "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'tidegate_replicate_test'") = 0 ]]
if "${follow[@]}" --table public.replicate_nothing --seconds 1 2>"$dir/err"; then echo "a missing table was taken"; exit 1; fi
grep -q 'replicate_nothing' "$dir/err"
sql 'DROP TABLE replicate_people'
