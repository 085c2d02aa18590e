# npm @electric-sql/client and @tanstack/electric-db-collection against shape_server, and the protocol by plain requests.
run_suite() {
  build_target shape_server
  local folder=$work/electric code=0
  npm_install "$folder" @electric-sql/client@1.5.28 @tanstack/electric-db-collection@0.4.10 @tanstack/db@0.9.2
  # Modules are looked for from the file that imports them.
  rm -rf "$folder/tests"
  mkdir "$folder/tests"
  cp "$here"/electric/*.mjs "$folder/tests/"
  # Some packages keep timers that outlive their collections.
  (cd "$folder/tests" && SHAPE_SERVER=$build/tests/conformance/shape_server \
    node --test --test-force-exit --test-reporter=tap ./*.test.mjs) >"$folder/report.tap" 2>&1 || code=$?
  local passed
  passed=$(sed -n 's/^# pass \([0-9]*\)$/\1/p' "$folder/report.tap" | tail -n 1)
  if ((code != 0 || ${passed:-0} == 0)); then
    # The report may be empty, or longer than what is shown: neither may hide that the suite failed.
    grep -vE '^ *(ok|duration_ms|\.\.\.|---|type:|#)' "$folder/report.tap" | head -n 200 >&2 || true
    echo "electric: failed" >&2
    return 1
  fi
  echo "electric: $passed tests passed"
}
