#!/usr/bin/env bash
# newer_server.sh [--suite trixie|sid] <command> [argument...]: runs the command with the MariaDB of another Debian suite
# (trixie's, 11.8, unless another is named) in place of the installed one. For MySQL: tests/mysql/on_mysql.sh.
#
#   tests/mysql/newer_server.sh tests/chaos/mysql_source.sh --rounds 6
#   tests/mysql/newer_server.sh --suite sid tests/servers/with_servers.sh build/release/tests/mysql/mysql_source_test
#
# The first time it unpacks the packages below build/ (tests/servers/debian_packages.sh, whose exit codes 75 to 77 it passes
# on); nothing of the machine changes. The command sees the folder as TIDEGATE_MARIADB_FOLDER, which
# tests/servers/with_servers.sh, and so all that starts servers with it, honours.
set -euo pipefail
usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; }
suite=trixie
case ${1:---help} in
  --help | -h) usage; exit 0 ;;
  --suite) suite=${2:-}; [ $# -ge 2 ] && shift 2 ;;
esac
[[ $suite =~ ^[a-z][a-z-]*$ ]] && [ $# -gt 0 ] || { usage >&2; exit 2; }
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export TIDEGATE_MARIADB_FOLDER=$top/build/mariadb-$suite
"$top/tests/servers/debian_packages.sh" "$suite" "$TIDEGATE_MARIADB_FOLDER" mariadb-server-core mariadb-client-core
"$top/tests/servers/startable.sh" "$TIDEGATE_MARIADB_FOLDER" usr/sbin/mariadbd usr/bin/my_print_defaults usr/bin/resolveip
"$TIDEGATE_MARIADB_FOLDER/root/usr/sbin/mariadbd" --version >&2
exec "$@"
