#!/usr/bin/env bash
# Fails on an include that goes up or sideways in the layers (docs/architecture.md), and on a third-party header in a
# public header. `--self-test` shows that it catches each kind; `--root DIR` checks another tree.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# For each file: its layer is the folder below include/tidegate/ or src/. `allowed` names what a layer may include
# besides itself; an entry with a file name allows that header only.
check() {
  local root=$1
  (cd "$root" && find include src \( -name '*.h' -o -name '*.cpp' \) -print0 | sort -z |
    xargs -0 -r awk '
    BEGIN {
      allowed["core"] = ""
      allowed["gateway"] = "core"
      allowed["source"] = "core"
      allowed["sink"] = "core source/change_event.h"
      allowed["engine"] = "core source sink"
      allowed["jobs"] = "core gateway source sink engine"
      allowed["http"] = "core"
      allowed["server"] = "core gateway source sink engine jobs http"
      split("sqlite postgres mysql kinesis electric durable_streams nats", drivers)
      for (i in drivers) { allowed[drivers[i]] = "core source sink gateway/store.h gateway/shared_log.h jobs/job_store.h jobs/job_source.h"; driver[drivers[i]] = 1 }
      allowed["kinesis"] = allowed["kinesis"] " http"
      allowed["durable_streams"] = allowed["durable_streams"] " http"
      allowed["electric"] = allowed["electric"] " http gateway"
    }
    function fail(why) {
      printf "%s:%d: %s: %s\n", FILENAME, FNR, why, $0
      bad = 1
    }
    # Where sources and sinks meet a gateway: the poller and its details, the gateway source, the gateway sink.
    function wired(file) {
      return file ~ /\/source\/(source_poller|gateway_source)/ || file ~ /^src\/source\/detail\// || file ~ /\/sink\/(detail\/)?gateway_sink/
    }
    function may(from, header, to,   rules, n, i) {
      if (from == to) return 1
      if (to == "gateway" && wired(FILENAME)) return 1
      # Row ids have one form, whoever writes them.
      if (header == "source/detail/row_shape.h" && FILENAME ~ /^src\/sink\/gateway_sink/) return 1
      n = split(allowed[from], rules, " ")
      for (i = 1; i <= n; i++) if (rules[i] == to || rules[i] == header) return 1
      return 0
    }
    FNR == 1 {
      public = FILENAME ~ /^include\//
      path = FILENAME
      sub(public ? "^include/tidegate/" : "^src/", "", path)
      layer = path
      if (sub(/\/.*/, "", layer) == 0) layer = ""
      if (layer != "" && !(layer in allowed)) fail("unknown layer \"" layer "\"")
    }
    /^[ \t]*#[ \t]*include[ \t]*</ {
      header = $0; sub(/^[^<]*</, "", header); sub(/>.*/, "", header)
      if (header ~ /^tidegate\//) fail("write Tidegate headers with quotes")
      else if (public && header !~ /^[a-z_0-9]+$/) fail("third-party header in a public header")
    }
    /^[ \t]*#[ \t]*include[ \t]*"/ {
      header = $0; sub(/^[^"]*"/, "", header); sub(/".*/, "", header)
      if (header ~ /\.\./) { fail("write the path from the root, without .."); next }
      inside = header
      if (sub(/^tidegate\//, "", inside) == 0 && public) {
        fail("a public header may include only tidegate/ and the standard library")
        next
      }
      to = inside
      if (sub(/\/.*/, "", to) == 0) { fail("write the path from the root"); next }
      if (!(to in allowed)) fail("unknown layer \"" to "\"")
      else if (layer != "" && !may(layer, inside, to)) fail("layer " layer " may not include " to)
      else if (inside ~ /\/detail\// && to != layer && driver[to]) fail("a driver'"'"'s detail is its own")
    }
    END { exit bad }')
}

self_test() {
  local scratch failed=0
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' RETURN
  # expect ok|bad FILE INCLUDE-LINE
  expect() {
    rm -rf "$scratch/include" "$scratch/src"
    mkdir -p "$scratch/include" "$scratch/src" "$scratch/$(dirname "$2")"
    printf '#pragma once\n%s\n' "$3" >"$scratch/$2"
    local got=ok
    check "$scratch" >/dev/null || got=bad
    [[ $got == "$1" ]] || { echo "self-test: $2 with $3: expected $1, got $got"; failed=1; }
  }
  expect ok include/tidegate/gateway/a.h '#include "tidegate/core/value.h"'
  expect ok include/tidegate/core/a.h '#include <stop_token>'
  expect ok include/tidegate/source/source_poller.h '#include "tidegate/gateway/gateway.h"'
  expect ok include/tidegate/sqlite/a.h '#include "tidegate/gateway/store.h"'
  expect ok include/tidegate/nats/a.h '#include "tidegate/gateway/shared_log.h"'
  expect ok include/tidegate/sqlite/a.h '#include "tidegate/jobs/job_store.h"'
  expect ok include/tidegate/postgres/a.h '#include "tidegate/jobs/job_source.h"'
  expect bad src/postgres/a.cpp '#include "tidegate/jobs/replication_jobs.h"'
  expect bad src/jobs/a.cpp '#include "tidegate/sqlite/job_store.h"'
  expect ok src/sqlite/a.cpp '#include <SQLiteCpp/SQLiteCpp.h>'
  expect ok src/source/a.cpp '#include "core/detail/packed.h"'
  expect ok src/sink/gateway_sink.cpp '#include "source/detail/row_shape.h"'
  expect bad src/sink/memory_sink.cpp '#include "source/detail/row_shape.h"'
  expect ok src/source/detail/push.h '#include "tidegate/gateway/messages.h"'
  expect bad src/source/ingest_config.cpp '#include "tidegate/gateway/messages.h"'
  expect bad include/tidegate/core/a.h '#include "tidegate/gateway/gateway.h"'
  expect bad include/tidegate/gateway/a.h '#include "tidegate/source/ingest_config.h"'
  expect bad include/tidegate/source/ingest_config.h '#include "tidegate/gateway/gateway.h"'
  expect bad include/tidegate/sqlite/a.h '#include "tidegate/gateway/gateway.h"'
  expect bad include/tidegate/sqlite/a.h '#include <sqlite3.h>'
  expect bad include/tidegate/postgres/a.h '#include <pqxx/pqxx>'
  expect bad include/tidegate/core/a.h '#include "core/detail/packed.h"'
  expect bad include/tidegate/core/a.h '# include  <nlohmann/json_fwd.hpp>'
  expect bad include/tidegate/core/a.h '#include <tidegate/core/value.h>'
  expect bad include/tidegate/newlayer/a.h '#include <vector>'
  expect bad src/core/a.cpp '#include "gateway/detail/log.h"'
  expect bad src/core/a.cpp '#include "../gateway/detail/log.h"'
  expect bad src/mysql/a.cpp '#include "postgres/detail/types.h"'
  expect ok src/electric/a.cpp '#include "tidegate/http/server.h"'
  expect ok include/tidegate/electric/a.h '#include "tidegate/gateway/gateway.h"'
  expect bad src/durable_streams/a.cpp '#include "tidegate/gateway/gateway.h"'
  expect bad src/http/a.cpp '#include "tidegate/gateway/gateway.h"'
  expect bad src/sqlite/a.cpp '#include "tidegate/http/server.h"'
  expect bad src/postgres/a.cpp '#include "tidegate/sqlite/query.h"'
  return $failed
}

usage() { echo "Usage: cmake/check_includes.sh [--root DIR | --self-test]"; }
case ${1:-} in
  '') check "$root" ;;
  --root) check "$2" ;;
  --self-test) self_test ;;
  --help | -h) usage ;;
  *) usage >&2; exit 2 ;;
esac
