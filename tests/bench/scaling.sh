#!/usr/bin/env bash
# Measures what docs/scaling.md rests on: tests/bench/scaling.sh [MORE NAMES…]
# Prints JSON lines as tests/bench/run.sh does, after one that says how loaded the machine was. Needs nats-server and
# PostgreSQL; takes about ten minutes on two cores. The bars of these benchmarks are not this script's matter.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
case "${1:-}" in
  -h | --help) sed -n '2,4s/^# //p' "$0"; exit 0 ;;
esac
load=$(cut -d' ' -f1 /proc/loadavg)
echo "{\"name\":\"machine\",\"cores\":$(nproc),\"load\":$load,\"memory_kib\":$(awk '/MemTotal/ {print $2}' /proc/meminfo)}"
export TIDEGATE_LOAD_SECONDS=${TIDEGATE_LOAD_SECONDS:-20}
"$top/tests/bench/run.sh" push rules scaling_rows scaling_clients scaling_join http_push sync_load pg_stream_gateway \
  nats_push nats_pull nats_fan_out "$@" || [ $? -eq 1 ]
