#!/usr/bin/env bash
# Builds the chaos program and runs it against private servers. See --help.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

usage() {
  cat <<'TEXT'
Usage: tests/chaos/run.sh [--rounds N] [--seed S] [--log FILE]
Random writers change a PostgreSQL database; an engine in a process of its own follows it into SQLite, PostgreSQL and
MariaDB. Servers and engine are killed, connections cut and frozen, the SQLite sink's disk is filled, the slot dropped.
After each round Engine::verify() must find nothing, and the three must equal the source by plain queries.
  --rounds N  how many rounds (5, as CI runs; a release runs 200)
  --seed S    the first round's seed (1). A round's seed and schedule are printed before it runs
  --log FILE  where the engine writes its log, which is kept (default: a file in /tmp, kept where a round fails)
Environment: TIDEGATE_CHAOS_BUILD, the build directory (build/release).
Exit status: 0 all rounds passed, 1 one failed, 2 wrong usage. docs/chaos.md says more.
TEXT
}

rounds=5 first=1 log=
number() { # OPTION VALUE
  [[ ${2:-} =~ ^[1-9][0-9]{0,8}$ ]] || { echo "tests/chaos/run.sh: $1 takes a number from 1 on" >&2; exit 2; }
}
while (($#)); do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --rounds) number "$@"; rounds=$2; shift ;;
    --seed) number "$@"; first=$2; shift ;;
    --log)
      [[ -n ${2:-} ]] || { echo "tests/chaos/run.sh: --log takes a file" >&2; exit 2; }
      log=$2
      shift ;;
    *) echo "tests/chaos/run.sh: unknown option '$1'" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

build=${TIDEGATE_CHAOS_BUILD:-$here/build/release}
if [[ ! -e $build/CMakeCache.txt ]]; then
  (cd "$here" && cmake --preset release -B "$build" >/dev/null)
fi
cmake --build "$build" --target tidegate_chaos >/dev/null

folder=$(mktemp -d /tmp/tidegate-chaos.XXXXXX)
export TIDEGATE_CHAOS_LOG=${log:-$folder.log}
: >"$TIDEGATE_CHAOS_LOG"
kind=shared
# A file system of its own can be filled without harm; where none may be mounted, the engine's files get a size limit.
if mount -t tmpfs -o size=256m tidegate-chaos "$folder" 2>/dev/null; then kind=own; fi
finish() {
  [[ $kind = shared ]] || umount "$folder" 2>/dev/null || :
  rm -rf "$folder"
}
trap finish EXIT

code=0
TIDEGATE_WITH_REPLICA=1 "$here/tests/servers/with_servers.sh" \
  "$build/tests/chaos/tidegate_chaos" "$first" "$rounds" "$folder" "$kind" || code=$?
if ((code != 0)); then
  echo "the engine's log is $TIDEGATE_CHAOS_LOG; its end:"
  tail -n 25 "$TIDEGATE_CHAOS_LOG"
elif [[ -z $log ]]; then
  rm -f "$TIDEGATE_CHAOS_LOG"
fi
exit "$code"
