# What the suites share. Sourced by run.sh, which sets top, here, build and work.
started=()

# Builds a target in $build, which is configured if it is not yet.
build_target() {
  if [[ ! -f $build/CMakeCache.txt ]]; then
    cmake -S "$top" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_UNITY_BUILD=ON >"$work/configure.log" 2>&1 ||
      { cat "$work/configure.log" >&2; return 1; }
  fi
  cmake --build "$build" --target "$1" >"$work/build.log" 2>&1 || { tail -n 40 "$work/build.log" >&2; return 1; }
}

npm_install() { "$top/tests/servers/npm_install.sh" "$@"; }

# start_server LOG COMMAND…: starts it, waits for "Listening on URL", and sets url and pid.
start_server() {
  local log=$1
  shift
  : >"$log"
  "$@" >"$log" 2>&1 &
  pid=$!
  started+=("$pid")
  for ((i = 0; i < 300; ++i)); do
    url=$(sed -n 's/^Listening on \(https\{0,1\}:\/\/[^/]*\).*/\1/p' "$log")
    [[ -z $url ]] || return 0
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  echo "the server did not start:" >&2
  cat "$log" >&2
  return 1
}

# stop_server PID: asks it to stop, and waits. One that has ended already, however, is stopped too.
stop_server() {
  kill -TERM "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}

stop_all() {
  for one in "${started[@]:-}"; do [[ -z $one ]] || kill -KILL "$one" 2>/dev/null || true; done
}

# run_vitest FOLDER NAME: runs what is in FOLDER, prints how many tests passed; fails where one failed or none ran.
run_vitest() {
  local folder=$1 name=$2 report=$1/report.json code=0
  rm -f "$report"
  (cd "$folder" && CI=1 npx vitest run --reporter=json --outputFile="$report") >"$folder/vitest.log" 2>&1 || code=$?
  if [[ ! -f $report ]]; then
    echo "$name: vitest did not run" >&2
    tail -n 40 "$folder/vitest.log" >&2
    return 1
  fi
  node "$here/report.mjs" "$report" "$name" || return 1
  ((code == 0)) || { tail -n 40 "$folder/vitest.log" >&2; return 1; }
}
