#!/usr/bin/env bash
# Builds examples/cluster and its chaos program, and runs them beside a private PostgreSQL. See --help.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

usage() {
  cat <<'TEXT'
Usage: tests/chaos/cluster.sh [--rounds N] [--seed S] [--all]
Three nats-servers and three gateways over one log (examples/cluster), a writer in PostgreSQL, six clients that push, pull
and move. Meanwhile servers and gateways are killed with -9, frozen, slowed down and cut off from each other. After each
round all gateways must tell the same log, octet by octet, with every change of PostgreSQL and every acknowledged push in
it once, and every client must hold what its rules let it see.
  --rounds N  how many rounds (3, as CI runs; a release runs 100)
  --seed S    the first round's seed (1)
  --all       also what nats-server before 2.11 does not survive (docs/chaos.md), and newer ones are always put to: servers
              cut off from each other, or frozen, for longer than it takes to elect another leader; all killed at once
Environment: TIDEGATE_CHAOS_BUILD, the build directory (build/release); TIDEGATE_NATS_SERVER, another nats-server than the
installed one (tests/nats/newer_server.sh has some).
Exit status: 0 all rounds passed, 1 one failed (then the folder with all logs is kept), 2 wrong usage. docs/cluster.md
says more.
TEXT
}

rounds=3 first=1 faults=safe
number() { # OPTION VALUE
  [[ ${2:-} =~ ^[1-9][0-9]{0,8}$ ]] || { echo "tests/chaos/cluster.sh: $1 takes a number from 1 on" >&2; exit 2; }
}
while (($#)); do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --rounds) number "$@"; rounds=$2; shift ;;
    --all) faults=all ;;
    --seed) number "$@"; first=$2; shift ;;
    *) echo "tests/chaos/cluster.sh: unknown option '$1'" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

build=${TIDEGATE_CHAOS_BUILD:-$here/build/release}
if [[ ! -e $build/CMakeCache.txt ]]; then
  (cd "$here" && cmake --preset release -B "$build" >/dev/null)
fi
cmake --build "$build" --target tidegate_cluster_chaos cluster_node >/dev/null
nats=${TIDEGATE_NATS_SERVER:-$(command -v nats-server || echo /usr/sbin/nats-server)}

version=$("$nats" --version | sed -n 's/.*v\([0-9][0-9.]*\).*/\1/p')
# What its servers survive is asked of each version by itself.
if [[ $(printf '%s\n' 2.11 "$version" | sort -V | head -n 1) == 2.11 ]]; then faults=all; fi
echo "nats-server $version, faults: $faults"

folder=$(mktemp -d /tmp/tidegate-cluster-chaos.XXXXXX)
code=0
"$here/examples/sync_layer/private_postgres.sh" "$build/tests/chaos/tidegate_cluster_chaos" "$first" "$rounds" "$folder" \
  "$build/examples/cluster/cluster_node" "$nats" "$faults" || code=$?
if ((code != 0)); then
  echo "seeds $first to $((first + rounds - 1)); everything is in $folder; the ends of the gateways' logs:"
  tail -n 8 "$folder"/gateway*.log
  echo "gateways that met another history: $(cat "$folder"/gateway*.log | grep -c 'logDiverged' || :)"
else
  rm -rf "$folder"
fi
exit "$code"
