#include "gateway/detail/buffer_state.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/detail/packed.h"

namespace tidegate::detail {
namespace {

/// A kept block, and about what its entries in map and queue take.
std::size_t keptBytes(const RowBlock& block) { return blockBytes(block.size) + 112; }

}  // namespace

RetainedBlocks::~RetainedBlocks() {
  for (auto& [slot, blocks] : blocks_) {
    for (const Kept& kept : blocks) freeBlock(kept.block);
  }
}

void RetainedBlocks::close(std::uint64_t sequence) noexcept {
  readers_.erase(readers_.find(sequence));
  // Whoever is left sees at least what the oldest reader sees: blocks replaced by then are nobody's any more.
  const std::uint64_t oldest = readers_.empty() ? UINT64_MAX : *readers_.begin();
  for (; !replaced_.empty() && replaced_.front().first <= oldest; replaced_.pop_front()) {
    const auto found = blocks_.find(replaced_.front().second);
    std::vector<Kept>& blocks = found->second;
    bytes_ -= keptBytes(*blocks.front().block);
    freeBlock(blocks.front().block);
    blocks.erase(blocks.begin());
    if (blocks.empty()) blocks_.erase(found);
  }
}

void RetainedBlocks::keep(std::uint32_t slot, RowBlock* block, std::uint64_t until) {
  blocks_[slot].push_back({block, until});
  replaced_.emplace_back(until, slot);
  bytes_ += keptBytes(*block);
}

const RowBlock* RetainedBlocks::find(std::uint32_t slot, std::uint64_t sequence) const noexcept {
  const auto found = blocks_.find(slot);
  if (found == blocks_.end()) return nullptr;
  const RowBlock* newest = nullptr;
  for (const Kept& kept : found->second) {
    if (kept.block->sequence <= sequence && sequence < kept.until) newest = kept.block;
  }
  return newest;
}

std::uint32_t BufferState::findRow(std::string_view table, std::string_view rowId) const {
  const auto id = names.find(table);
  if (!id) return kNoSlot;
  return slots.find(rowKeyHash(tableHash(table), rowId), *id, rowId);
}

Row toRow(const RowImage& image, const NameTable& names) {
  std::vector<std::string> columns;
  Row row;
  for (const ColumnImage& column : image.columns) {
    if (!column.hasRegister) continue;
    columns.emplace_back(names.at(column.name));
    row.values.push_back(PackedReader(column.value).value());
  }
  row.columns = makeColumns(std::move(columns));
  return row;
}

std::optional<Row> BufferState::row(std::string_view table, std::string_view rowId) const {
  const std::uint32_t slot = findRow(table, rowId);
  if (slot == kNoSlot) return std::nullopt;
  const RowBlock* block = slots[slot].committed;
  if (block == nullptr || block->visible == 0) return std::nullopt;
  RowImage image;
  readRow(block->octets(), image);
  return toRow(image, names);
}

bool BufferState::isPurged(NameId table, std::uint64_t serverHlc) const noexcept {
  return std::any_of(purged.begin(), purged.end(),
                     [&](const PurgedTable& p) { return p.table == table && serverHlc <= p.at; });
}

const std::vector<NameId>& BufferState::ruleColumns(NameId table) {
  const auto known = ruleColumns_.find(table);
  if (known != ruleColumns_.end()) return known->second;
  std::vector<NameId> columns;
  for (const std::string& column : rules.columnsOf(names.at(table))) columns.push_back(names.intern(column));
  return ruleColumns_.emplace(table, std::move(columns)).first->second;
}

void BufferState::moveHead(std::uint64_t to, std::size_t room) {
  if (to == head) return;
  head = to;
  snapshotViews.clear();
  snapshotRoom = room;
}

std::optional<std::uint64_t> BufferState::snapshotStamp(const std::string& view) {
  const auto found = std::find(snapshotViews.begin(), snapshotViews.end(), view);
  const auto index = static_cast<std::size_t>(found - snapshotViews.begin());
  if (index == snapshotRoom) return std::nullopt;
  if (found == snapshotViews.end()) snapshotViews.push_back(view);
  return head + 1 + index;
}

void BufferState::setRules(SyncRules newRules) {
  rules = std::move(newRules);
  ruleColumns_.clear();
  ++rulesGeneration;
}

void BufferState::retire(std::uint32_t slot, RowBlock* block) {
  if (retained.wanted(*block)) {
    blockBytes -= detail::blockBytes(block->size);
    retained.keep(slot, block, sequence);
    return;
  }
  blockBytes -= detail::blockBytes(block->size);
  freeBlock(block);
}

void BufferState::publishSlot(std::uint32_t number, std::uint64_t stampedAt) {
  Slot& slot = slots[number];
  RowBlock* old = slot.committed;
  RowBlock* fresh = std::exchange(slot.pending, nullptr);
  fresh->sequence = sequence;
  slot.committed = fresh;
  if (old != nullptr) {
    (old->visible != 0 ? visibleRows : tombstoneRows) -= 1;
    retire(number, old);
  }
  if (fresh->visible != 0) {
    ++visibleRows;
  } else {
    ++tombstoneRows;
    tombstones.push_back({head, stampedAt, sequence, number});
  }
}

void BufferState::undoSlot(std::uint32_t number) noexcept {
  Slot& slot = slots[number];
  if (slot.pending != nullptr) {
    blockBytes -= detail::blockBytes(slot.pending->size);
    freeBlock(std::exchange(slot.pending, nullptr));
  }
  if (slot.committed == nullptr) slots.remove(number);
}

void BufferState::dropSlot(std::uint32_t number) noexcept {
  Slot& slot = slots[number];
  RowBlock* old = std::exchange(slot.committed, nullptr);
  (old->visible != 0 ? visibleRows : tombstoneRows) -= 1;
  blockBytes -= detail::blockBytes(old->size);
  freeBlock(old);
  slots.remove(number);
}

std::size_t BufferState::rowBytes() const noexcept {
  return slots.bytes() + blockBytes + retained.bytes() + tombstones.size() * sizeof(Tombstone);
}

std::size_t BufferState::bytes() const noexcept { return rowBytes() + log.bytes() + dedupe.bytes() + names.bytes(); }

}  // namespace tidegate::detail
