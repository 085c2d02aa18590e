/// What shapes are served from: tables kept in memory, fed by a gateway or by a pipeline of an engine.
///
///     auto feed = electric::gatewayFeed(gateway, {.tables = {itemsSchema}, .claims = {{"sub", {"u7"}}}});
///     auto sink = std::make_shared<electric::ShapeSink>();   // … .sink = sink …
///     electric::ShapeServer shapes(feed);                    // or sink->feed()
///
/// A feed keeps its tables' rows and, for each shape that somebody reads, a bounded log of messages. It is memory only:
/// after a restart clients are told to fetch again.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/clock.h"
#include "tidegate/core/hlc.h"
#include "tidegate/core/position.h"
#include "tidegate/core/schema.h"
#include "tidegate/gateway/gateway.h"

namespace tidegate::electric {

/// Bounds on what a feed keeps, and how it counts.
struct ShapeFeedOptions {
  std::size_t maxShapes = 10'000;           ///< past it the one that nobody waits for longest is forgotten
  std::size_t maxShapeLogBytes = 8u << 20;  ///< of one shape; clients further behind fetch again
  std::size_t maxLogBytes = 256u << 20;     ///< of all shapes together
  std::size_t maxSnapshots = 4;             ///< pictures of one table that are kept for clients in the middle of one
  std::chrono::milliseconds snapshotTime{60'000};  ///< after which an unused picture is dropped
  std::size_t chunkBytes = 4u << 20;               ///< about so much of a snapshot or of a log is one answer
  std::size_t chunkRows = 50'000;                  ///< rows of a table looked at for one answer
  /// A change's place in its database's log, for the offsets and the `lsn` of messages. 0: unknown. Empty: transactions
  /// are counted.
  std::function<std::uint64_t(const Position& position)> lsnOf{};
  const Clock* clock = nullptr;  ///< null: the system's; must outlive the feed
};

/// Sizes now, and counts since it was made.
struct ShapeFeedStats {
  std::size_t tables = 0;
  std::size_t rows = 0;
  std::size_t rowBytes = 0;
  std::size_t shapes = 0;
  std::size_t conditions = 0;  ///< distinct ones, which are judged once for a change
  std::size_t logBytes = 0;
  std::size_t snapshots = 0;
  std::uint64_t waiting = 0;  ///< long polls and event streams
  std::uint64_t transactions = 0;
  std::uint64_t messages = 0;     ///< written to logs
  std::uint64_t judged = 0;       ///< conditions judged
  std::uint64_t rotations = 0;    ///< shapes that ended: schema change, truncate, eviction, deletion
  std::uint64_t refetches = 0;    ///< clients told to fetch again
  std::uint64_t refusedRows = 0;  ///< rows of a gateway whose id is no key of their table
};

/// @thread Any. Made by `gatewayFeed` and by `ShapeSink`.
class ShapeFeed {
 public:
  struct Impl;
  explicit ShapeFeed(std::shared_ptr<Impl> impl);
  ~ShapeFeed();
  ShapeFeed(const ShapeFeed&) = delete;
  ShapeFeed& operator=(const ShapeFeed&) = delete;

  /// Tables that can be asked for.
  std::vector<TableSchema> tables() const;
  ShapeFeedStats stats() const;
  /// Ends the shapes of a table, or of all where it is empty: their clients fetch again. @return how many.
  std::size_t rotate(std::string_view table = {});

 private:
  friend class ShapeServer;
  std::shared_ptr<Impl> impl_;
};

struct GatewayFeedOptions {
  std::vector<TableSchema> tables{};   ///< what is served; each with a primary key, as the row ids were made of
  Claims claims{};                     ///< under sync rules: whose view it is
  std::string clientId{"shape-feed"};  ///< as which it reads; one of its own for each feed
  std::size_t pageDeltas = 1'000;      ///< log entries read at once; 1..the gateway's maxPullDeltas
  ShapeFeedOptions feed{};
  /// Where a commit is taken over while clients wait for it. Empty: on the thread that pushed. What it is given may run
  /// at any time, also after the feed has gone.
  std::function<void(std::function<void()> work)> run{};
};

/// Serves a gateway's tables as the claims see them. Each entry of the log is a transaction of its own; its number is
/// its `serverHlc`. Nothing is read while nobody asks or waits. A gateway that no longer has the log since is read
/// anew, and clients get the difference.
/// @throws Error{invalidConfig} for a table without a key, or twice the same.
/// @thread Any. The gateway must outlive it.
std::shared_ptr<ShapeFeed> gatewayFeed(Gateway& gateway, GatewayFeedOptions options);

/// The `txids` of a gateway's log entry: what a client awaits after a push that was answered with this stamp.
/// A number that JavaScript holds exactly until 2093; over 4,096 entries in a millisecond some share theirs.
std::uint64_t transactionIdOf(Hlc serverHlc) noexcept;

}  // namespace tidegate::electric
