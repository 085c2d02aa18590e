#!/usr/bin/env bash
# Installs what is missing, builds, and runs three NATS servers, three gateways over one log, a PostgreSQL that a program
# writes to, and clients spread over the gateways. Ends by itself, with a check. See --help.
set -euo pipefail
usage() {
  cat <<'TEXT'
Usage: examples/cluster/run.sh [--kill] [--seconds N] [--clients N] [--programs DIR]
  --kill          again and again something is killed with SIGKILL and started anew: a NATS server, the gateway that
                  feeds the others, another gateway
  --seconds N     how long rows are written (20)
  --clients N     how many clients there are (12)
  --programs DIR  where cluster_node and cluster_clients are built already
TEXT
}
kill= seconds=20 clients=12 programs=
arguments=("$@")
while [ $# -gt 0 ]; do
  case $1 in
    --kill) kill=1; shift; continue ;;
    --help | -h) usage; exit 0 ;;
  esac
  [ $# -ge 2 ] || { usage >&2; exit 2; }
  case $1 in
    --seconds) seconds=$2 ;;
    --clients) clients=$2 ;;
    --programs) programs=$(cd "$2" && pwd) ;;
    *) usage >&2; exit 2 ;;
  esac
  shift 2
done
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

if [ -z "$programs" ]; then
  build=$root/build/cluster
  "$root/cmake/install_packages.sh" build test
  echo "Building (the first time takes a few minutes)"
  log=$(mktemp)
  {
    cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_UNITY_BUILD=ON -DTIDEGATE_TESTS=OFF \
      -DTIDEGATE_SQLITE=OFF -DTIDEGATE_MYSQL=OFF &&
      cmake --build "$build" --target cluster_node cluster_clients
  } >"$log" 2>&1 || { tail -n 40 "$log" >&2; exit 1; }
  rm -f "$log"
  programs=$build/examples/cluster
  arguments+=(--programs "$programs")
fi
if [ -z "${CLUSTER_INSIDE:-}" ]; then
  export CLUSTER_INSIDE=1
  exec "$root/examples/sync_layer/private_postgres.sh" "$root/tests/nats/with_nats.sh" --cluster 3 "$0" "${arguments[@]}"
fi

dir=$(mktemp -d /tmp/tidegate-cluster.XXXXXX)
names=(north middle south)
declare -a pids urls
clients_pid= writer=
finish() {
  local code=$?
  trap '' INT TERM
  for pid in "${pids[@]}" $clients_pid $writer; do command kill -KILL "$pid" 2>/dev/null || :; done
  if [ "$code" != 0 ]; then tail -n 20 "$dir"/*.log >&2; fi
  rm -rf "$dir"
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

start_gateway() { # I
  local name=${names[$1]} port=${urls[$1]:-:0}
  : >"$dir/$name.out"
  "$programs/cluster_node" --name "$name" --nats "$TIDEGATE_NATS_URL" --postgres "$POSTGRES_URL" --port "${port##*:}" \
    >"$dir/$name.out" 2>>"$dir/$name.log" &
  pids[$1]=$!
  disown "${pids[$1]}"
}
await_gateway() { # I
  for _ in $(seq 1200); do
    urls[$1]=$(sed -n 's/^Listening on //p' "$dir/${names[$1]}.out")
    [ -z "${urls[$1]}" ] || return 0
    command kill -0 "${pids[$1]}" 2>/dev/null || { echo "the gateway ${names[$1]} ended" >&2; exit 1; }
    sleep 0.05
  done
  echo "the gateway ${names[$1]} did not start" >&2
  exit 1
}

psql "$POSTGRES_URL" -qX -v ON_ERROR_STOP=1 -c "CREATE TABLE orders(id bigint PRIMARY KEY, region text, amount bigint);
  INSERT INTO orders SELECT i, CASE WHEN i % 2 = 0 THEN 'north' ELSE 'south' END, i FROM generate_series(1, 2000) i"
for i in 0 1 2; do start_gateway $i; done
for i in 0 1 2; do await_gateway $i; done
echo "Three gateways over one log of three NATS servers: ${urls[*]}"
"$programs/cluster_clients" --gateways "$(IFS=,; echo "${urls[*]}")" --postgres "$POSTGRES_URL" --clients "$clients" >"$dir/clients.out" \
  2>"$dir/clients.log" &
clients_pid=$!

# Inserts, updates, rows that change their region, deletes: a hundred transactions a second.
statements() {
  local id=2001 end=$((SECONDS + seconds))
  while ((SECONDS < end)); do
    echo "BEGIN; INSERT INTO orders VALUES ($id, 'north', 0); UPDATE orders SET amount = amount + 1 WHERE id = $((RANDOM % id));"
    echo "UPDATE orders SET region = CASE region WHEN 'north' THEN 'south' ELSE 'north' END WHERE id = $((RANDOM % id));"
    echo "DELETE FROM orders WHERE id = $((RANDOM % id)); COMMIT;"
    id=$((id + 1))
    sleep 0.01
  done
}
statements | psql "$POSTGRES_URL" -qX -v ON_ERROR_STOP=1 >"$dir/writer.log" 2>&1 &
writer=$!

kill_gateway() { # I
  command kill -KILL "${pids[$1]}" 2>/dev/null || :
  sleep 0.5
  start_gateway "$1"
  await_gateway "$1"
}
feeder() { # the gateway that said last that it holds the lease
  local last
  last=$(grep -h 'holds the lease' "$dir"/*.log | sort | tail -n 1)
  for i in 0 1 2; do case $last in *" ${names[$i]} holds"*) echo $i; return ;; esac; done
  echo 0
}
kills=0
kill_something() {
  local victim
  case $((kills++ % 3)) in
    0)
      victim=$((1 + RANDOM % 3))
      echo "kill -9: NATS server $victim"
      "$root/tests/nats/with_nats.sh" --node "$TIDEGATE_NATS_DIR" kill "$victim"
      sleep 0.5
      "$root/tests/nats/with_nats.sh" --node "$TIDEGATE_NATS_DIR" start "$victim"
      ;;
    1) victim=$(feeder); echo "kill -9: gateway ${names[$victim]}, which feeds the others"; kill_gateway "$victim" ;;
    2) victim=$((RANDOM % 3)); echo "kill -9: gateway ${names[$victim]}"; kill_gateway "$victim" ;;
  esac
}
while command kill -0 "$writer" 2>/dev/null; do
  sleep 1
  [ -z "$kill" ] || kill_something
done
wait "$writer" || { echo "the writer failed:" >&2; cat "$dir/writer.log" >&2; exit 1; }
writer=
echo "Nothing is written any more; $kills were killed"
command kill -TERM "$clients_pid"
code=0
wait "$clients_pid" || code=$?
clients_pid=
cat "$dir/clients.out"
exit "$code"
