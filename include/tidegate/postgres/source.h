/// PostgreSQL's logical replication (pgoutput) as a SyncSource (docs/postgres-source.md).
///
///     auto source = postgres::source({.connect = {.url = "postgresql://tidegate@db.example/shop", .password = secret},
///                                     .slot = "replica_eu",
///                                     .publication = {.name = "replica_eu"}});
///     Engine engine({.sources = {{.name = "shop", .source = source}}, .pipelines = {…}});
///
/// Needs `wal_level = logical` and a role with REPLICATION. Order is total: by the place of the commit in the log, then
/// by the place in the transaction. Positions read "0/16B3748+3".
///
/// Origin: laredo's Postgres source; differs in that only what is durable elsewhere is confirmed, in resumable chunked
/// baselines, in streamed large transactions, and in that every way to lose a slot has a defined outcome.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tidegate/postgres/query_fn.h"
#include "tidegate/source/backoff.h"
#include "tidegate/source/sync_source.h"

namespace tidegate::postgres {

/// How long the server keeps log for us.
enum class SlotMode {
  /// A slot that ends with its connection, and a new baseline for each process and for each lost connection (`stream`
  /// throws positionLost). Nothing is left in the database, and no log is ever kept for somebody who does not come
  /// back.
  ephemeral,
  /// A named slot that outlives the process: `stream` goes on where it was. Until `reset` the server keeps log for it.
  stateful
};

/// Who looks after the publication.
enum class PublicationMode {
  create,      ///< made where there is none, with the tables first asked for; an existing one is left as it is
  keepInStep,  ///< made, and then altered to publish exactly the tables that are streamed, with these options
  leaveAlone   ///< the operator's; what it lacks is a table issue with the statement that mends it
};

/// What is published of one table (PostgreSQL 15 and later).
struct PublishedTable {
  /// A condition in SQL over the table's own columns, e.g. "region = 'eu'". For updates and deletes it may only name
  /// columns of the replica identity. Baselines apply it too. Pasted into SQL as it is: never from outside.
  std::string rowFilter{};
  std::vector<std::string> columns{};  ///< only these, the key's among them; empty: all
};

struct PublicationOptions {
  std::string name = "tidegate";
  PublicationMode manage = PublicationMode::keepInStep;
  std::map<std::string, PublishedTable> tables{};  ///< by the name that the source is asked for; others are whole
  /// Changes of partitions come as changes of the partitioned table; else each partition is a table of its own, to be
  /// asked for by its own name.
  bool viaPartitionRoot = true;
  /// Generated columns that are stored come like any others (PostgreSQL 18 and later), also in baselines. With REPLICA
  /// IDENTITY FULL the server refuses updates of a table that has some, unless they do.
  bool generatedColumns = false;
};

/// How tables are read before their changes are streamed.
struct BaselineOptions {
  std::size_t parallelConnections = 2;  ///< that read tables, or ranges of one table, at the same time; 1..64
  /// A table of more rows (by the server's estimate) is read in key ranges while changes are streamed, and goes on
  /// there after a crash; smaller ones are read whole, before the stream begins. Needs a key.
  std::uint64_t chunkedFromRows = 1'000'000;
  std::size_t chunkRows = 10'000;  ///< of one range: what a crash reads again, and what is held in memory
};

struct SourceOptions {
  ConnectOptions connect{};  ///< `readOnly` is not used
  SlotMode mode = SlotMode::stateful;
  /// Lower-case letters, digits and underscores, up to 63. One replica, one slot. In ephemeral mode the beginning of a
  /// name that no other process uses.
  std::string slot = "tidegate";
  /// Standbys keep a copy of the slot, so that a failover is no loss of place (PostgreSQL 17 and later, `stateful`
  /// only). Needs `sync_replication_slots` at the standby and `synchronized_standby_slots` at the primary; a slot that
  /// is there already is altered. Where a standby had not all that was delivered, the place is lost all the same.
  bool failover = false;
  PublicationOptions publication{};
  BaselineOptions baseline{};

  std::uint32_t protocolVersion = 0;  ///< 1..4; 0: the newest that the server has
  /// Receive large transactions while they are still running (PostgreSQL 14 and later): less work for the server, and
  /// shorter waits at their commit. They are delivered once they have committed, as all others.
  bool streamLargeTransactions = true;
  std::size_t spillMemoryBytes = 64u << 20;  ///< of running transactions held in memory; the rest goes to files
  std::string spillDirectory{};              ///< for these files, which have no name there; empty: TMPDIR, else /tmp

  /// Changes of transactions with one of these replication origins are left out: those that a sink wrote, where both
  /// directions touch one database. Large transactions are then sent at their commit, since the server tells an origin
  /// no sooner. Rows of a baseline are told whoever wrote them.
  std::vector<std::string> skipOrigins{};

  std::size_t batchEvents = 1'000;                  ///< events in one call of the handler, at most
  std::chrono::milliseconds statusInterval{5'000};  ///< feedback is sent at least this often; over 0
  /// Writes a small logical message into the log this often (`pg_logical_emit_message`), so that a source whose tables
  /// are quiet still sees its place move on a server that only other databases keep busy. 0: never.
  std::chrono::milliseconds heartbeatInterval{0};
  std::uint64_t retainedWalWarnBytes = 1u << 30;      ///< warn when the slot retains more log; 0: never
  std::chrono::milliseconds monitorInterval{10'000};  ///< of asking how much that is and how far we lag; over 0
  BackoffOptions backoff{};                           ///< of reconnects, and of a slot that another process still uses
};

/// A source for one database.
/// @throws Error{invalidConfig} naming the option. Connects to nothing.
std::shared_ptr<SyncSource> source(SourceOptions options);

}  // namespace tidegate::postgres
