#!/usr/bin/env bash
# electric_demo.sh <electric_shape_server> <sync_layer>: the demo with a server of shapes in the place of logical replication, over
# the database of POSTGRES_URL (private_postgres.sh gives one).
set -euo pipefail
: "${POSTGRES_URL:?run this through private_postgres.sh}"
dir=$(mktemp -d /tmp/sync-layer-electric.XXXXXX)
shapes=
finish() {
  [ -z "$shapes" ] || kill -TERM "$shapes" 2>/dev/null || :
  [ -z "$shapes" ] || wait "$shapes" || :
  rm -rf "$dir"
}
trap finish EXIT
psql -q "$POSTGRES_URL" -c 'CREATE TABLE items (id bigserial PRIMARY KEY, title text NOT NULL, body text, created_at timestamptz DEFAULT now())'
"$1" --table public.items --port 0 >"$dir/said" 2>&1 &
shapes=$!
for _ in $(seq 300); do
  url=$(sed -n 's|^Shapes: \(.*\)/v1/shape$|\1|p' "$dir/said")
  [ -z "$url" ] || break
  kill -0 "$shapes" 2>/dev/null || break
  sleep 0.1
done
[ -n "${url:-}" ] || { echo "the server of shapes did not start:" >&2; cat "$dir/said" >&2; exit 1; }
ELECTRIC_URL=$url "$2" --demo --port 0 --data "$dir/streams"
