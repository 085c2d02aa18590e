#!/usr/bin/env bash
# Builds the chaos program of the MySQL source and runs it against private servers. See --help.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

usage() {
  cat <<'TEXT'
Usage: tests/chaos/mysql_source.sh [--rounds N] [--seed S] [--program FILE]
Random writers change a MariaDB database; an engine in a process of its own follows its binlog into SQLite and PostgreSQL.
Engine and servers are killed with -9, connections cut and frozen, the SQLite sink's disk is filled, the binlog purged.
After each round Engine::verify() must find nothing, and both must equal the source by plain queries.
  --rounds N      how many rounds (11, which meet each fault once; a release runs 200)
  --seed S        the first round's seed (1)
  --program FILE  run this one instead of building it
Environment: TIDEGATE_CHAOS_BUILD, the build directory (build/release).
Exit status: 0 all rounds passed, 1 one failed, 2 wrong usage. docs/chaos.md says more.
TEXT
}

rounds=11 first=1 program=
number() { # OPTION VALUE
  [[ ${2:-} =~ ^[1-9][0-9]{0,8}$ ]] || { echo "tests/chaos/mysql_source.sh: $1 takes a number from 1 on" >&2; exit 2; }
}
while (($#)); do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --rounds) number "$@"; rounds=$2; shift ;;
    --seed) number "$@"; first=$2; shift ;;
    --program)
      [[ -x ${2:-} ]] || { echo "tests/chaos/mysql_source.sh: --program takes a program" >&2; exit 2; }
      program=$2
      shift ;;
    *) echo "tests/chaos/mysql_source.sh: unknown option '$1'" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

if [[ -z $program ]]; then
  build=${TIDEGATE_CHAOS_BUILD:-$here/build/release}
  if [[ ! -e $build/CMakeCache.txt ]]; then
    (cd "$here" && cmake --preset release -B "$build" >/dev/null)
  fi
  cmake --build "$build" --target tidegate_mysql_chaos >/dev/null
  program=$build/tests/chaos/tidegate_mysql_chaos
fi

folder=$(mktemp -d /tmp/tidegate-mysql-chaos.XXXXXX)
export TIDEGATE_CHAOS_LOG=$folder.log
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
"$here/tests/servers/with_servers.sh" "$program" "$first" "$rounds" "$folder" "$kind" || code=$?
if ((code != 0)); then
  echo "the engine's log is $TIDEGATE_CHAOS_LOG; its end:"
  tail -n 25 "$TIDEGATE_CHAOS_LOG"
else
  rm -f "$TIDEGATE_CHAOS_LOG"
fi
exit "$code"
