#!/usr/bin/env bash
# electric.sh [--build DIR] [node --test options]: npm @electric-sql/client and @tanstack/electric-db-collection against
# the shape server of a build (default build/debug), and the protocol itself.
#
# The packages are installed below the build folder, once. TIDEGATE_NPM_ELECTRIC names a folder that has them already.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
build=$root/build/debug
case ${1:-} in
  --help | -h) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
  --build) build=$(cd "$2" && pwd); shift 2 ;;
esac
SHAPE_SERVER=$build/tests/conformance/shape_server
[ -x "$SHAPE_SERVER" ] || { echo "electric.sh: $SHAPE_SERVER was not built (target shape_server)" >&2; exit 1; }
command -v node >/dev/null || { echo "electric.sh: node was not found (Debian: nodejs)" >&2; exit 1; }

folder=${TIDEGATE_NPM_ELECTRIC:-$build/npm/electric}
mkdir -p "$folder"
if [ ! -d "$folder/node_modules/@tanstack/electric-db-collection" ]; then
  echo '{"name": "tidegate-electric-suite", "private": true, "type": "module"}' >"$folder/package.json"
  (cd "$folder" && npm install --no-audit --no-fund --no-save \
    @electric-sql/client@1.5.28 @tanstack/electric-db-collection@0.4.10 @tanstack/db@0.9.2)
fi
# Modules are looked for from the file that imports them.
tests=$(mktemp -d "$folder/run.XXXXXX")
trap 'rm -rf "$tests"' EXIT
cp "$root"/tests/conformance/electric/*.mjs "$tests"
export SHAPE_SERVER
cd "$tests"
# Some packages keep timers that outlive their collections.
node --test --test-force-exit "$@" .
