#!/usr/bin/env bash
# Builds the chaos program and runs it against private servers. See --help.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

rounds=5 first=1
while (($#)); do
  case $1 in
    --help | -h)
      cat <<'TEXT'
usage: tests/chaos/run.sh [--rounds N] [--seed S]
Random writers change a PostgreSQL database; an engine in a process of its own follows it into SQLite, PostgreSQL and
MariaDB; servers and engine are killed, connections cut, a disk filled, the slot dropped. After each round all three
must equal the source.
  --rounds N   how many rounds: 5 in CI (the default), 200 for a release
  --seed S     the first round's seed (1); a round's seed and schedule are printed
Environment: TIDEGATE_CHAOS_BUILD (build directory, default build/release), TIDEGATE_CHAOS_LOG (the engine's log).
TEXT
      exit 0 ;;
    --rounds) rounds=$2; shift 2 ;;
    --seed) first=$2; shift 2 ;;
    *) echo "run.sh: unknown option $1 (--help)" >&2; exit 2 ;;
  esac
done

build=${TIDEGATE_CHAOS_BUILD:-$here/build/release}
if [[ ! -e $build/CMakeCache.txt ]]; then
  (cd "$here" && cmake --preset release -B "$build" >/dev/null)
fi
cmake --build "$build" --target tidegate_chaos >/dev/null

folder=$(mktemp -d /tmp/tidegate-chaos.XXXXXX)
kind=shared
if mount -t tmpfs -o size=256m tidegate-chaos "$folder" 2>/dev/null; then kind=own; fi
finish() {
  [[ $kind = shared ]] || umount "$folder" 2>/dev/null || :
  rm -rf "$folder"
}
trap finish EXIT
export TIDEGATE_CHAOS_LOG=${TIDEGATE_CHAOS_LOG:-/tmp/tidegate-chaos-engine.$$.log}
: >"$TIDEGATE_CHAOS_LOG"
TIDEGATE_WITH_REPLICA=1 "$here/tests/servers/with_servers.sh" "$build/tests/chaos/tidegate_chaos" "$first" "$rounds" "$folder" "$kind"
rm -f "$TIDEGATE_CHAOS_LOG"
