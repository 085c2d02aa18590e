/// PostgreSQL as a sink: replica tables, with their checkpoint in the same transaction (docs/postgres-sink.md).
///
///     auto replica = postgres::sink({.connect = {.url = "postgresql://tidegate@replica.example/shop",
///                                                .password = secret, .tls = postgres::TlsMode::verifyFull}});
///     PipelineSpec pipeline{.name = "shop to replica", .source = "shop", .tables = {…}, .sink = std::move(replica)};
///
/// Which column type each kind gets stands in docs/types.md.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "tidegate/postgres/query_fn.h"
#include "tidegate/sink/sink.h"

namespace tidegate::postgres {

/// How a Postgres sink writes.
struct SinkOptions {
  /// `readOnly` is not looked at. `statementTimeout` bounds the statements that write rows.
  ConnectOptions connect{};
  /// Where the sink keeps checkpoints and what a baseline has named. Made if it is not there.
  std::string schema = "_tidegate";
  /// Not empty: rows are never deleted; this column (timestamptz, made if it is not there) holds when they were erased.
  std::string softDeleteColumn{};
  /// Not empty: everything that the sink writes is marked with this replication origin, so that a source of the same
  /// database can leave it out (`SourceOptions::skipOrigins`). Made if it is not there; one session at a time has it,
  /// so each pipeline needs its own. The role needs EXECUTE on the functions pg_replication_origin_create,
  /// pg_replication_origin_oid and pg_replication_origin_session_setup.
  std::string origin{};
  /// Changes held before they are sent, over all tables.
  std::size_t maxPendingBytes = std::size_t{8} << 20;
  /// Bounds what takes long by nature: the end of a baseline, retyping a column. 0: none.
  std::chrono::milliseconds maintenanceTimeout{3'600'000};
};

/// A sink with one connection of its own, made by `open`. Its target tables are "table" (found by search_path) or
/// "schema.table" (the first dot divides; schema and table are made if they are not there).
///
/// Everything of a unit of work is one transaction, schema changes too. A second writer of a pipeline ends the first
/// one: `open` ends its session, and its `commit` throws Error{fenced}. A sink that finds itself fenced by `open` says
/// so once; opened again, it takes over.
///
/// @throws Error{invalidConfig} here for options that contradict each other.
/// @thread One at a time. `readTable` has a connection of its own and reads what is committed.
std::unique_ptr<Sink> sink(SinkOptions options);

}  // namespace tidegate::postgres
