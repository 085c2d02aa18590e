#!/usr/bin/env bash
# Builds the chaos program of the SQLite source and runs it. It needs no servers. See --help.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

usage() {
  cat <<'TEXT'
Usage: tests/chaos/sqlite_source.sh [--rounds N] [--seed S]
Programs write at random to a SQLite database; an engine in a process of its own follows it into two replicas. Engine and
writers are killed with -9 and frozen, tables are altered and rebuilt, triggers and the change table dropped. After each
round Engine::verify() must find nothing, and the replicas must equal the source by plain queries.
  --rounds N  how many rounds (11, which meet each fault once; a release runs 200)
  --seed S    the first round's seed (1)
Environment: TIDEGATE_CHAOS_BUILD, the build directory (build/release).
Exit status: 0 all rounds passed, 1 one failed, 2 wrong usage. docs/sqlite-source.md says more.
TEXT
}

rounds=11 first=1
number() { # OPTION VALUE
  [[ ${2:-} =~ ^[1-9][0-9]{0,8}$ ]] || { echo "tests/chaos/sqlite_source.sh: $1 takes a number from 1 on" >&2; exit 2; }
}
while (($#)); do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --rounds) number "$@"; rounds=$2; shift ;;
    --seed) number "$@"; first=$2; shift ;;
    *) echo "tests/chaos/sqlite_source.sh: unknown option '$1'" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

build=${TIDEGATE_CHAOS_BUILD:-$here/build/release}
if [[ ! -e $build/CMakeCache.txt ]]; then
  (cd "$here" && cmake --preset release -B "$build" >/dev/null)
fi
cmake --build "$build" --target tidegate_sqlite_chaos >/dev/null

folder=$(mktemp -d /tmp/tidegate-sqlite-chaos.XXXXXX)
code=0
"$build/tests/chaos/tidegate_sqlite_chaos" "$first" "$rounds" "$folder" || code=$?
if ((code != 0)); then
  echo "databases and log are in $folder; the log's end:"
  tail -n 25 "$folder/log"
else
  rm -rf "$folder"
fi
exit "$code"
