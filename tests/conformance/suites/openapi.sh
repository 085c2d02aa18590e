# npm's validator of OpenAPI 3.1, and Ajv for the schemas, on the document that a whole tidegate-server serves.
run_suite() {
  build_target tidegate-server
  local folder=$work/openapi code=0 url pid passed
  npm_install "$folder" @seriousme/openapi-schema-validator@2.4.1 ajv@8.17.1 ajv-formats@3.0.1
  rm -rf "$folder/data"
  mkdir "$folder/data"
  echo '{"listen": {"port": 0}, "data": "'"$folder"'/data", "gateways": ["main"],
         "auth": {"tokens": [{"token": "env:ADMIN", "role": "admin"}]}}' >"$folder/config.json"
  export ADMIN=0123456789abcdef0123456789abcdef
  start_server "$folder/server.log" "$build/examples/tidegate-server/tidegate-server" "$folder/config.json"
  cp "$here"/openapi/openapi.test.mjs "$folder/"
  (cd "$folder" && SERVER=$url node --test --test-reporter=tap openapi.test.mjs) >"$folder/report.tap" 2>&1 || code=$?
  stop_server "$pid"
  passed=$(sed -n 's/^# pass \([0-9]*\)$/\1/p' "$folder/report.tap" | tail -n 1)
  if ((code != 0 || ${passed:-0} == 0)); then
    head -n 200 "$folder/report.tap" >&2
    echo "openapi: failed" >&2
    return 1
  fi
  echo "openapi: $passed tests passed"
}
