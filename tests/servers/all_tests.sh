#!/usr/bin/env bash
# Runs every test that speaks PostgreSQL, or MariaDB, on the servers that with_servers.sh starts. See --help.
set -uo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

usage() {
  cat <<'TEXT'
Usage: tests/servers/all_tests.sh postgres|mariadb [--build DIR] [--chaos N]
Sources, sinks, stores of state, queries, polling and jobs; then rounds of chaos. Under tests/postgres/newer_server.sh or
tests/mysql/newer_server.sh these are other servers than the installed ones. For MySQL: tests/mysql/on_mysql.sh.
  --build DIR  the build whose test programs are run (build/release); they must be there
  --chaos N    rounds of chaos (10 with PostgreSQL, 6 with MariaDB; 0: none)
Exit status: 0 all passed, 1 one failed, 2 wrong usage.
TEXT
}

server= build=$top/build/release chaos=
while (($#)); do
  case $1 in
    --help | -h) usage; exit 0 ;;
    postgres | mariadb) server=$1 ;;
    --build) build=$(cd "${2:?--build needs a folder}" && pwd); shift ;;
    --chaos) chaos=${2:?--chaos needs a number}; shift ;;
    *) echo "tests/servers/all_tests.sh: unknown option '$1'" >&2; usage >&2; exit 2 ;;
  esac
  shift
done
[[ -n $server ]] || { usage >&2; exit 2; }

passed=0 failed=0
log=$(mktemp /tmp/tidegate-all-tests.XXXXXX)
trap 'rm -f "$log"' EXIT
run() { # PROGRAM FILTER
  local count bad
  echo "$1 $2"
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
rounds() { # SCRIPT
  [[ $chaos != 0 ]] || return
  echo "$1, $chaos rounds"
  if TIDEGATE_CHAOS_BUILD=$build "$top/tests/chaos/$1" --rounds "$chaos"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}

if [[ $server == postgres ]]; then
  chaos=${chaos:-10}
  for program in baseline stream sink crash; do run "postgres/postgres_${program}_test" '*'; done
  run electric/electric_where_server_test '*'
  run servers/servers_test '*ostgres*'
  run jobs/jobs_servers_test '*'
  rounds run.sh
else
  chaos=${chaos:-6}
  for program in source crash sink; do run "mysql/mysql_${program}_test" '*'; done
  run servers/servers_test '*mysql*:Mysql*'
  run jobs/jobs_servers_test '*'
  rounds mysql_source.sh
fi
total=$((passed + failed))
echo "$((100 * passed / (total ? total : 1)))% tests passed, $failed tests failed out of $total"
((failed == 0))
