/// What the parts of a MySQL source share: options, state, the connection for questions, and what readers were told.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/detail/wake_up.h"
#include "mysql/detail/binlog_position.h"
#include "mysql/detail/binlog_tables.h"
#include "mysql/detail/c_link.h"
#include "mysql/detail/errors.h"
#include "tidegate/mysql/source.h"
#include "tidegate/source/source_state.h"

namespace tidegate::mysql::detail {

/// A file of the server's binlog.
struct BinlogFile {
  std::string name{};
  std::uint64_t number = 0;
  std::uint64_t size = 0;
};

/// A stop cuts the link that is asked, also where it comes just after the answer: such a link is not asked again.
struct DropIfStopped {
  const std::stop_token& stop;
  std::unique_ptr<CLink>& link;
  ~DropIfStopped() {
    if (stop.stop_requested()) link.reset();
  }
};

struct SourceCore {
  /// @throws Error{invalidConfig} naming the option.
  explicit SourceCore(SourceOptions given);

  /// Asks on the side connection, which is made if need be. A stop ends it.
  /// @throws Error; a connection that broke is made anew next time.
  template <class Work>
  auto ask(const std::stop_token& stop, Work&& work) {
    if (!side) side = connectSide(stop);
    const DropIfStopped drop{stop, side};
    try {
      const LinkGuard guard(stop, *side);
      return work(*side);
    } catch (const Error& e) {
      if (e.code() == ErrorCode::connectionFailed) side.reset();
      if (stop.stop_requested()) throw Error(ErrorCode::queryCancelled, Retry::later, "stopped");
      throw;
    }
  }
  /// @param silence for which the server may say nothing; 0: for ever.
  std::unique_ptr<CLink> connect(std::chrono::milliseconds silence, const std::stop_token& stop) const;
  /// The connection for questions: one that waits for a lock gives up long before it would be taken for dead.
  std::unique_ptr<CLink> connectSide(const std::stop_token& stop) const;
  /// For which a server that lives never says nothing.
  std::chrono::milliseconds silence() const;
  /// Goes to CONNECTED, from wherever that makes sense.
  void connected(const std::string& reason);
  void warn(const std::string& message) const;
  TableName nameOf(const std::string& table) const { return tableNameOf(table, options.connect.database); }
  std::optional<CatalogueTable> catalogue(const TableName& name, const std::stop_token& stop);
  /// What positions are made of on this server.
  /// @throws Error
  BorderBy positionsOn(CLink& link) const;
  /// The server's files, oldest first.
  static std::vector<BinlogFile> files(CLink& link);
  /// How far the binlog's end lies behind what was handed over, in octets.
  void noteLag(const std::vector<BinlogFile>& files);

  SourceOptions options;  ///< `connect` is resolved
  SourceContext context{};
  const Clock* clock;
  Scheduler* scheduler;
  SourceStateMachine state{};
  tidegate::detail::WakeUp wake{};
  std::atomic<bool> paused{false};

  std::unique_ptr<CLink> side{};
  Charsets charsets;
  ToldTables told{};

  /// Where the last stream was left: all before it was handed over. Whoever calls `baseline` and `stream`.
  std::optional<Place> left{};
  /// The server_id of the server that the stream comes from; 0: not known yet. The stream's thread.
  std::uint32_t streamServer = 0;

  /// In the server's files, all before it was handed over.
  std::atomic<std::uint64_t> reachedFile{0}, reachedOffset{0};
  std::atomic<std::uint64_t> lagBytes{0};
  std::atomic<bool> lagKnown{false};
  std::atomic<std::int64_t> lastCommitMicros{0};

  mutable std::mutex mutex{};
  Position acked{};  ///< guarded by mutex
};

}  // namespace tidegate::mysql::detail
