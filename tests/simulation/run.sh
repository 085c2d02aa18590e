#!/usr/bin/env bash
# Builds the simulator and runs it. The seeds are shared out over the processors; --seed replays one, with its trace.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)

if [[ "${1:-}" == "--help" || "${1:-}" == "-h" ]]; then
  cat <<'TEXT'
usage: tests/simulation/run.sh [--seeds N] [--first S] [--minutes M] [--jobs J] | --seed S [--mutate NAME]
  --seeds N    run N seeds: 300 in CI (the default), 10,000 for a release
  --first S    begin at seed S (1)
  --minutes M  stop after M minutes
  --jobs J     processes (one a processor)
  --seed S     replay one seed exactly, printing its trace
  --mutate M   break the run on purpose, to see the oracle find it: dropDelta, corruptValue, loseCommit, hideRow,
               forgetDelta
Environment: TIDEGATE_SIM_BUILD (build directory, default build/simulation), TIDEGATE_SIM_TYPE (Release).
TEXT
  exit 0
fi

build=${TIDEGATE_SIM_BUILD:-$here/build/simulation}
seeds=300 first=1 jobs=$(nproc) rest=()
single=
while [[ $# -gt 0 ]]; do
  case $1 in
    --seeds) seeds=$2; shift 2 ;;
    --first) first=$2; shift 2 ;;
    --jobs) jobs=$2; shift 2 ;;
    --seed) single=$2; shift 2 ;;
    --minutes | --mutate) rest+=("$1" "$2"); shift 2 ;;
    *) echo "run.sh: unknown option $1 (--help)" >&2; exit 2 ;;
  esac
done

log=$(mktemp)
trap 'rm -f "$log"' EXIT
{
  cmake -S "$here" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE="${TIDEGATE_SIM_TYPE:-Release}" -DTIDEGATE_POSTGRES=OFF \
    -DTIDEGATE_MYSQL=OFF -DTIDEGATE_EXAMPLES=OFF -DTIDEGATE_TESTS=ON &&
    cmake --build "$build" --target tidegate_simulate
} >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
simulate=$build/tests/simulation/tidegate_simulate

if [[ -n $single ]]; then
  exec "$simulate" --seed "$single" "${rest[@]}"
fi

# Each process takes a share; the first failure of each is printed, and makes the whole run fail.
share=$(((seeds + jobs - 1) / jobs))
pids=()
for ((j = 0; j < jobs; ++j)); do
  from=$((first + j * share))
  count=$((first + seeds - from < share ? first + seeds - from : share))
  [[ $count -gt 0 ]] || continue
  "$simulate" --first "$from" --seeds "$count" "${rest[@]}" &
  pids+=($!)
done
status=0
for pid in "${pids[@]}"; do wait "$pid" || status=1; done
exit $status
