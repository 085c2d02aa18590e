#!/usr/bin/env bash
# Runs outside conformance suites against Tidegate: tests/conformance/run.sh [--build DIR] [SUITE…]
# Without names: all of them. A suite is a file suites/NAME.sh, which defines run_suite; see suites/README.md.
# Needs node 20 and npm. npm packages go below the build folder, never into the repository.
# Exit code 1 if a test fails, or if a suite ran none.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
here=$top/tests/conformance
build=$top/build/release
names=()
while (($#)); do
  case $1 in
    --build) build=$(cd "${2:?--build needs a folder}" && pwd); shift 2 ;;
    -h | --help) sed -n '2,5s/^# //p' "$0"; exit 0 ;;
    -*) echo "unknown option: $1" >&2; exit 2 ;;
    *) names+=("$1"); shift ;;
  esac
done
if ((${#names[@]} == 0)); then
  for file in "$here"/suites/*.sh; do names+=("$(basename "$file" .sh)"); done
fi
for name in "${names[@]}"; do
  [[ -f $here/suites/$name.sh ]] || { echo "no suite is called $name; there are: $(cd "$here/suites" && echo *.sh)" >&2; exit 2; }
done
command -v npm >/dev/null || { echo "npm is missing: cmake/install_packages.sh test" >&2; exit 2; }
source "$here/lib.sh"
work=$build/conformance
mkdir -p "$work"
trap stop_all EXIT

failed=()
for name in "${names[@]}"; do
  if ! (trap stop_all EXIT; source "$here/suites/$name.sh"; run_suite); then failed+=("$name"); fi
done
if ((${#failed[@]})); then
  echo "conformance: failed: ${failed[*]}" >&2
  exit 1
fi
echo "conformance: ${#names[@]} suites passed: ${names[*]}"
