# LakeSync's own TypeScript client against sync_api_server. It is on no registry: the suite runs only where
# TIDEGATE_LAKESYNC_REPO names a checkout of github.com/radekdymacz/lakesync.
run_suite() {
  local repo=${TIDEGATE_LAKESYNC_REPO:-} folder=$work/lakesync code=0
  if [[ -z $repo ]]; then
    echo "lakesync: NOT RUN. Its client is on no registry; set TIDEGATE_LAKESYNC_REPO to a checkout of" \
      "github.com/radekdymacz/lakesync to run it."
    return 0
  fi
  [[ -f $repo/packages/client/src/sync/engine.ts ]] || { echo "lakesync: $repo is no checkout of LakeSync" >&2; return 1; }
  build_target sync_api_server
  npm_install "$folder" esbuild@0.28.2 @bufbuild/protobuf@2.17.0 ws@8.23.0 sql.js@1.17.0 idb@8.0.4 fast-deep-equal@3.1.3 \
    fast-json-stable-stringify@2.1.0
  cp "$here"/lakesync/client.test.mjs "$here"/lakesync/entry.ts "$folder/"
  (cd "$folder" && NODE_PATH=$folder/node_modules npx esbuild entry.ts --bundle --format=esm --platform=node \
    --external:sql.js --outfile=lakesync.mjs --alias:@lakesync-repo="$repo/packages" \
    --alias:@lakesync/core="$repo/packages/core/src/index.ts" --alias:@lakesync/proto="$repo/packages/proto/src/index.ts" \
    --log-level=warning) || return 1
  (cd "$folder" && SYNC_API_SERVER=$build/tests/conformance/sync_api_server \
    node --test --test-force-exit --test-reporter=tap client.test.mjs) >"$folder/report.tap" 2>&1 || code=$?
  local passed
  passed=$(sed -n 's/^# pass \([0-9]*\)$/\1/p' "$folder/report.tap" | tail -n 1)
  if ((code != 0 || ${passed:-0} == 0)); then
    head -n 200 "$folder/report.tap" >&2
    echo "lakesync: failed" >&2
    return 1
  fi
  echo "lakesync: $passed tests passed"
}
