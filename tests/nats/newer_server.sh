#!/usr/bin/env bash
# newer_server.sh [--suite trixie|sid] <command> [argument...]: runs the command with the nats-server of another Debian suite
# (trixie's unless another is named) in place of the installed one.
#
#   tests/nats/newer_server.sh --suite sid tests/chaos/cluster.sh --rounds 40
#   tests/nats/newer_server.sh tests/chaos/cluster.sh --all
#   tests/nats/newer_server.sh tests/nats/with_nats.sh --cluster 3 build/release/tests/nats/nats_cluster_tests
#
# The first time it unpacks the package below build/ (tests/servers/debian_packages.sh, whose exit codes 75 to 77 it passes
# on); nothing of the machine changes. The program is linked statically, so it runs as it is. The command sees its path as
# TIDEGATE_NATS_SERVER, which all of tests/nats, tests/chaos/cluster.sh, examples/cluster/run.sh and the benchmarks honour.
set -euo pipefail
usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; }
suite=trixie
case ${1:---help} in
  --help | -h) usage; exit 0 ;;
  --suite) suite=${2:-}; [ $# -ge 2 ] && shift 2 ;;
esac
[[ $suite =~ ^[a-z][a-z-]*$ ]] && [ $# -gt 0 ] || { usage >&2; exit 2; }
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=$top/build/nats-$suite
"$top/tests/servers/debian_packages.sh" "$suite" "$folder" nats-server
export TIDEGATE_NATS_SERVER=$folder/root/usr/sbin/nats-server
"$TIDEGATE_NATS_SERVER" --version >&2
exec "$@"
