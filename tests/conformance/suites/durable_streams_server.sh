# npm @durable-streams/server-conformance-tests against examples/durable_stream_server, in memory and in files.
run_suite() {
  build_target durable_stream_server
  local folder=$work/durable_streams_server store ok=0
  npm_install "$folder" @durable-streams/server-conformance-tests@0.3.6 vitest@4.1.12
  cp "$here/durable_streams_server/"* "$folder/"
  for store in memory files; do
    local data=$work/streams
    rm -rf "$data"
    local place=(--dir "$data")
    [[ $store == files ]] || place=(--memory)
    start_server "$folder/$store.log" "$build/examples/durable_stream_server/durable_stream_server" --port 0 "${place[@]}" \
      --long-poll-seconds 15 --local-webhooks --cors '*'
    TIDEGATE_URL=$url run_vitest "$folder" "durable streams server, $store" || ok=1
    stop_server "$pid"
    rm -rf "$data"
  done
  return $ok
}
