#!/usr/bin/env bash
# make_pg_corpus.sh: writes the seeds of fuzz_pgoutput and fuzz_pg_stream anew, from what a real server sends.
# Run it under tests/servers/with_servers.sh.
set -euo pipefail
corpus=$(cd "$(dirname "$0")" && pwd)/corpus
: "${TIDEGATE_POSTGRES_URL:?run this under tests/servers/with_servers.sh}"
ask() { psql -qXAt -v ON_ERROR_STOP=1 "$TIDEGATE_POSTGRES_URL" "$@"; }

# Column `big` is not published: it makes transactions large for the server, and their messages small.
ask <<'SQL'
ALTER SYSTEM SET logical_decoding_work_mem = '64kB';
SELECT pg_reload_conf();
DROP SCHEMA IF EXISTS s CASCADE;
CREATE SCHEMA s;
CREATE TYPE s.mood AS ENUM ('sad', 'glad');
CREATE TABLE s.t (id int PRIMARY KEY, v text, n numeric, big text);
CREATE TABLE s.u (id int PRIMARY KEY, m s.mood, wide text);
ALTER TABLE s.t ALTER big SET STORAGE PLAIN;
ALTER TABLE s.u ALTER wide SET STORAGE EXTERNAL;
CREATE TABLE s.f (id int, m s.mood);
ALTER TABLE s.f REPLICA IDENTITY FULL;
INSERT INTO s.u VALUES (1, 'sad', repeat('y', 3000));
CREATE PUBLICATION p FOR TABLE s.t (id, v, n), s.u, s.f;
SELECT pg_create_logical_replication_slot('fuzz', 'pgoutput');
SQL

large="INSERT INTO s.t SELECT i, 'v', i, repeat('x', 1900) FROM generate_series(1, 40) i;"

# messages <proto_version> <streaming>: a row each of kind and octets, and takes them off the slot.
messages() {
  echo "SELECT row_number() OVER () AS at, substr(data, 1, 1) AS kind, data
        FROM pg_logical_slot_get_binary_changes('fuzz', NULL, NULL, 'proto_version', '$1', 'streaming', '$2',
                                                'publication_names', 'p', 'messages', 'true')"
}
octets() { tr -d ' \n' | xxd -r -p; }

# seed <name> <proto_version> <streaming> <sql>: the messages of some statements, as the stream's feed and one by one.
seed() {
  ask -c "$4" >/dev/null
  ask >"$corpus/.seed" <<SQL
CREATE TEMP TABLE m AS $(messages "$2" "$3");
SELECT '00' || lpad(to_hex('s.t'::regclass::oid::bigint), 8, '0') ||
       string_agg(encode(int2send((25 + length(data))::int2) || '\x77' || int8send(0) || int8send(at) || int8send(0) || data ||
                         int2send(18::int2) || '\x6b' || int8send(at) || int8send(0) || '\x01' || int2send(0::int2), 'hex'),
                  '' ORDER BY at) FROM m;
SELECT DISTINCT ON (kind, length(data) > 30) encode(kind, 'escape') || ' ' || encode(data, 'hex') FROM m;
SQL
  head -n 1 "$corpus/.seed" | octets >"$corpus/fuzz_pg_stream/$1"
  local kind hex
  tail -n +2 "$corpus/.seed" | while read -r kind hex; do
    case $kind in [a-z]) kind=small_$kind ;; esac
    echo "$hex" | octets >"$corpus/fuzz_pgoutput/$1_${kind}_$((${#hex} / 2))"
  done
  rm "$corpus/.seed"
}

seed changes 1 off "INSERT INTO s.t VALUES (1, 'a', 1.5), (2, NULL, 'NaN'); UPDATE s.t SET v = 'b' WHERE id = 1;
  UPDATE s.t SET id = 3 WHERE id = 1; DELETE FROM s.t; TRUNCATE s.t, s.u"
seed messages 1 off "SELECT pg_logical_emit_message(true, 'tidegate', 'a'), pg_logical_emit_message(false, 'x', 'b')"
seed identities 2 off "UPDATE s.u SET m = 'glad'; INSERT INTO s.f VALUES (1, 'sad'), (2, NULL); UPDATE s.f SET m = 'glad';
  DELETE FROM s.f"
seed altered 3 off "INSERT INTO s.t VALUES (1); ALTER TABLE s.t RENAME v TO w; INSERT INTO s.t VALUES (2); DELETE FROM s.t;
  ALTER TABLE s.f ADD c int DEFAULT 7; INSERT INTO s.f VALUES (3)"
seed streamed 2 on "BEGIN; $large SAVEPOINT a; DELETE FROM s.t; ROLLBACK TO a; INSERT INTO s.t VALUES (99, 'after'); COMMIT"
seed streamed_undone 3 on "BEGIN; DELETE FROM s.t; $large SAVEPOINT a; UPDATE s.t SET big = big || 'x'; ROLLBACK TO a;
  UPDATE s.t SET big = big || 'y'; ROLLBACK"

ask -c "SELECT pg_drop_replication_slot('fuzz')" -c "DROP PUBLICATION p" -c "DROP SCHEMA s CASCADE" \
    -c "ALTER SYSTEM RESET logical_decoding_work_mem" -c "SELECT pg_reload_conf()" >/dev/null 2>&1
