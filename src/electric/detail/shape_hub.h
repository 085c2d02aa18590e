/// Tables in memory, and the shapes that are taken of them: writers commit changes, readers get snapshots and logs.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "electric/detail/live_shape.h"
#include "electric/detail/table_rows.h"
#include "electric/detail/where_groups.h"
#include "tidegate/core/clock.h"
#include "tidegate/electric/shape_feed.h"
#include "tidegate/source/change_event.h"

namespace tidegate::electric::detail {

/// What a client that reads on gets.
struct ShapeReading {
  enum Kind : std::uint8_t {
    found,       ///< `piece`, which may be empty
    tooOld,      ///< the log no longer reaches back so far
    gone,        ///< the shape has ended
    outOfBounds  ///< a place that has not been yet
  } kind = found;
  LogPiece piece{};
  ShapeOffset last{};    ///< everything up to here is known: of `piece`, where it is complete
  std::string handle{};  ///< that clients are to go by from here on
};

/// @thread Any; `commit` and `prepare` one at a time.
class ShapeHub {
 public:
  explicit ShapeHub(ShapeFeedOptions options);

  // For whoever feeds it.

  /// Makes a table that is not there.
  void prepare(const Shape& shape);
  /// Applies events, transaction by transaction, in one step for readers, and wakes those that wait for them.
  /// A `schemaChange` without a description says which columns there are to be at least.
  void commit(const std::vector<ChangeEvent>& events);
  void countRefusedRow();
  std::uint64_t waiting() const noexcept { return waiting_.load(std::memory_order_acquire); }

  // For readers.

  /// The table's columns as they are now, or null.
  Shape shapeOf(std::string_view table) const;
  std::vector<TableSchema> tables() const;
  /// Whether the table has been read once.
  bool ready(std::string_view table) const;
  /// A table's rows as they are now. @return empty rows and a null shape where there is no such table.
  std::pair<Shape, std::vector<PackedRow>> rowsOf(std::string_view table) const;

  /// The shape, made where there is none. @param avoid  a handle that its new clients must not get.
  /// @return null where the table has other columns by now: read the definition again.
  /// @throws Error{backPressure} where all shapes allowed are in use; Error{tableNotFound}.
  std::pair<std::shared_ptr<LiveShape>, std::string> open(const ShapeDefinition& definition, const std::string& avoid);
  /// The shape that a client has by its handle; null where that is over, or is another shape's.
  /// The handle that it has by now is another for clients that came before a `renew`.
  std::pair<std::shared_ptr<LiveShape>, std::string> find(const std::string& handle, const std::string& identity);
  /// The handle of a shape that is there; empty where there is none.
  std::string handleOf(const std::string& identity) const;
  /// A handle other than `handle`, for a client that is too far behind. Others may go on with theirs, and learn of it:
  /// clients that share a store take answers under a handle that one of them was told to drop for old ones.
  std::string renew(LiveShape& shape, const std::string& handle);
  /// Ends shapes: by handle, or by table where the handle is empty, or all. @return how many.
  std::size_t rotate(std::string_view table, const std::string& handle);

  /// A picture of the shape's table from which its log goes on.
  std::shared_ptr<const TableSnapshot> beginSnapshot(LiveShape& shape);
  /// The same picture again; null where it is gone.
  std::shared_ptr<const TableSnapshot> snapshot(LiveShape& shape, std::uint32_t id);
  ShapeReading read(LiveShape& shape, ShapeOffset after);
  /// Has `waiter` woken once when there is something after `after`. @return false: there is something now.
  bool wait(LiveShape& shape, ShapeOffset after, std::shared_ptr<ShapeWaiter> waiter);
  void cancel(LiveShape& shape, ShapeWaiter* waiter);
  ShapeOffset last() const;

  ShapeFeedStats stats() const;
  const ShapeFeedOptions& options() const noexcept { return options_; }
  const Clock& clock() const noexcept { return *clock_; }

 private:
  struct Table {
    explicit Table(Shape shape) : rows(std::move(shape)) {}
    TableRows rows;
    WhereGroups groups{};
    std::vector<std::shared_ptr<TableSnapshot>> snapshots{};
    bool ready = false;
  };
  using Waiters = std::vector<std::shared_ptr<ShapeWaiter>>;
  class Commit;

  Table& tableOf(const Shape& shape);
  void endShape(const std::shared_ptr<LiveShape>& shape, Waiters& woken);
  void endShapesOf(Table& table, Waiters& woken);
  void takeWaiters(LiveShape& shape, Waiters& woken);
  void boundLogs(const std::vector<LiveShape*>& changed);
  bool evictOne(const LiveShape* keep);
  void dropSnapshots(Table& table, bool forAnother);
  std::string newHandle(const std::string& identity);
  static void wakeAll(const Waiters& woken);

  const ShapeFeedOptions options_;
  const Clock* const clock_;
  std::atomic<std::uint64_t> waiting_{0};

  mutable std::mutex mutex_;
  // guarded by mutex_
  std::map<std::string, std::unique_ptr<Table>, std::less<>> tables_;
  std::map<std::string, std::shared_ptr<LiveShape>> shapes_;  ///< by identity
  std::unordered_map<std::string, std::shared_ptr<LiveShape>> byHandle_;
  ShapeOffset last_{1, 0};  ///< of the newest transaction; its last operation
  std::size_t logBytes_ = 0;
  std::uint64_t uses_ = 0;
  std::int64_t lastHandle_ = 0;
  std::uint32_t lastSnapshot_ = 0;
  ShapeFeedStats counts_{};
};

}  // namespace tidegate::electric::detail
