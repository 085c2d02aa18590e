#!/usr/bin/env bash
# Kills readers of Kinesis again and again while records come, shards split and merge, reads are throttled and iterators
# expire: a bare reader, an engine with a SQLite sink, and workers that share the shards through leases in SQLite and in
# DynamoDB. Each round is one kill -9 of each kind, at a moment of its own; at the end all must be there, in order.
# tests/kinesis/chaos.sh [--build DIR] [--rounds N]; default: 100 rounds.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
build=$top/build/release rounds=100
while (($#)); do
  case $1 in
    --build) build=$(cd "${2:?--build needs a folder}" && pwd); shift 2 ;;
    --rounds) rounds=${2:?--rounds needs a number}; shift 2 ;;
    -h | --help) sed -n '2,5s/^# //p' "$0"; exit 0 ;;
    *) echo "chaos.sh: unknown option '$1'" >&2; exit 2 ;;
  esac
done
for test in kinesis_emulator_tests kinesis_chaos; do
  [[ -x $build/tests/kinesis/$test ]] ||
    { echo "chaos.sh: build it first: cmake --build $build --target $test" >&2; exit 2; }
done
export TIDEGATE_KINESIS_ROUNDS=$rounds
"$top/tests/kinesis/with_emulators.sh" --npm "$build/emulators" \
  "$build/tests/kinesis/kinesis_emulator_tests" --gtest_filter='KinesisCrash.*'
exec "$top/tests/kinesis/with_emulators.sh" --npm "$build/emulators" "$build/tests/kinesis/kinesis_chaos"
