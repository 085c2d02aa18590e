#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test of the project. See --help.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stages=(packages format release tests conformance browser simulation chaos asan tsan fuzz)
quick_stages=(packages format release tests)
usage() {
  cat <<'TEXT'
Usage: tests/run.sh [--quick] [--only STAGE]... [--jobs N] [--verbose]
  packages    install the Debian packages that are missing
  format      clang-format finds nothing to change
  release     g++ release build of everything, warnings are errors
  tests       unit, property, example, install, docs and layer tests; PostgreSQL and MariaDB are started for them
  conformance the outside suites of the protocols that are spoken here, from npm; the MySQL source on MySQL itself, where
              it can be had (all of it: tests/mysql/on_mysql.sh)
  browser     the pages of the examples in headless Chromium
  simulation  300 seeds of the simulator
  chaos       5 rounds of writers and faults on real servers (a release runs 200: tests/chaos/run.sh --rounds 200), and
              as many of the sync layer (100: tests/chaos/sync_layer.sh --rounds 100), 2 of the MySQL source, and
              3 of the cluster (100: tests/chaos/cluster.sh --rounds 100)
  asan        clang++ build of all that runs here, warnings are errors; clang++ finds none in the rest either: examples,
              benchmarks, tests that need servers. Unit and property tests under AddressSanitizer and
              UndefinedBehaviorSanitizer, each program a test; property tests with a tenth of their seeds
              (TIDEGATE_SEEDS_PERCENT=100 tests/run.sh --only asan: all of them)
  tsan        the same tests under ThreadSanitizer, with g++
  fuzz        each fuzz target for 10 seconds (a release: tests/fuzz/run.sh --seconds 600)
Stops at the first stage that fails. The last line is "N passed, N failed": tests, and stages that are not made of tests.
  --quick       only the first four
  --only STAGE  only this one; may be repeated
  --jobs N      parallel jobs (default: one for each processor)
  --verbose     show what each stage prints; otherwise it goes to build/logs/STAGE.log
TEXT
}

jobs=$(nproc)
only=()
verbose=
while (($#)); do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --quick) only=("${quick_stages[@]}") ;;
    --only)
      [[ " ${stages[*]} " == *" ${2:-} "* ]] || { echo "tests/run.sh: --only takes one of: ${stages[*]}" >&2; exit 2; }
      only+=("$2")
      shift ;;
    --jobs)
      [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || { echo "tests/run.sh: --jobs takes a number" >&2; exit 2; }
      jobs=$2
      shift ;;
    --verbose) verbose=1 ;;
    *) echo "tests/run.sh: unknown option '$1'" >&2; usage >&2; exit 2 ;;
  esac
  shift
done
((${#only[@]})) || only=("${stages[@]}")

# Labels of tests that a sanitizer build leaves out: they need servers, other builds, or most of an hour.
outer='^(servers|simulation|bench|examples|install|docs|layers)$'

build() { cmake --preset "$1" && cmake --build --preset "$1" -j "$jobs" "${@:2}"; }

run_packages() { cmake/install_packages.sh build test fuzz lint; }
run_format() {
  git ls-files -z -- '*.h' '*.cpp' | xargs -0 -r clang-format --dry-run -Werror
}
run_release() { build release; }
# Tests that need servers mostly wait for them, and take turns: every other one gets servers of its own, and those that
# need none go on beside them.
run_tests() {
  build release || return
  local part rc=0 logs=build/logs/tests
  for part in 1 2; do
    with_servers "$logs-servers-$part.log" -L servers -I "$part,,2" &
    eval "local pid_$part=$!"
  done
  ctest --preset release -LE servers -j "$jobs" >"$logs-others.log" 2>&1 || rc=1
  for part in 1 2; do
    local pid=pid_$part
    wait "${!pid}" || once_more "$logs-servers-$part.log" || { rc=$((rc + 2 * part)); continue; }
    cat "$logs-servers-$part.log"
  done
  ((rc & 1)) && once_more "$logs-others.log" && rc=$((rc - 1))
  cat "$logs-others.log"
  ((rc & 2)) && cat "$logs-servers-1.log"
  ((rc & 4)) && cat "$logs-servers-2.log"
  ((rc == 0))
}
with_servers() { # LOG CTEST_OPTION...
  tests/servers/with_servers.sh ctest --preset "${preset:-release}" -j 1 "${@:2}" >"$1" 2>&1
}
# One or two tests that failed beside the others are tried once more by themselves: a loaded machine and a server that
# dies at the wrong moment are not the same as a mistake. They are named at the end, since each may still be one. What a
# sanitizer reports is one. Where a test is a whole program (PRESET), one or two of its cases may have failed.
once_more() { # LOG [PRESET]
  local numbers cases=() again=${1%.log}-again.log
  ! grep -qE 'WARNING: ThreadSanitizer|ERROR: (Address|Leak)Sanitizer|: runtime error: ' "$1" || return 1
  [[ -z ${2:-} ]] || mapfile -t cases < <(failed_cases "$1")
  ((${#cases[@]} <= 2)) || return 1
  mapfile -t numbers < <(sed -nE 's/^\t *([0-9]+) - .* \((Failed|Timeout|SEGFAULT|Subprocess aborted)\)$/\1/p' "$1")
  ((${#numbers[@]} == 1 || ${#numbers[@]} == 2)) || return 1
  preset=${2:-release} with_servers "$again" -I "0,0,0,$(IFS=,; echo "${numbers[*]}")" || return 1
  grep -qE "tests passed, 0 tests failed out of ${#numbers[@]}\$" "$again" || return 1
  sed -nE 's/^\t *[0-9]+ - (.*) \((Failed|Timeout|SEGFAULT|Subprocess aborted)\)$/\1/p' "$1" >>build/logs/unsteady
  ((${#cases[@]} == 0)) || printf '  %s\n' "${cases[@]}" >>build/logs/unsteady
  sed -i -E 's/^[0-9]+% tests passed, ([0-9]+) tests failed out of ([0-9]+)$/\1 of \2 failed at first.\n100% tests passed, 0 tests failed out of \2/' "$1"
}
failed_cases() { sed -nE 's/^\[  FAILED  \] ([^ ,]+\.[^ ,]+).*/\1/p' "$1" | sort -u; } # LOG
run_conformance() { build release && tests/mysql/on_mysql.sh --quick && tests/conformance/run.sh; }
run_simulation() { build release && tests/simulation/run.sh --seeds 300; }
run_browser() { build release && tests/browser/run.sh build/release/examples/sync_layer/sync_layer; }
run_chaos() { build release && tests/chaos/run.sh --rounds 5 && tests/chaos/sync_layer.sh --rounds 5 && tests/chaos/mysql_source.sh --rounds 2 &&
  tests/chaos/cluster.sh --rounds 3; }
run_asan() {
  local -x ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1
  build asan && sanitized asan
}
run_tsan() {
  local -x TSAN_OPTIONS=halt_on_error=1
  build tsan && sanitized tsan
}
sanitized() { # PRESET
  local rc=0 log=build/logs/$1-tests.log
  local -x TIDEGATE_SEEDS_PERCENT=${TIDEGATE_SEEDS_PERCENT:-10}
  ctest --preset "$1" -j "$jobs" -LE "$outer" >"$log" 2>&1 || once_more "$log" "$1" || rc=1
  cat "$log"
  return "$rc"
}
run_fuzz() { tests/fuzz/run.sh --seconds 10; }

# What a log says of what failed, shortly: the end of a long one tells of what passed.
failures() { # LOG
  # A case that neither passed nor failed ended its program, or was not ended by it.
  awk '/^\[ RUN      \] / { running = $4 } /^\[ +OK \] |^\[  FAILED  \] |^\[  SKIPPED \] / { running = "" }
    /^ +Start +[0-9]+: |^ *[0-9]+\/[0-9]+ Test +#/ { if (running) print "did not end: " running; running = "" }
    END { if (running) print "did not end: " running }' "$1"
  grep -E -A4 'Test +#.*\*\*\*(Failed|Timeout|Exception|Not)|^\[  FAILED  \]|: Failure$|^FAILED: |error: |ERROR: |SUMMARY: |could not|\((Failed|Timeout)\)$' "$1" |
    sed -E 's/\.{4,}/.../; s/(.{300}).*/\1/' | awk '!seen[$0]++' | head -n 70
}

passed=0
failed=0
mkdir -p build/logs
rm -f build/logs/unsteady
# Adds what ctest said ("98% tests passed, 2 tests failed out of 100"), or one for a stage that is no set of tests.
count() { # LOG RC
  local total bad
  read -r bad total < <(awk '/tests passed, [0-9]+ tests failed out of/ {
    match($0, /passed, [0-9]+/); bad += substr($0, RSTART + 8, RLENGTH - 8); total += $NF } END { print bad + 0, total + 0 }' "$1")
  if ((total == 0)); then
    total=1
    bad=$(($2 != 0))
  elif (($2 != 0 && bad == 0)); then
    bad=1 total=$((total + 1))
  fi
  passed=$((passed + total - bad))
  failed=$((failed + bad))
}

for stage in "${only[@]}"; do
  log=build/logs/$stage.log
  printf '%-12s' "$stage"
  start=$SECONDS
  if [[ -n $verbose ]]; then
    echo
    "run_$stage" </dev/null 2>&1 | tee "$log"
    rc=${PIPESTATUS[0]}
  else
    "run_$stage" </dev/null >"$log" 2>&1
    rc=$?
  fi
  count "$log" "$rc"
  if ((rc == 0)); then
    printf 'ok      %4d s\n' $((SECONDS - start))
  else
    printf 'FAILED  %4d s\n' $((SECONDS - start))
    [[ -n $verbose ]] || { tail -n 40 "$log"; echo "What failed in build/logs/$stage.log:"; failures "$log"; }
    printf 'Run this stage again: tests/run.sh --only %s --verbose\n' "$stage"
    break
  fi
done
[[ ! -e build/logs/unsteady ]] || { echo 'Failed at first, passed alone (see build/logs):'; cat build/logs/unsteady; }
printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0))
