#!/usr/bin/env bash
# Builds the simulator and runs its simulations: that of pollers and gateway, the same with several gateways over one log,
# and that of the engine. The seeds of each are shared out over the processors; --seed replays one, with its trace.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)

if [[ "${1:-}" == "--help" || "${1:-}" == "-h" ]]; then
  cat <<'TEXT'
usage: tests/simulation/run.sh [--seeds N] [--first S] [--minutes M] [--jobs J] [--engine | --polling | --gateways]
       tests/simulation/run.sh [--engine | --gateways] --seed S [--mutate NAME]
  --engine     only the simulation of the engine
  --polling    only that of pollers and gateway
  --gateways   only that of pollers and several gateways over one log; without any of the three, all run
  --seeds N    run N seeds of each: 300 in CI (the default), 10,000 for a release
  --first S    begin at seed S (1)
  --minutes M  stop after M minutes
  --jobs J     processes (one a processor)
  --seed S     replay one seed exactly, printing its trace (of pollers and gateway, unless --engine is given)
  --mutate M   break the run on purpose, to see the oracle find it: dropDelta, corruptValue, loseCommit, hideRow,
               forgetDelta, with --gateways also hideEntry, otherEntry; with --engine ackReceived, dropFailedBatch, leaveWithoutErase, baselineGap,
               commitBeforeApply, applyBeforeCommit, overwriteUnchanged, loseRepairs, keepLetters, blindVerify
Environment: TIDEGATE_SIM_BUILD (build directory, default build/simulation), TIDEGATE_SIM_TYPE (Release).
TEXT
  exit 0
fi

build=${TIDEGATE_SIM_BUILD:-$here/build/simulation}
seeds=300 first=1 jobs=$(nproc) rest=()
single='' kinds=(polling gateways engine)
while [[ $# -gt 0 ]]; do
  case $1 in
    --seeds) seeds=$2; shift 2 ;;
    --first) first=$2; shift 2 ;;
    --jobs) jobs=$2; shift 2 ;;
    --seed) single=$2; shift 2 ;;
    --engine | --polling | --gateways) kinds=("${1#--}"); shift ;;
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

# What tells the program which kind to run.
flags() { if [[ $1 != polling ]]; then echo "--$1"; fi; }

mutates=
[[ " ${rest[*]} " == *" --mutate "* ]] && mutates=yes
if [[ -n $single || -n $mutates ]] && [[ ${#kinds[@]} -gt 1 ]]; then kinds=(polling); fi

if [[ -n $single ]]; then
  # shellcheck disable=SC2046
  exec "$simulate" $(flags "${kinds[0]}") --seed "$single" "${rest[@]}"
fi

# Each process takes a share; the first failure of each is printed, and makes the whole run fail.
share=$(((seeds + jobs - 1) / jobs))
status=0
for kind in "${kinds[@]}"; do
  pids=()
  for ((j = 0; j < jobs; ++j)); do
    from=$((first + j * share))
    count=$((first + seeds - from < share ? first + seeds - from : share))
    [[ $count -gt 0 ]] || continue
    # shellcheck disable=SC2046
    "$simulate" $(flags "$kind") --first "$from" --seeds "$count" "${rest[@]}" &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || status=1; done
done
exit $status
