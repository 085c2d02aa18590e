#!/usr/bin/env bash
# Kills a reader of Kinesis again and again while records come and shards split: tests/kinesis/chaos.sh [--build DIR] [--rounds N]
# Each round is one kill -9, at a moment of its own; at the end every row must be there once. Default: 100 rounds.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
build=$top/build/release rounds=100
while (($#)); do
  case $1 in
    --build) build=$(cd "${2:?--build needs a folder}" && pwd); shift 2 ;;
    --rounds) rounds=${2:?--rounds needs a number}; shift 2 ;;
    -h | --help) sed -n '2,3s/^# //p' "$0"; exit 0 ;;
    *) echo "chaos.sh: unknown option '$1'" >&2; exit 2 ;;
  esac
done
[[ -x $build/tests/kinesis/kinesis_emulator_tests ]] ||
  { echo "chaos.sh: build it first: cmake --build $build --target kinesis_emulator_tests" >&2; exit 2; }
TIDEGATE_KINESIS_ROUNDS=$rounds exec "$top/tests/kinesis/with_emulators.sh" --npm "$build/emulators" \
  "$build/tests/kinesis/kinesis_emulator_tests" --gtest_filter='KinesisCrash.*'
