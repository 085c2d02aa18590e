#!/usr/bin/env bash
# Installs what is missing, builds, and runs the quickstart. Options go to the program: run.sh --help
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$root/build/quickstart

"$root/cmake/install_packages.sh" build
echo "Building (the first time takes a minute or two)"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{
  cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_UNITY_BUILD=ON \
    -DTIDEGATE_TESTS=OFF &&
    cmake --build "$build" --target quickstart
} >"$log" 2>&1 || { tail -n 40 "$log" >&2; exit 1; }

rm -f "$log"
exec "$build/examples/quickstart/quickstart" --dir "$build/data" "$@"
