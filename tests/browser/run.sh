#!/usr/bin/env bash
# run.sh [sync_layer program]: the page of examples/sync_layer in headless Chromium, beside a PostgreSQL of its own. Needs
# node, npm (it fetches playwright-core into the build folder) and Debian's chromium.
set -euo pipefail
case ${1:-} in --help | -h) sed -n '2,3s/^# //p' "$0"; exit 0 ;; esac
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
program=${1:-$root/build/debug/examples/sync_layer/sync_layer}
program=$(readlink -f "$program")
[ -x "$program" ] || { echo "run.sh: $program is not built" >&2; exit 1; }
chromium=${CHROMIUM:-$(command -v chromium || :)}
[ -n "$chromium" ] || { echo "run.sh: chromium was not found (Debian: chromium)" >&2; exit 1; }
command -v psql >/dev/null || { echo "run.sh: psql was not found (Debian: postgresql-client)" >&2; exit 1; }
modules=${TIDEGATE_NODE_DIR:-$root/build/node/browser}
"$here/../servers/npm_install.sh" "$modules" playwright-core@1.48.2
cp "$here/sync_layer.mjs" "$modules/"
data=$(mktemp -d /tmp/sync-layer-browser.XXXXXX)
trap 'rm -rf "$data"' EXIT
cd "$modules"
CHROMIUM=$chromium SYNC_LAYER=$program SYNC_LAYER_DATA=$data/streams \
  "$root/examples/sync_layer/private_postgres.sh" node sync_layer.mjs
# The status page, where its server is built beside it.
server=$(dirname "$program")/../tidegate-server/tidegate-server
if [ -x "$server" ]; then "$here/status_page.sh" "$server"; fi
