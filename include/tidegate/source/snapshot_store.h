/// Where a diff poller keeps the last picture of a table: packed in memory, or in SQLite for tables larger than memory
/// and restarts without a full re-emit (`sqlite::snapshotStore`).
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace tidegate {

/// One table's last accepted picture: row id -> packed row (docs/formats.md).
/// @thread One at a time.
class TableSnapshot {
 public:
  using Visitor = std::function<void(std::string_view rowId, std::string_view packed)>;
  virtual ~TableSnapshot() = default;

  /// Starts a poll: nothing is marked.
  virtual void beginPoll() = 0;
  /// What `mark` found.
  enum class Found { missing, same, differs, repeated };
  /// Marks a row id as present in this poll and compares. `before` is filled only for `differs`.
  /// `repeated`: the id was marked already in this poll.
  virtual Found mark(std::string_view rowId, std::string_view packed, std::string& before) = 0;
  /// Visits the rows that no `mark` of this poll named.
  virtual void visitUnmarked(const Visitor& visit) = 0;
  /// Replaces or adds rows and removes others, all or nothing, once what they stand for was accepted.
  virtual void put(std::string_view rowId, std::string_view packed) = 0;
  virtual void erase(std::string_view rowId) = 0;
  /// Makes `put` and `erase` since the last one durable (a no-op in memory).
  virtual void commit() = 0;
  /// Whether what was committed is there after a restart. If so, what is pushed is first noted as in doubt.
  virtual bool outlivesProcess() const { return true; }

  virtual std::size_t rows() const = 0;
  /// Memory held, allocator overhead included.
  virtual std::size_t bytes() const = 0;
};

/// Opens tables' snapshots by name.
class SnapshotStore {
 public:
  virtual ~SnapshotStore() = default;
  /// @param key source and table, e.g. "shop/audit_log". @throws Error{storeUnavailable, storeCorrupt}
  virtual std::unique_ptr<TableSnapshot> open(std::string_view key) = 0;
};

/// Packed in memory: at most 1.3 x the bytes of the values held + 48 bytes a row.
std::shared_ptr<SnapshotStore> memorySnapshotStore();

}  // namespace tidegate
