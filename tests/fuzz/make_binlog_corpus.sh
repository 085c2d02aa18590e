#!/usr/bin/env bash
# make_binlog_corpus.sh: writes tests/fuzz/corpus/fuzz_binlog anew from a real server's binlog. Run it under
# tests/servers/with_servers.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
sql() { mariadb --no-defaults --socket="$TIDEGATE_SERVERS_DIR/run/mysql.sock" --user=root "$@"; }
sql <<'SQL'
CREATE DATABASE corpus CHARACTER SET utf8mb4;
USE corpus;
CREATE TABLE t (id INT UNSIGNED PRIMARY KEY, a VARCHAR(300), d DECIMAL(20,5), dt DATETIME(6), ts TIMESTAMP(3) NULL, ti TIME(2),
  da DATE, y YEAR, e ENUM('x','y'), s SET('p','q'), b BIT(12), bl BLOB, g GEOMETRY, f FLOAT, do DOUBLE, u UUID, c TEXT COMPRESSED);
FLUSH BINARY LOGS;
INSERT INTO t VALUES (1, 'zoë', -1.5, '2024-05-01 12:00:00.5', NOW(), '-12:00:00.25', '2024-02-29', 2024, 'y', 'p,q', b'1010',
  x'00ff', ST_GeomFromText('MULTIPOINT(1 2,3 4)'), 1.5, 2.5, UUID(), REPEAT('abc', 20));
UPDATE t SET id = 2, a = NULL;
SET SESSION binlog_row_image = MINIMAL;
UPDATE t SET d = 2;
XA START 'x'; DELETE FROM t; XA END 'x'; XA PREPARE 'x'; XA COMMIT 'x';
SET GLOBAL log_bin_compress = ON;
INSERT INTO t (id, bl) VALUES (3, REPEAT('y', 2000));
TRUNCATE TABLE t;
FLUSH BINARY LOGS;
SQL
file=$(sql -N -e 'SHOW BINARY LOGS' | tail -n 2 | head -n 1 | cut -f 1)
rm -rf "$here/corpus/fuzz_binlog"
mkdir -p "$here/corpus/fuzz_binlog"
# The events behind the file's first four octets, each without its checksum and with the length that is then right.
python3 - "$TIDEGATE_SERVERS_DIR/mysql/$file" "$here/corpus/fuzz_binlog" <<'PYTHON'
import struct, sys
octets, at, events = open(sys.argv[1], "rb").read(), 4, []
while at < len(octets):
    size = struct.unpack_from("<I", octets, at + 9)[0]
    event = octets[at:at + size]
    events.append(event[:9] + struct.pack("<I", size - 4) + event[13:-4])
    at += size
open(sys.argv[2] + "/recorded", "wb").write(b"".join(events))
for i, event in enumerate(events):
    if event[4] in (19, 23, 24, 25, 166):
        open(f"{sys.argv[2]}/table_and_rows_{i}", "wb").write(b"".join(events[max(0, i - 1):i + 1]))
PYTHON
printf 'G\x01\x00\x01\x05\x00' >"$here/corpus/fuzz_binlog/position"
printf '0-1-5+7@0-1-6;xa=0-1-4' >"$here/corpus/fuzz_binlog/position_text"
printf '\x00\x02\x00\x22\x00\x12\x00\x01\x00\x13\x00\x01\x00\x05\x01\x00\x02\x14\x00ab\x02\x00\x0e\x00\x04\x01\x00\x0c\x0a\x00\x01x\x00\x00' >"$here/corpus/fuzz_binlog/json"
