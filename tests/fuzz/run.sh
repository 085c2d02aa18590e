#!/usr/bin/env bash
# Builds the fuzz targets (preset asan) and runs each on a copy of its corpus.
#   tests/fuzz/run.sh [--seconds N] [target...]     default: 60 seconds, every target
# Exits 1 at the first input that breaks a target, and says how to run it again.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
seconds=60
targets=()
all=()
for file in "$root"/tests/fuzz/fuzz_*.cpp; do all+=("$(basename "$file" .cpp)"); done
while (($#)); do
  case $1 in
    --seconds) seconds=${2:?--seconds needs a number}; shift 2 ;;
    -h | --help) sed -n '2,4s/^# //p' "$0"; exit 0 ;;
    *)
      [[ " ${all[*]} " == *" $1 "* ]] || { echo "unknown: $1 (targets: ${all[*]})" >&2; exit 2; }
      targets+=("$1")
      shift ;;
  esac
done
((${#targets[@]})) || targets=("${all[@]}")
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "--seconds needs a whole number from 1" >&2; exit 2; }

command -v clang++ >/dev/null || { echo "clang++ is missing: cmake/install_packages.sh fuzz" >&2; exit 2; }
build=$root/build/asan
cd "$root"
log=$(mktemp)
scratch=$(mktemp -d)
trap 'kill $(jobs -rp) 2>/dev/null || :; rm -rf "$log" "$scratch"' EXIT
cmake --preset asan >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
cmake --build "$build" -j2 --target "${targets[@]}" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }

# Fuzzes one target. What it says goes to $scratch/TARGET.said, which exists only where nothing broke.
fuzz() {
  local target=$1 binary=$build/tests/fuzz/$1 log=$scratch/$1.log input runs
  mkdir -p "$scratch/$target" "$build/crashes"
  cp -r "tests/fuzz/corpus/$target/." "$scratch/$target/"
  if ! "$binary" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 \
      -artifact_prefix="$build/crashes/$target-" "$scratch/$target" >"$log" 2>&1; then
    tail -n 60 "$log" >&2
    input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    echo "$target: broken by ${input:-an input it did not write}" >&2
    echo "reproduce: $binary $input" >&2
    echo "keep it:   cp $input tests/fuzz/corpus/$target/" >&2
    return 1
  fi
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  echo "$target: $runs executions in $seconds s, $(find "$scratch/$target" -type f | wc -l) inputs in the working corpus" |
    tee "$scratch/$target.said"
}

# One for each processor at a time.
jobs=$(nproc)
for target in "${targets[@]}"; do
  while (($(jobs -rp | wc -l) >= jobs)); do wait -n || exit 1; done
  fuzz "$target" &
done
while (($(jobs -rp | wc -l) > 0)); do wait -n || exit 1; done
for target in "${targets[@]}"; do
  [[ -e $scratch/$target.said ]] || exit 1
done
total=$(awk '{ total += $2 } END { print total + 0 }' "$scratch"/*.said)
echo "fuzz: ${#targets[@]} targets, $total executions, nothing broken"
