# The Durable Streams client, through its adapter: our own table of scenarios against npm @durable-streams/server, and
# the client conformance suite of the durable-streams repository. That suite is on no registry: it runs only where
# TIDEGATE_DURABLE_STREAMS_REPO names a checkout of the repository.

# The scenarios that need no faults of our making, against the reference server.
run_scenarios() {
  local folder=$work/ds_client_npm ok=0
  build_target ds_client_scenarios
  npm_install "$folder" @durable-streams/server@0.3.7
  cp "$here/ds_client/server.mjs" "$folder/"
  start_server "$folder/server.log" node "$folder/server.mjs"
  TIDEGATE_DS_SERVER_URL=$url "$build/tests/conformance/ds_client_scenarios" --gtest_filter='*Named' >"$folder/scenarios.log" 2>&1 || ok=1
  stop_server "$pid"
  local passed
  passed=$(grep -c '^\[       OK \]' "$folder/scenarios.log" || true)
  echo "durable streams client, scenarios against npm @durable-streams/server: $passed passed"
  ((ok == 0 && passed > 0)) || { grep -v '^\[ RUN' "$folder/scenarios.log" | tail -n 60 >&2; return 1; }
}

# The repository's suite, in a copy whose workspace packages come from npm. What it skips because another client fails it
# is not skipped here.
run_repository_suite() {
  local repo=$1 folder=$work/ds_client_suite code=0
  local from=$repo/packages/client-conformance-tests
  [[ -f $from/src/cli.ts ]] || { echo "durable streams client: $from/src/cli.ts is missing; TIDEGATE_DURABLE_STREAMS_REPO must name a checkout of durable-streams/durable-streams" >&2; return 1; }
  build_target ds_client_adapter
  npm_install "$folder" @durable-streams/client@0.2.7 @durable-streams/server@0.3.7 fast-check@4.11.0 tsx@4.23.15 yaml@2.9.1
  rm -rf "$folder/src" "$folder/test-cases"
  cp -r "$from/src" "$from/test-cases" "$folder/"
  sed -i '/^ *skip: "/d' "$folder"/test-cases/*/*.yaml "$folder"/test-cases/*/*/*.yaml
  (cd "$folder" && npx tsx src/cli.ts --run "$build/tests/conformance/ds_client_adapter") >"$folder/suite.log" 2>&1 || code=$?
  local total passed
  total=$(sed -n 's/^Total: \([0-9]*\) tests$/\1/p' "$folder/suite.log")
  passed=$(sed -n 's/^Passed: \([0-9]*\)$/\1/p' "$folder/suite.log")
  echo "durable streams client, client-conformance-tests of the repository: ${passed:-0} of ${total:-0} tests passed"
  if ((code != 0)) || [[ -z $total || $total == 0 || $passed != "$total" ]]; then
    grep -E '✗|○' "$folder/suite.log" >&2 || tail -n 40 "$folder/suite.log" >&2
    return 1
  fi
}

run_suite() {
  local ok=0
  run_scenarios || ok=1
  if [[ -n ${TIDEGATE_DURABLE_STREAMS_REPO:-} ]]; then
    run_repository_suite "$TIDEGATE_DURABLE_STREAMS_REPO" || ok=1
  else
    echo "durable streams client: the repository's client-conformance-tests were NOT RUN. They are on no registry; set" \
      "TIDEGATE_DURABLE_STREAMS_REPO to a checkout of github.com/durable-streams/durable-streams to run them."
  fi
  return $ok
}
