#!/usr/bin/env bash
# Builds the benchmarks in Release and runs them: tests/bench/run.sh [--list] [NAME…]
# Prints one JSON line a figure: ratio = ours against the named limit, measured in the same run. Exit code 1 if a bar
# does not hold. Benchmarks that need Postgres or MariaDB get private servers.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
case "${1:-}" in
  -h | --help) sed -n '2,4s/^# //p' "$0"; exit 0 ;;
esac
build=$top/build-bench
cmake -S "$top" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DTIDEGATE_BENCH=ON -DTIDEGATE_EXAMPLES=OFF >"$top/.bench-configure.log" 2>&1 ||
  { cat "$top/.bench-configure.log" >&2; exit 2; }
rm -f "$top/.bench-configure.log"
cmake --build "$build" --target tidegate_bench >&2
needs_servers=1
needs_peer=1
if [ $# -gt 0 ]; then
  needs_servers=0
  needs_peer=0
  for name in "$@"; do case "$name" in ds_*) needs_peer=1 ;; esac; done
  for name in "$@"; do case "$name" in *postgres* | *mysql* | pg_*) needs_servers=1 ;; esac; done
fi
# The reference Durable Streams server, which ours is measured beside. Without npm those benchmarks say what they lack.
if [ "$needs_peer" = 1 ] && command -v npm >/dev/null; then
  peer=$build/npm-ds
  "$top/tests/servers/npm_install.sh" "$peer" @durable-streams/server@0.3.7
  cp "$top/tests/bench/ds_peer.mjs" "$peer/"
  export TIDEGATE_DS_PEER=$peer
fi
# The same for the emulators of Kinesis and S3.
emulators=()
needs_emulators=$needs_servers
for name in "$@"; do case "$name" in kinesis_*) needs_emulators=1 ;; esac; done
if [ "$needs_emulators" = 1 ] && command -v npm >/dev/null; then
  emulators=("$top/tests/kinesis/with_emulators.sh" --npm "$build/emulators")
fi
# And for JetStream's, with three nats-servers.
needs_nats=$needs_servers
for name in "$@"; do case "$name" in nats_*) needs_nats=1 ;; esac; done
if [ "$needs_nats" = 1 ] && [ -n "${TIDEGATE_NATS_SERVER:-}$(command -v nats-server || ls /usr/sbin/nats-server 2>/dev/null)" ]; then
  emulators=("$top/tests/nats/with_nats.sh" --cluster 3 "${emulators[@]}")
fi
if [ "$needs_servers" = 1 ]; then
  exec "$top/tests/servers/with_servers.sh" "${emulators[@]}" "$build/tests/bench/tidegate_bench" "$@"
fi
exec "${emulators[@]}" "$build/tests/bench/tidegate_bench" "$@"
