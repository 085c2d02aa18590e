/// MariaDB or MySQL as a sink: replica tables, with their checkpoint in the same transaction (docs/mysql-sink.md).
///
///     auto replica = mysql::sink({.connect = {.url = "mysql://tidegate@replica.example/shop", .password = secret,
///                                             .tls = mysql::TlsMode::verifyFull}});
///     PipelineSpec pipeline{.name = "shop to replica", .source = "shop", .tables = {…}, .sink = std::move(replica)};
///
/// Which column type each kind gets stands in docs/types.md.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "tidegate/mysql/query_fn.h"
#include "tidegate/sink/sink.h"

namespace tidegate::mysql {

/// How a MariaDB or MySQL sink writes.
struct SinkOptions {
  /// `readOnly` is not looked at; a database must be named. `statementTimeout` bounds the statements that write rows
  /// (MySQL itself bounds SELECT only).
  ConnectOptions connect{};
  /// Begins the names of the sink's own tables, in the connection's database.
  std::string tablePrefix = "_tidegate_";
  /// Not empty: rows are never deleted; this column (datetime(6), made if it is not there) holds when they were erased,
  /// in UTC.
  std::string softDeleteColumn{};
  /// Changes held before they are sent, over all tables. Up to here a unit of work may hold rows and a schema change;
  /// beyond, a schema change begins the unit again, by Error{queryFailed, Retry::later}, since these servers commit at
  /// each DDL statement.
  std::size_t maxPendingBytes = std::size_t{32} << 20;
  /// Bounds what takes long by nature: the end of a baseline, altering a table. Also how long a server that says
  /// nothing at all is waited for. 0: none.
  std::chrono::milliseconds maintenanceTimeout{3'600'000};
};

/// A sink with one connection of its own, made by `open`. Its target tables are "table" (in the connection's database)
/// or "database.table" (the first dot divides; the table is made if it is not there, the database must be).
///
/// Rows and checkpoint are one InnoDB transaction. A schema change is made in steps that suit both the rows before it
/// and those after it, so that a crash between leaves a table which the next `open` goes on with. A second writer of a
/// pipeline ends the first one: `open` kills its connection, and its `commit` throws Error{fenced}. A sink that finds
/// itself fenced by `open` says so once; opened again, it takes over.
///
/// @throws Error{invalidConfig} here for options that contradict each other.
/// @thread One at a time. `readTable` has a connection of its own and reads what is committed.
std::unique_ptr<Sink> sink(SinkOptions options);

}  // namespace tidegate::mysql
