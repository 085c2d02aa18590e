#include "source/detail/staged_snapshot.h"

#include <vector>

#include "source/detail/diff_poller.h"

namespace tidegate::detail {
namespace {

/// What a poller is given; the snapshot outlives it.
class SharedSnapshot final : public TableSnapshot {
 public:
  explicit SharedSnapshot(std::shared_ptr<StagedSnapshot> held) : held_(std::move(held)) {}
  void beginPoll() override { held_->beginPoll(); }
  Found mark(std::string_view rowId, std::string_view packed, std::string& before) override {
    return held_->mark(rowId, packed, before);
  }
  void visitUnmarked(const Visitor& visit) override { held_->visitUnmarked(visit); }
  void put(std::string_view rowId, std::string_view packed) override { held_->put(rowId, packed); }
  void erase(std::string_view rowId) override { held_->erase(rowId); }
  void commit() override { held_->commit(); }
  bool outlivesProcess() const override { return held_->outlivesProcess(); }
  std::size_t rows() const override { return held_->rows(); }
  std::size_t bytes() const override { return held_->bytes(); }

 private:
  std::shared_ptr<StagedSnapshot> held_;
};

}  // namespace

TableSnapshot::Found StagedSnapshot::mark(std::string_view rowId, std::string_view packed, std::string& before) {
  const Found found = real_->mark(rowId, packed, before);
  if (found == Found::repeated) return found;
  const auto row = pending_.find(rowId);
  if (row == pending_.end()) return found;
  if (row->second.erased) return Found::missing;
  if (row->second.packed == packed) return Found::same;
  before = row->second.packed;
  return Found::differs;
}

void StagedSnapshot::visitUnmarked(const Visitor& visit) {
  real_->visitUnmarked([&](std::string_view rowId, std::string_view packed) {
    const auto row = pending_.find(rowId);
    if (row == pending_.end())
      visit(rowId, packed);
    else if (!row->second.erased)
      visit(rowId, row->second.packed);
  });
}

void StagedSnapshot::put(std::string_view rowId, std::string_view packed) {
  const bool layouts = rowId == RowLayouts::kRowId;
  const bool doubt = packed == kInDoubt;
  if (!layouts && !doubt && !direct_) return stage(rowId, {now_, false, std::string(packed)});
  const auto row = pending_.find(rowId);
  if (row != pending_.end()) drop(row);
  real_->put(rowId, packed);
}

void StagedSnapshot::erase(std::string_view rowId) {
  if (direct_) return real_->erase(rowId);
  stage(rowId, {now_, true, {}});
}

void StagedSnapshot::stage(std::string_view rowId, Pending pending) {
  const auto row = pending_.find(rowId);
  if (row != pending_.end()) drop(row);
  order_.emplace_back(pending.place, rowId);
  erased_ += pending.erased ? 1 : 0;
  bytes_ += rowId.size() * 2 + pending.packed.size();
  pending_.emplace(rowId, std::move(pending));
}

void StagedSnapshot::drop(Rows::iterator row) {
  erased_ -= row->second.erased ? 1 : 0;
  bytes_ -= row->first.size() * 2 + row->second.packed.size();
  pending_.erase(row);
}

std::size_t StagedSnapshot::bytes() const {
  constexpr std::size_t kNode = 160;
  return real_->bytes() + bytes_ + pending_.size() * kNode;
}

void StagedSnapshot::flush(PollingPlace acked) {
  bool any = false;
  for (; !order_.empty() && order_.front().first <= acked; order_.pop_front()) {
    const auto row = pending_.find(order_.front().second);
    if (row == pending_.end() || row->second.place != order_.front().first) continue;
    if (row->second.erased)
      real_->erase(row->first);
    else
      real_->put(row->first, row->second.packed);
    drop(row);
    any = true;
  }
  if (any) real_->commit();
}

void StagedSnapshot::rewind(PollingPlace from) {
  for (; !order_.empty() && order_.back().first > from; order_.pop_back()) {
    const auto row = pending_.find(order_.back().second);
    if (row != pending_.end() && row->second.place == order_.back().first) drop(row);
  }
}

void StagedSnapshot::clear() {
  pending_.clear();
  order_.clear();
  erased_ = bytes_ = 0;
  std::vector<std::string> ids;
  real_->beginPoll();
  real_->visitUnmarked([&](std::string_view rowId, std::string_view) { ids.emplace_back(rowId); });
  for (const std::string& id : ids) real_->erase(id);
  real_->commit();
}

std::unique_ptr<TableSnapshot> StagedSnapshots::open(std::string_view key) {
  of(key);
  return std::make_unique<SharedSnapshot>(open_.find(key)->second);
}

StagedSnapshot& StagedSnapshots::of(std::string_view key) {
  const auto known = open_.find(key);
  if (known != open_.end()) return *known->second;
  return *open_.emplace(std::string(key), std::make_shared<StagedSnapshot>(real_->open(key))).first->second;
}

}  // namespace tidegate::detail
