#include <map>
#include <mutex>

#include "source/detail/memory_table.h"
#include "tidegate/source/snapshot_store.h"

namespace tidegate {
namespace memory_snapshot_detail {

/// A store's table, or a handle on it: the picture outlives whoever opened it, so a poller that is made anew goes on.
class Handle final : public TableSnapshot {
 public:
  explicit Handle(std::shared_ptr<detail::MemoryTable> table) : table_(std::move(table)) {}

  void beginPoll() override { table_->beginPoll(); }
  Found mark(std::string_view rowId, std::string_view packed, std::string& before) override {
    return table_->mark(rowId, packed, before);
  }
  void visitUnmarked(const Visitor& visit) override { table_->visitUnmarked(visit); }
  void put(std::string_view rowId, std::string_view packed) override { table_->put(rowId, packed); }
  void erase(std::string_view rowId) override { table_->erase(rowId); }
  void commit() override {}
  bool outlivesProcess() const override { return false; }
  std::size_t rows() const override { return table_->rows(); }
  std::size_t bytes() const override { return table_->bytes(); }

 private:
  std::shared_ptr<detail::MemoryTable> table_;
};

class Store final : public SnapshotStore {
 public:
  std::unique_ptr<TableSnapshot> open(std::string_view key) override {
    const std::lock_guard lock(mutex_);
    auto& table = tables_[std::string(key)];
    if (!table) table = std::make_shared<detail::MemoryTable>();
    return std::make_unique<Handle>(table);
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<detail::MemoryTable>> tables_;  ///< guarded by mutex_
};

}  // namespace memory_snapshot_detail

std::shared_ptr<SnapshotStore> memorySnapshotStore() { return std::make_shared<memory_snapshot_detail::Store>(); }

}  // namespace tidegate
