#!/usr/bin/env bash
# check_server.sh <build folder>: the component server_app installs tidegate-server, and it runs from there.
set -euo pipefail
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
cmake --install "$1" --prefix "$prefix" --component server_app >"$prefix/log" || { cat "$prefix/log"; exit 1; }
"$prefix/bin/tidegate-server" --version | grep -q '^tidegate-server [0-9]'
echo '{"data": "'"$prefix"'/data"}' >"$prefix/config.json"
"$prefix/bin/tidegate-server" --check "$prefix/config.json"
