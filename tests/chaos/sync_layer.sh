#!/usr/bin/env bash
# Builds the sync layer, its server and its chaos program, and runs them against a private Postgres. See --help.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

usage() {
  cat <<'TEXT'
Usage: tests/chaos/sync_layer.sh [--rounds N] [--seed S]
A writer changes the table items, and a client posts to a stream; examples/sync_layer carries both to the other side.
Meanwhile the bridge, the stream server and Postgres are killed with -9, and connections are cut. After each round the
table and its stream, and the stream and its table, must be equal: by key, by version and by offset.
  --rounds N  how many rounds (5, as CI runs; a release runs 100)
  --seed S    the first round's seed (1)
Environment: TIDEGATE_CHAOS_BUILD, the build directory (build/release).
Exit status: 0 all rounds passed, 1 one failed, 2 wrong usage. docs/sync-layer.md says more.
TEXT
}

rounds=5 first=1
number() { # OPTION VALUE
  [[ ${2:-} =~ ^[1-9][0-9]{0,8}$ ]] || { echo "tests/chaos/sync_layer.sh: $1 takes a number from 1 on" >&2; exit 2; }
}
while (($#)); do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --rounds) number "$@"; rounds=$2; shift ;;
    --seed) number "$@"; first=$2; shift ;;
    *) echo "tests/chaos/sync_layer.sh: unknown option '$1'" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

build=${TIDEGATE_CHAOS_BUILD:-$here/build/release}
if [[ ! -e $build/CMakeCache.txt ]]; then
  (cd "$here" && cmake --preset release -B "$build" >/dev/null)
fi
cmake --build "$build" --target tidegate_sync_chaos durable_stream_server sync_layer >/dev/null

folder=$(mktemp -d /tmp/tidegate-sync-chaos.XXXXXX)
code=0
"$here/tests/servers/with_servers.sh" "$build/tests/chaos/tidegate_sync_chaos" "$first" "$rounds" "$folder" \
  "$build/examples/durable_stream_server/durable_stream_server" "$build/examples/sync_layer/sync_layer" || code=$?
if ((code != 0)); then
  echo "the processes' logs are in $folder; the bridge's end:"
  tail -n 25 "$folder/bridge.log"
else
  rm -rf "$folder"
fi
exit "$code"
