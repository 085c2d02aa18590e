#!/usr/bin/env bash
# with_emulators.sh [--npm DIR] <command> [argument...]: runs the command beside emulators of Kinesis, DynamoDB and S3.
#
# They are npm's kinesalite, dynalite and s3rver, in one node process, on free ports of 127.0.0.1, in memory and in a
# folder below /tmp that goes with them. The command sees TIDEGATE_KINESIS_URL, TIDEGATE_DYNAMODB_URL, TIDEGATE_S3_URL,
# and TIDEGATE_BAD_KINESIS_URL: the same streams, with reads that are throttled and iterators that expire.
# The packages are kept below DIR (default: build/emulators beside the sources, or TIDEGATE_NPM_DIR).
set -euo pipefail
[ "${1:-}" != --help ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; exit 0; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
npm_dir=${TIDEGATE_NPM_DIR:-$here/../../build/emulators}
if [ "${1:-}" = --npm ]; then
  npm_dir=$2
  shift 2
fi
[ $# -gt 0 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; exit 2; }
"$here/../servers/npm_install.sh" "$npm_dir" kinesalite@3.3.3 dynalite@4.0.0 s3rver@3.7.1

dir=$(mktemp -d /tmp/tidegate-emulators.XXXXXX)
emulators= command_pid=
finish() {
  local code=$?
  trap '' INT TERM HUP
  [ -z "$command_pid" ] || kill -TERM "$command_pid" 2>/dev/null || :
  [ -z "$emulators" ] || { kill -KILL "$emulators" && wait "$emulators"; } 2>/dev/null || :
  rm -rf "$dir"
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# A truncated listing of s3rver is a 500 without the old provider.
NODE_PATH=$npm_dir/node_modules NODE_OPTIONS="--openssl-legacy-provider --no-deprecation" \
  node "$here/emulators.cjs" "$dir" >"$dir/ports" 2>"$dir/log" &
emulators=$!
# The first start reads a thousand files from what may be a cold and busy disk.
for ((i = 0; i < 2400; ++i)); do
  [ ! -s "$dir/ports" ] || break
  kill -0 "$emulators" 2>/dev/null || { echo "with_emulators.sh: the emulators did not start:" >&2; cat "$dir/log" >&2; exit 1; }
  sleep 0.05
done
[ -s "$dir/ports" ] || { echo "with_emulators.sh: the emulators did not listen within two minutes:" >&2; cat "$dir/log" >&2; exit 1; }
read -r kinesis dynamodb s3 bad_kinesis <"$dir/ports"
export TIDEGATE_KINESIS_URL=http://127.0.0.1:$kinesis TIDEGATE_DYNAMODB_URL=http://127.0.0.1:$dynamodb
export TIDEGATE_S3_URL=http://127.0.0.1:$s3 TIDEGATE_BAD_KINESIS_URL=http://127.0.0.1:$bad_kinesis

"$@" <&0 &
command_pid=$!
code=0
wait "$command_pid" || code=$?
command_pid=
if [ "$code" != 0 ]; then
  kill -0 "$emulators" 2>/dev/null || echo "with_emulators.sh: the emulators died before the command ended" >&2
  [ ! -s "$dir/log" ] || { echo "with_emulators.sh: the emulators said:" >&2; tail -n 40 "$dir/log" >&2; }
fi
exit "$code"
