#!/usr/bin/env bash
# Installs what is missing, builds, and runs the sync layer with a PostgreSQL of its own, unless POSTGRES_URL names one.
# --demo ends by itself, with a check; without it the page is at http://127.0.0.1:4437 until Ctrl+C.
set -euo pipefail
usage() {
  cat <<'TEXT'
Usage: [POSTGRES_URL=…] [DS_SERVER_URL=…] [ELECTRIC_URL=…] examples/sync_layer/run.sh [--demo] [--port N]
  --demo    writes a little both ways, compares, and ends
  --port N  of the page (4437)
TEXT
}
for option in "$@"; do
  case $option in --help | -h) usage; exit 0 ;; esac
done
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$root/build/sync_layer

"$root/cmake/install_packages.sh" build
if [ -z "${POSTGRES_URL:-}" ] && ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
  "$root/cmake/install_packages.sh" test
fi
echo "Building (the first time takes a few minutes)"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{
  cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_UNITY_BUILD=ON -DTIDEGATE_TESTS=OFF \
    -DTIDEGATE_SQLITE=OFF -DTIDEGATE_MYSQL=OFF &&
    cmake --build "$build" --target sync_layer
} >"$log" 2>&1 || { tail -n 40 "$log" >&2; exit 1; }
rm -f "$log"

program=$build/examples/sync_layer/sync_layer
if [ -n "${POSTGRES_URL:-}" ]; then exec "$program" --data "$build/data" "$@"; fi
# Streams of a database that is gone at the end are of no use to the next run.
rm -rf "$build/private-data"
exec "$root/examples/sync_layer/private_postgres.sh" "$program" --data "$build/private-data" "$@"
