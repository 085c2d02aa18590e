#!/usr/bin/env bash
# newer_server.sh [--suite trixie|sid] <command> [argument...]: runs the command with the PostgreSQL of another Debian suite
# (trixie's, 17, unless another is named; sid's is 18) in place of the installed one.
#
#   tests/postgres/newer_server.sh tests/servers/all_tests.sh postgres
#   tests/postgres/newer_server.sh --suite sid tests/chaos/run.sh --rounds 10
#   tests/postgres/newer_server.sh --suite sid tests/servers/with_servers.sh build/release/tests/postgres/postgres_stream_test
#
# The first time it unpacks the packages below build/ (tests/servers/debian_packages.sh, whose exit codes 75 to 77 it passes
# on); nothing of the machine changes. The command sees the folder of the server's programs as TIDEGATE_POSTGRES_BIN, which
# tests/servers/with_servers.sh, and so all that starts servers with it, honours. The server runs as the user postgres where
# root starts it: that user must be able to read the checkout.
set -euo pipefail
usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; }
suite=trixie
case ${1:---help} in
  --help | -h) usage; exit 0 ;;
  --suite) suite=${2:-}; [ $# -ge 2 ] && shift 2 ;;
esac
[[ $suite =~ ^[a-z][a-z-]*$ ]] && [ $# -gt 0 ] || { usage >&2; exit 2; }
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=$top/build/postgres-$suite
"$top/tests/servers/debian_packages.sh" "$suite" "$folder" postgresql
bin=$(cd "$folder/root" && ls -d usr/lib/postgresql/*/bin | tail -n 1)
mapfile -t programs < <(cd "$folder/root" && find "$bin" -type f ! -name '*.real')
"$top/tests/servers/startable.sh" "$folder" "${programs[@]}"
export TIDEGATE_POSTGRES_BIN=$folder/root/$bin
"$TIDEGATE_POSTGRES_BIN/postgres" --version >&2
exec "$@"
