#include "gateway/detail/staging.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/detail/prefetch.h"

namespace tidegate::detail {
namespace {

constexpr std::size_t kSnapshotRoom = 16;  // stamps after each push that only snapshots get

const ColumnImage* findColumn(const RowImage& row, NameId name) {
  for (const ColumnImage& column : row.columns) {
    if (column.name == name) return &column;
  }
  return nullptr;
}

}  // namespace

bool Staging::tooOld(const PreparedPush& push, PushResult& result) const {
  if (push.trusted || state_.purgedStamp == 0) return false;
  for (std::size_t i = 0; i < push.deltas.size(); ++i) {
    const PreparedDelta& delta = push.deltas[i];
    const std::string_view table = push.names[delta.table].text;
    if (delta.hlc > state_.purgedStamp || state_.dedupe.contains(delta.seen)) continue;
    if (state_.findRow(table, delta.rowId) != kNoSlot) continue;
    refuse(result, push.deltas.size(), i, Verdict::tooOld,
           fmt::format("{}: it is stamped before erases that are already forgotten (up to {}); resync, then stamp it "
                       "anew",
                       describeDelta(i, table, delta.rowId), Hlc{state_.purgedStamp}.text()));
  }
  return result.status != PushStatus::accepted;
}

bool Staging::admit(const PreparedPush& push, PushResult& result) const {
  if (tooOld(push, result)) return false;
  std::size_t fresh = 0;
  for (const PushName& name : push.names) fresh += state_.names.find(name.text) ? 0 : 1;
  if (fresh <= state_.names.room()) return true;
  result.status = PushStatus::rejected;
  result.verdicts.clear();
  result.message = fmt::format(
      "the push brings {} new names of tables, columns or clients, over maxNames; use fewer distinct names", fresh);
  return false;
}

void Staging::makeRoom(PreparedPush& push) {
  for (PushName& name : push.names) name.id = state_.names.intern(name.text);
  state_.slots.reserve(push.deltas.size());
  state_.dedupe.reserve(push.deltas.size());
  touched_.reserve(touched_.size() + push.deltas.size());
  seen_.reserve(seen_.size() + push.deltas.size());
}

void Staging::prefetch(const PreparedPush& push, std::size_t reach) {
  const std::size_t count = push.deltas.size();
  if (reach < count) {
    const PreparedDelta& delta = push.deltas[reach];
    state_.slots.prefetchIndex(delta.rowHash);
    if (delta.id != nullptr) state_.dedupe.prefetch(delta.seen);
  }
  // What is still before the first delta wraps round to far behind the last.
  const std::size_t ofSlot = reach - kPrefetchStep;
  const std::size_t ofBlock = reach - 2 * kPrefetchStep;
  std::uint32_t& candidate = candidates_[reach % candidates_.size()];
  if (ofBlock < count && candidate != kNoSlot) {
    if (const RowBlock* block = state_.slots[candidate].committed) {
      prefetchLine(block);
      prefetchLine(reinterpret_cast<const char*>(block) + 64);
    }
  }
  if (ofSlot >= count) return;
  candidate = state_.slots.candidate(push.deltas[ofSlot].rowHash);
  if (candidate != kNoSlot) state_.slots.prefetchSlot(candidate);
}

void Staging::stage(PreparedPush& push, HlcClock& clock, PushResult& result) {
  if (!admit(push, result)) return;
  makeRoom(push);
  clock.restore(Hlc{push.greatestHlc});
  // A delta appends two entries at most; stamps that stay unused are simply skipped.
  if (!push.deltas.empty()) nextStamp_ = clock.reserve(2 * push.deltas.size() + kSnapshotRoom).raw;
  constexpr std::size_t kAhead = 3 * kPrefetchStep;
  for (std::size_t reach = 0; reach < kAhead; ++reach) prefetch(push, reach);
  for (std::size_t i = 0; i < push.deltas.size(); ++i) {
    prefetch(push, i + kAhead);
    const Verdict verdict = stageDelta(push, push.deltas[i]);
    result.verdicts[i].verdict = verdict;
    (verdict == Verdict::applied     ? result.applied
     : verdict == Verdict::duplicate ? result.duplicates
                                     : result.noEffect) += 1;
  }
  result.serverHlc = Hlc{head()};
}

Verdict Staging::stageDelta(const PreparedPush& push, const PreparedDelta& delta) {
  if (delta.id != nullptr) {
    if (!state_.dedupe.add(delta.seen)) return Verdict::duplicate;
    seen_.push_back(delta.seen);
  }
  const NameId table = push.names[delta.table].id;
  const std::uint32_t slot = state_.slots.find(delta.rowHash, table, delta.rowId);
  ruleColumns_ = &state_.ruleColumns(table);
  gather(push, delta);
  if (makesFreshRow(delta, slot)) return stageFresh(push, delta, table);
  readBefore(push, delta, slot, table);
  const Incoming incoming{delta.op, {delta.hlc, push.names[delta.client].id}, push.ingest, incoming_};
  merger_.merge(row_, incoming, outcome_);
  if (!outcome_.stateChanged) return Verdict::noEffect;
  if (collectNames_) names_.addRow(row_);
  BlockOwner fresh(makeBlock(row_, state_.names, scratch_));
  const BlockOwner replaced = setPending(delta.rowHash, slot, std::move(fresh));  // texts of `row_` may point into it
  if (outcome_.effect == MergeOutcome::Effect::none) return Verdict::noEffect;
  append(delta, incoming);
  return Verdict::applied;
}

bool Staging::makesFreshRow(const PreparedDelta& delta, std::uint32_t slot) const {
  return slot == kNoSlot && delta.op == DeltaOp::insert && delta.columns != 0 && ruleColumns_->empty() &&
         state_.purgedStamp == 0;
}

Verdict Staging::stageFresh(const PreparedPush& push, const PreparedDelta& delta, NameId table) {
  const PackedStamp stamp{delta.hlc, push.names[delta.client].id};
  row_.clear(table, delta.rowId);
  rules_.clear();
  setPending(delta.rowHash, kNoSlot, BlockOwner(makeFreshBlock({table, delta.rowId, stamp, push.ingest, incoming_})));
  if (collectNames_) {
    names_.add(table);
    for (const IncomingColumn& column : incoming_) names_.add(column.name);
  }
  RecordDraft draft;
  draft.op = DeltaOp::insert;
  draft.stamp = stamp;
  draft.columns = incoming_;
  draft.id = delta.id;
  write(draft);
  return Verdict::applied;
}

void Staging::gather(const PreparedPush& push, const PreparedDelta& delta) {
  incoming_.clear();
  for (std::uint32_t i = 0; i < delta.columns; ++i) {
    const PreparedColumn& column = push.columns[delta.firstColumn + i];
    incoming_.push_back({push.names[column.name].id, {push.arena.data() + column.offset, column.size}});
  }
}

void Staging::readBefore(const PreparedPush& push, const PreparedDelta& delta, std::uint32_t slot, NameId table) {
  const RowBlock* block = nullptr;
  if (slot != kNoSlot) {
    const Slot& held = state_.slots[slot];
    block = held.pending != nullptr ? held.pending : held.committed;
  }
  if (block != nullptr)
    readRow(block->octets(), row_);
  else
    beginRow(push, delta, table);
  rules_.clear();
  for (const NameId name : *ruleColumns_) {
    RuleCell& cell = rules_.cells.emplace_back();
    const ColumnImage* column = block == nullptr ? nullptr : findColumn(row_, name);
    if (column != nullptr && column->hasRegister) cell.before = column->value;
  }
}

void Staging::beginRow(const PreparedPush& push, const PreparedDelta& delta, NameId table) {
  row_.clear(table, delta.rowId);
  // The row may have had a tombstone that is forgotten: what was written before that erase stays hidden. What a trusted
  // sender says with an older stamp is the row's only word, and stands.
  if (push.trusted && delta.hlc <= state_.purgedStamp) return;
  if (state_.purgedStamp != 0) row_.erased = {state_.purgedStamp, push.names[delta.client].id};
}

Staging::BlockOwner Staging::setPending(std::uint64_t rowHash, std::uint32_t slot, BlockOwner fresh) {
  if (slot == kNoSlot) slot = state_.slots.add(rowHash);
  Slot& to = state_.slots[slot];
  if (to.pending == nullptr)
    touched_.push_back(slot);
  else
    state_.blockBytes -= blockBytes(to.pending->size);
  state_.blockBytes += blockBytes(fresh->size);
  return BlockOwner(std::exchange(to.pending, fresh.release()));
}

void Staging::append(const PreparedDelta& delta, const Incoming& incoming) {
  using Effect = MergeOutcome::Effect;
  switch (outcome_.effect) {
    case Effect::none:
      return;
    case Effect::insert:
      return appendInsert(delta, incoming);
    case Effect::update:
      return appendUpdate(delta, incoming);
    case Effect::erase:
      return appendErase(delta, incoming, false);
    case Effect::eraseThenInsert:
      appendErase(delta, incoming, true);
      return appendInsert(delta, incoming);
  }
}

void Staging::rulesAfter() {
  for (std::size_t i = 0; i < rules_.cells.size(); ++i) {
    const ColumnImage* column = findColumn(row_, (*ruleColumns_)[i]);
    rules_.cells[i].after.reset();
    if (column != nullptr && column->hasRegister) rules_.cells[i].after = column->value;
  }
}

void Staging::contextOfUpdate() {
  const bool mayFlip = std::any_of(rules_.cells.begin(), rules_.cells.end(),
                                   [](const RuleCell& cell) { return cell.before != cell.after; });
  if (!mayFlip) return;
  for (const ColumnImage& column : row_.columns) {
    if (!column.hasRegister) continue;
    const bool effective = std::any_of(outcome_.changed.begin(), outcome_.changed.end(),
                                       [&](const IncomingColumn& c) { return c.name == column.name; });
    if (!effective) rules_.context.push_back({column.name, column.value});
  }
  rules_.contextStamp = greatestStamp(row_, state_.names);
}

void Staging::appendInsert(const PreparedDelta& delta, const Incoming& incoming) {
  effective_.clear();
  for (const ColumnImage& column : row_.columns) {
    if (column.hasRegister) effective_.push_back({column.name, column.value});
  }
  RecordDraft draft;
  draft.op = DeltaOp::insert;
  draft.stamp = greatestStamp(row_, state_.names);
  draft.columns = effective_;
  const bool asPushed = incoming.op != DeltaOp::erase && draft.stamp == incoming.stamp &&
                        std::equal(effective_.begin(), effective_.end(), incoming_.begin(), incoming_.end(),
                                   [](const IncomingColumn& a, const IncomingColumn& b) {
                                     return a.name == b.name && a.value == b.value;
                                   });
  draft.id = asPushed ? delta.id : nullptr;
  rulesAfter();
  write(draft);
}

void Staging::appendUpdate(const PreparedDelta& delta, const Incoming& incoming) {
  RecordDraft draft;
  draft.op = DeltaOp::update;
  draft.stamp = incoming.stamp;
  draft.columns = outcome_.changed;
  draft.id = outcome_.changed.size() == incoming_.size() ? delta.id : nullptr;
  rulesAfter();
  if (!rules_.cells.empty()) contextOfUpdate();
  write(draft);
}

void Staging::appendErase(const PreparedDelta& delta, const Incoming& incoming, bool paired) {
  RecordDraft draft;
  draft.op = DeltaOp::erase;
  draft.pairedWithNext = paired;
  draft.stamp = incoming.stamp;
  draft.id = delta.id;
  write(draft);
}

void Staging::write(RecordDraft& draft) {
  stagedHead_ = nextStamp_++;
  if (collectNames_) names_.add(draft.stamp.client);
  draft.serverHlc = stagedHead_;
  draft.table = row_.table;
  draft.rowId = row_.rowId;
  if (!rules_.cells.empty()) draft.rules = &rules_;
  char* to = state_.log.reserve(recordBound(draft));
  state_.log.add(writeRecord(draft, to));
}

void Staging::publish() {
  ++state_.sequence;
  state_.moveHead(head(), kSnapshotRoom);
  // A delta without effect leaves its stamp in its row and does not move the head.
  if (!touched_.empty()) state_.clockSeen = std::max(state_.clockSeen, nextStamp_);
  for (const std::uint32_t slot : touched_) state_.publishSlot(slot, nextStamp_);
  state_.log.publish();
  state_.dedupe.turn();
  touched_.clear();
  seen_.clear();
  names_.clear();
  stagedHead_ = 0;
}

void Staging::undo() noexcept {
  for (auto slot = touched_.rbegin(); slot != touched_.rend(); ++slot) state_.undoSlot(*slot);
  for (auto key = seen_.rbegin(); key != seen_.rend(); ++key) state_.dedupe.undo(*key);
  state_.log.undo();
  touched_.clear();
  seen_.clear();
  names_.clear();
  stagedHead_ = 0;
}

}  // namespace tidegate::detail
