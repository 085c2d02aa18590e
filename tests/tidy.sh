#!/usr/bin/env bash
# clang-tidy over the library (.clang-tidy), file by file, in parallel. Slow: not a stage of tests/run.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'TEXT'
Usage: tests/tidy.sh [--jobs N] [FILE...]
Checks the given sources, by default all of src/ and examples/. Exit code 1 if clang-tidy finds something.
TEXT
}
jobs=$(nproc)
files=()
while (($#)); do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --jobs) jobs=${2:?--jobs takes a number}; shift ;;
    -*) echo "tests/tidy.sh: unknown option '$1'" >&2; usage >&2; exit 2 ;;
    *) files+=("$1") ;;
  esac
  shift
done
cmake/install_packages.sh build test fuzz lint
((${#files[@]})) || mapfile -t files < <(git ls-files -- 'src/*.cpp' 'examples/*.cpp')
# Without unity builds, so that the compilation database names each file.
cmake --preset clang -B build/tidy -DCMAKE_UNITY_BUILD=OFF >/dev/null
printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "$jobs" clang-tidy --quiet -p build/tidy
echo "clang-tidy: ${#files[@]} files, nothing found"
