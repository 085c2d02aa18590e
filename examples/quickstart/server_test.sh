#!/usr/bin/env bash
# server_test.sh QUICKSTART --postgres|--mysql URL-VARIABLE [OPTION...]: runs the quickstart against a test server.
set -euo pipefail
url=${!3:-}
[[ -n $url ]] || { echo "$3 is not set: run this under tests/servers/with_servers.sh"; exit 1; }
exec "$1" "$2" "$url" "${@:4}"
