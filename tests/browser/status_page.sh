#!/usr/bin/env bash
# status_page.sh [tidegate-server program]: the status page in headless Chromium. Needs node, npm (it fetches
# playwright-core into the build folder), sqlite3 and Debian's chromium.
set -euo pipefail
case ${1:-} in --help | -h) sed -n '2,3s/^# //p' "$0"; exit 0 ;; esac
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
program=$(readlink -f "${1:-$root/build/debug/examples/tidegate-server/tidegate-server}")
[ -x "$program" ] || { echo "status_page.sh: $program is not built" >&2; exit 1; }
chromium=${CHROMIUM:-$(command -v chromium || :)}
[ -n "$chromium" ] || { echo "status_page.sh: chromium was not found (Debian: chromium)" >&2; exit 1; }
modules=${TIDEGATE_NODE_DIR:-$root/build/node/browser}
"$here/../servers/npm_install.sh" "$modules" playwright-core@1.48.2
cp "$here/status_page.mjs" "$modules/"
cd "$modules"
CHROMIUM=$chromium TIDEGATE_SERVER=$program node status_page.mjs
