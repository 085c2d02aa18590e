/// What a MemorySink holds: the tables that readers see, and the unit of work that they do not see yet.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "sink/detail/stored_table.h"
#include "tidegate/sink/memory_sink.h"

namespace tidegate {

struct MemorySink::Impl {
  using Tables = std::map<std::string, std::unique_ptr<detail::StoredTable>, std::less<>>;

  /// A reader's lock. Readers that come one after another would otherwise keep a writer waiting for ever.
  std::shared_lock<std::shared_mutex> readLock() const {
    const std::lock_guard turn(turn_);
    return std::shared_lock(tablesMutex);
  }
  std::unique_lock<std::shared_mutex> writeLock() const {
    const std::lock_guard turn(turn_);
    return std::unique_lock(tablesMutex);
  }
  /// Not held where somebody reads.
  std::unique_lock<std::shared_mutex> tryWriteLock() const { return std::unique_lock(tablesMutex, std::try_to_lock); }
  /// @throws Error{tableNotFound}
  detail::StoredTable& table(std::string_view name) const;

  MemorySinkOptions options{};
  mutable std::shared_mutex tablesMutex;  ///< written by who calls the sink alone
  Tables tables{};                        ///< guarded by tablesMutex
  std::uint64_t unit = 0;                 ///< guarded by tablesMutex

 private:
  mutable std::mutex turn_;
};

namespace detail {

/// What events of one shape are written to.
struct StagedTarget {
  StoredTable* table = nullptr;
  std::shared_ptr<const RowLayout> layout{};  ///< of the staged octets
  bool direct = false;                        ///< rows stand in the table's own slabs, as it keeps them
};

/// One thing to do at commit.
struct StagedOp {
  ChangeOp op = ChangeOp::progress;
  bool direct = false;
  std::uint32_t target = 0;
  std::uint64_t place = 0;  ///< in slabs or `scratch`, or a number in `changes` or `expiries`
  std::uint64_t hash = 0;   ///< of a direct row's key
};

struct StagedExpiry {
  std::size_t column = 0;
  Value cutoff{};
};

/// A unit of work that is not committed.
class StagedUnit {
 public:
  /// The target of a shape; made when it is first seen. @throws Error{tableNotFound}
  std::uint32_t target(MemorySink::Impl& state, const Shape& shape);
  void row(std::uint32_t target, const ChangeEvent& event);
  void erase(std::uint32_t target, const std::vector<Value>& before);
  void whole(ChangeOp op, std::uint32_t target) {
    ops_.push_back({op, false, target, 0, 0});
    wholeTables_ = wholeTables_ || op != ChangeOp::baselineBegin;
  }
  void schema(std::uint32_t target, std::shared_ptr<const SchemaChange> change);
  void expiry(std::uint32_t target, StagedExpiry expiry);

  bool empty() const noexcept { return ops_.empty(); }
  /// Whether it does something to all rows of a table, for which there is no saying how long it takes.
  bool wholeTables() const noexcept { return wholeTables_; }
  /// Does all of it. @param changes filled with what it did, where not null. @pre the write lock is held.
  void apply(std::vector<MemoryChange>* changes);
  /// Forgets it.
  void undo() noexcept;

 private:
  void clear() noexcept;
  void scratchRow(std::uint32_t target, const ChangeEvent& event);
  void applyOp(const StagedOp& op);
  void applyDirect(StagedTarget& target, const StagedOp& op);
  void applyScratch(StagedTarget& target, const StagedOp& op);
  void merge(StagedTarget& target, const RowLayout& layout, std::string_view packed,
             const std::vector<std::uint32_t>& unchanged);
  void applySchema(StagedTarget& target, const SchemaChange* change);
  void applyExpiry(StagedTarget& target, const StagedExpiry& expiry);
  void tell(const StoredTable& table, ChangeOp op, const RowRecord* record);

  std::vector<StagedTarget> targets_;
  const TableShape* lastShape_ = nullptr;
  std::uint32_t lastTarget_ = 0;
  std::vector<StagedOp> ops_;
  bool wholeTables_ = false;
  /// Rows in another form than the table's: octets of the row, number of unchanged columns, these, the packed row.
  std::string scratch_;
  std::vector<std::shared_ptr<const SchemaChange>> changes_;
  std::vector<StagedExpiry> expiries_;
  std::vector<MemoryChange>* told_ = nullptr;
  std::string packed_;
  std::vector<Value> values_, key_;
  std::vector<std::uint32_t> unchanged_;
};

/// The columns a table has after a change; or after `prepareTable` with the shape, where `change` is null.
Shape followedShape(const TableShape& held, const Shape& shape, const SchemaChange* change);

}  // namespace detail
}  // namespace tidegate
