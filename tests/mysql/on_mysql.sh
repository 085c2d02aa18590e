#!/usr/bin/env bash
# Runs the tests that speak MySQL on MySQL itself, in MariaDB's place. See --help.
set -uo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

usage() {
  cat <<'TEXT'
Usage: tests/mysql/on_mysql.sh [--server 9|8.4|8.0] [--quick] [--build DIR] [--chaos N]
MySQL 9 comes from Debian's unreleased suite, unpacked into TIDEGATE_MYSQL_FOLDER (build/mysql), and is not installed;
8.4 and 8.0 come from Ubuntu's archive (tests/servers/ubuntu_packages.sh), into build/mysql-8.4 and build/mysql-8.0.
Source, sink, queries, polling and jobs, with GTIDs; then the source without them; then rounds of chaos.
  --server V   which MySQL (9)
  --quick      only the source's contract, its types and what only MySQL has, with GTIDs; where MySQL cannot be had, that
               is said, and is no failure
  --build DIR  the build whose test programs are run (build/release); they must be there
  --chaos N    rounds of chaos (22; 0: none)
Exit status: 0 all passed, 1 one failed, 2 wrong usage, 75 to 77 MySQL cannot be had (tests/servers/debian_packages.sh).
TEXT
}

quick= build=$top/build/release chaos=22 server=9
while (($#)); do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --server) server=${2:-}; shift ;;
    --quick) quick=1 ;;
    --build) build=$(cd "${2:?--build needs a folder}" && pwd); shift ;;
    --chaos) chaos=${2:?--chaos needs a number}; shift ;;
    *) echo "tests/mysql/on_mysql.sh: unknown option '$1'" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

# `tried`: that suite moves on by itself. What fails with a MySQL that nobody has tried is told, and is not this checkout's
# fault.
case $server in
  9) unpack=debian_packages.sh suite=sid folder=mysql package=mysql-server-core tried=9.7.4 ;;
  8.4) unpack=ubuntu_packages.sh suite=resolute folder=mysql-8.4 package=mysql-server-core tried=8.4.8 ;;
  8.0) unpack=ubuntu_packages.sh suite=noble folder=mysql-8.0 package=mysql-server-core-8.0 tried=8.0.36 ;;
  *) echo "tests/mysql/on_mysql.sh: --server takes 9, 8.4 or 8.0" >&2; exit 2 ;;
esac
export TIDEGATE_MYSQL_SERVER=mysql TIDEGATE_MYSQL_FOLDER=${TIDEGATE_MYSQL_FOLDER:-$top/build/$folder}
patience=600
[[ -z $quick ]] || patience=90
timeout "$patience" "$top/tests/servers/$unpack" "$suite" "$TIDEGATE_MYSQL_FOLDER" "$package"
had=$?
if ((had != 0)); then
  if [[ -n $quick ]] && ((had == 124 || (had >= 75 && had <= 77))); then
    echo "The tests on MySQL were left out: it cannot be had here now."
    exit 0
  fi
  exit "$((had == 124 ? 75 : had))"
fi
grep mysql-server-core "$TIDEGATE_MYSQL_FOLDER/packages"
new=
grep -q "^$package $tried" "$TIDEGATE_MYSQL_FOLDER/packages" || new=1

passed=0 failed=0
log=$(mktemp /tmp/tidegate-on-mysql.XXXXXX)
trap 'rm -f "$log"' EXIT
run() { # PROGRAM FILTER
  local count bad
  echo "$(basename "$1"), gtid_mode ${TIDEGATE_MYSQL_GTID:-ON}"
  "$top/tests/servers/with_servers.sh" "$build/tests/$1" --gtest_filter="$2" --gtest_brief=1 >"$log" 2>&1
  local code=$?
  count=$(sed -nE 's/^\[==========\] ([0-9]+) tests? from .* ran\..*/\1/p' "$log")
  bad=$(sed -nE 's/^ *([0-9]+) FAILED TESTS?$/\1/p' "$log")
  # One that ended early has run nothing to its end.
  ((code == 0 && ${count:-0} > 0)) || bad=${bad:-1}
  failed=$((failed + ${bad:-0}))
  passed=$((passed + ${count:-1} - ${bad:-0}))
  [[ -z $bad ]] || cat "$log"
}

if [[ -n $quick ]]; then
  run mysql/mysql_source_test '*SyncSourceContract*:*SourceFailures*/ByGtid:*SourceFailures*/InChunks:BinlogTypes*:MySqlAlone*'
else
  run mysql/mysql_source_test '*'
  run mysql/mysql_crash_test '*'
  run mysql/mysql_sink_test '*'
  run servers/servers_test '*mysql*:Mysql*'
  run jobs/jobs_servers_test '*'
  TIDEGATE_MYSQL_GTID=OFF run mysql/mysql_source_test '*'
  if ((chaos > 0)); then
    "$top/tests/chaos/mysql_source.sh" --rounds "$chaos" --program "$build/tests/chaos/tidegate_mysql_chaos"
    (($? == 0)) && passed=$((passed + 1)) || failed=$((failed + 1))
  fi
fi
if [[ -n $quick && -n $new ]] && ((failed > 0)); then
  echo "This MySQL is another one than was tried ($tried): its $failed failures are not counted. See tests/mysql/on_mysql.sh"
  failed=0
fi
total=$((passed + failed))
echo "$((100 * passed / (total ? total : 1)))% tests passed, $failed tests failed out of $total"
((failed == 0))
