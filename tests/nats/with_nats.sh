#!/usr/bin/env bash
# with_nats.sh [--cluster 3] <command> [argument...]: runs the command beside private nats-servers with JetStream.
# with_nats.sh --node DIR kill|stop|start|freeze|thaw N: does that to server N (1 and on) of a running one.
#
# One server, or a cluster of three, on free ports of 127.0.0.1 below 32768, with everything in a folder below /tmp that
# goes with them. The command sees TIDEGATE_NATS_URL (the servers, with commas between), TIDEGATE_NATS_DIR (DIR) and
# TIDEGATE_NATS_VERSION ("2.9.10").
# TIDEGATE_NATS_SERVER names another nats-server than the installed one (tests/nats/newer_server.sh has some).
# kill is SIGKILL, stop is SIGTERM, freeze and thaw are SIGSTOP and SIGCONT; start returns once the server listens.
set -euo pipefail
usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; }
[ "${1:-}" != --help ] || { usage; exit 0; }

server=${TIDEGATE_NATS_SERVER:-$(command -v nats-server || echo /usr/sbin/nats-server)}
[ -x "$server" ] || { echo "with_nats.sh: there is no nats-server at $server; \`cmake/install_packages.sh test\` installs one" >&2; exit 1; }

start_node() { # DIR N: false where it ended at once
  local dir=$1 n=$2 port
  port=$(cat "$dir/$n.port")
  # Detached, so that neither a test's end nor its pipes have to do with it.
  setsid "$server" -c "$dir/$n.conf" >>"$dir/$n.log" 2>&1 </dev/null &
  echo $! >"$dir/$n.pid"
  disown  # the shell need not say how it ended
  for ((i = 0; i < 200; ++i)); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return 0
    kill -0 "$(cat "$dir/$n.pid")" 2>/dev/null || return 1
    sleep 0.05
  done
  return 1
}

end_node() { # DIR N SIGNAL: and waits until it is gone
  local pid
  pid=$(cat "$1/$2.pid" 2>/dev/null) || return 0
  kill -CONT "$pid" 2>/dev/null || :
  kill "-$3" "$pid" 2>/dev/null || :
  for ((i = 0; i < 400; ++i)); do
    # A zombie of another parent still answers to -0.
    if ! kill -0 "$pid" 2>/dev/null || grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null; then break; fi
    sleep 0.02
  done
  rm -f "$1/$2.pid"
}

if [ "${1:-}" = --node ]; then
  [ $# -eq 4 ] && [ -f "$2/$4.conf" ] || { usage >&2; exit 2; }
  case $3 in
    kill) end_node "$2" "$4" KILL ;;
    stop) end_node "$2" "$4" TERM ;;
    start) start_node "$2" "$4" || { tail -n 20 "$2/$4.log" >&2; exit 1; } ;;
    freeze) kill -STOP "$(cat "$2/$4.pid")" ;;
    thaw) kill -CONT "$(cat "$2/$4.pid")" ;;
    *) usage >&2; exit 2 ;;
  esac
  exit 0
fi

nodes=1
if [ "${1:-}" = --cluster ]; then
  nodes=${2:-}
  [ "$nodes" = 3 ] || { usage >&2; exit 2; }
  shift 2
fi
[ $# -gt 0 ] || { usage >&2; exit 2; }

dir=$(mktemp -d /tmp/tidegate-nats.XXXXXX)
command_pid=
stop_all() { for ((n = 1; n <= nodes; ++n)); do end_node "$dir" "$n" KILL; done; }
finish() {
  local code=$?
  trap '' INT TERM HUP
  [ -z "$command_pid" ] || kill -TERM "$command_pid" 2>/dev/null || :
  stop_all
  rm -rf "$dir"
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

configure() { # ports may be in use: then the server ends at once, and others are tried
  local base=$((15000 + RANDOM % 16000)) routes= n
  for ((n = 1; n <= nodes; ++n)); do routes+="nats-route://127.0.0.1:$((base + 10 + n)) "; done
  urls=
  for ((n = 1; n <= nodes; ++n)); do
    echo $((base + n)) >"$dir/$n.port"
    urls+=${urls:+,}nats://127.0.0.1:$((base + n))
    {
      echo "server_name: node$n"
      echo "listen: \"127.0.0.1:$((base + n))\""
      echo "jetstream: {store_dir: \"$dir/$n.store\", max_mem: 1GB, max_file: 16GB}"
      if [ "$nodes" -gt 1 ]; then
        echo "cluster: {name: tests, listen: \"127.0.0.1:$((base + 10 + n))\", routes: [${routes// /, }]}" | sed 's/, \]/]/'
      fi
      cat "${TIDEGATE_NATS_CONFIG:-/dev/null}"
    } >"$dir/$n.conf"
  done
}
started=
for ((tries = 0; tries < 10; ++tries)); do
  configure
  started=1
  for ((n = 1; n <= nodes; ++n)); do start_node "$dir" "$n" || { started=; break; }; done
  [ -z "$started" ] || break
  stop_all
done
[ -n "$started" ] || { echo "with_nats.sh: nats-server did not start:" >&2; cat "$dir"/*.log >&2; exit 1; }
TIDEGATE_NATS_VERSION=$("$server" --version | sed -n 's/.*v\([0-9][0-9.]*\).*/\1/p')
export TIDEGATE_NATS_URL=$urls TIDEGATE_NATS_DIR=$dir TIDEGATE_NATS_VERSION

"$@" <&0 &
command_pid=$!
code=0
wait "$command_pid" || code=$?
command_pid=
exit "$code"
