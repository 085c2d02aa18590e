/// The binlog of MariaDB or MySQL as a SyncSource (docs/mysql-source.md).
///
///     auto source = mysql::source({.connect = {.url = "mysql://tidegate@db.example/shop", .password = secret,
///                                              .tls = mysql::TlsMode::verifyFull}});
///     Engine engine({.sources = {{.name = "shop", .source = source}}, .pipelines = {…}});
///
/// Needs `log_bin`, `binlog_format = ROW`, and an account that may read the binlog. Order is total: that of the commits
/// in the binlog, then the place in the transaction. Positions read "0-1-5" or "uuid:3e11fa47-…:1-5" (GTIDs, which hold
/// on every server of a replicated set) or "file:1/3/4567" (a place in the files of one server).
/// Large tables are read piece by piece beside the stream; a crash costs the piece in hand.
///
/// Origin: Debezium's MySQL connector and go-mysql's canal; differs in that a baseline takes no global lock where it
/// can, that XA transactions come when they are decided, and that what cannot be read exactly is an error.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "tidegate/mysql/query_fn.h"
#include "tidegate/source/backoff.h"
#include "tidegate/source/sync_source.h"

namespace tidegate::mysql {

/// What positions are made of.
enum class PositionBy {
  automatic,  ///< GTIDs on MariaDB, and on MySQL with gtid_mode = ON; else file and offset
  gtid,       ///< GTIDs: MariaDB's domains, or MySQL's sets, which need gtid_mode = ON
  file        ///< file and offset: they end with the server, so a failover needs a new baseline
};

/// How tables are read before, and while, their changes are streamed.
struct BaselineOptions {
  /// A table of at least so many rows (by the server's guess) is read in ranges of its primary key while changes are
  /// streamed, and goes on there after a crash; smaller ones are read whole, before the stream begins. InnoDB
  /// only, and on MySQL only with gtid_mode = ON. 0: every table that has a key.
  std::uint64_t chunkedFromRows = 1'000'000;
  std::size_t chunkRows = 10'000;  ///< of one range: what a crash reads again. Up to two are held in memory
  /// A range ends at the row that fills so many octets, if that comes first.
  std::size_t chunkBytes = 16u << 20;
};

struct SourceOptions {
  /// `readOnly` and `statementTimeout` are not looked at: nothing is written, and what is asked of the catalogue is
  /// bound by `heartbeatInterval`.
  ConnectOptions connect{};
  /// Ours, as a replica: each of a server's replicas needs another, and none that of the server. 0: drawn at random
  /// from the upper half of the range for each object.
  std::uint32_t serverId = 0;
  PositionBy positions = PositionBy::automatic;

  BaselineOptions baseline{};
  std::size_t batchEvents = 1'000;  ///< events in one call of the handler, at most
  /// The server says this often that it has nothing to say. One that says nothing for ten times as long, and three
  /// seconds at least, is taken for gone. 10 ms at least.
  std::chrono::milliseconds heartbeatInterval{1'000};
  std::chrono::milliseconds monitorInterval{10'000};  ///< of asking how far we lag; over 0
  /// Of XA transactions that are prepared and not decided, held in memory. More end the stream with an error.
  std::size_t preparedMemoryBytes = 64u << 20;
  BackoffOptions backoff{};  ///< of reconnects
};

/// A source for the databases of one server. Tables are called "database.table"; without a database, that of `connect`
/// is meant.
/// @throws Error{invalidConfig} naming the option. Connects to nothing.
std::shared_ptr<SyncSource> source(SourceOptions options);

}  // namespace tidegate::mysql
