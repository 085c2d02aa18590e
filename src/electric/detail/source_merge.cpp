#include "electric/detail/source_merge.h"

#include <algorithm>
#include <tuple>

#include "core/detail/packed.h"

namespace tidegate::electric::reading {
namespace {

const ReadItem* headOf(const ShapeReader& reader) { return reader.items().empty() ? nullptr : &reader.items().front(); }

}  // namespace

ShapeMerge::ShapeMerge(const SourceOptions& options, SourcePlaces from)
    : options_(options), byCommit_(options.order == MergeOrder::commit), places_(std::move(from)) {
  if (places_.open != 0 && byCommit_) open_ = static_cast<std::int64_t>(places_.open);
  for (const auto& [name, place] : places_.shapes) told_ = std::max(told_, place.at.tx);
}

void ShapeMerge::add(ShapeReader& reader) {
  parts_.push_back({&reader, encodePlace(reader.name(), places_.shapes.at(reader.name()))});
}

std::optional<Clock::Micros> ShapeMerge::due() const {
  if (waitedFor_.empty()) return std::nullopt;
  return waitSince_ + options_.mergeWait;
}

/// Baselines, and rows of which nobody knows when they changed: each stands for itself.
bool ShapeMerge::tellAlone(ChangeBatch& out, std::size_t most) {
  bool any = false;
  for (Part& part : parts_) {
    for (const ReadItem* head = headOf(*part.reader); head != nullptr && head->lsn < 0 && out.size() < most;
         head = headOf(*part.reader)) {
      tell(part, out, true, true);
      any = true;
    }
  }
  return any;
}

/// The part whose first row comes next: within an open transaction only one of that transaction.
ShapeMerge::Part* ShapeMerge::earliest() {
  Part* best = nullptr;
  const auto order = [](const ReadItem& item) { return std::tuple(item.lsn, item.position); };
  for (Part& part : parts_) {
    const ReadItem* head = headOf(*part.reader);
    if (head == nullptr || head->lsn < 0 || (open_ >= 0 && head->lsn != open_)) continue;
    if (best == nullptr || order(*head) < order(*headOf(*best->reader))) best = &part;
  }
  return best;
}

/// Where each shape goes its own way: one whose transaction is whole, or too large to wait for.
ShapeMerge::Part* ShapeMerge::readyAlone() {
  for (Part& part : parts_) {
    const ReadItem* head = headOf(*part.reader);
    if (head == nullptr || head->lsn < 0) continue;
    if (openReader_ != nullptr && openReader_ != part.reader) continue;
    if (!part.reader->hasPartOf(head->lsn) || (part.reader->full() && hasMore(head->lsn, part))) return &part;
  }
  return nullptr;
}

/// Whether everything of a transaction is here, as far as it can be known.
bool ShapeMerge::isWholeInAll(std::int64_t lsn) {
  waitedFor_.clear();
  bool whole = true;
  for (const Part& part : parts_) {
    if (part.reader->hasPartOf(lsn)) whole = false;
    if (part.reader->mayBring(lsn)) waitedFor_.push_back(part.reader);
  }
  return whole && waitedFor_.empty();
}

bool ShapeMerge::isWhole(std::int64_t lsn, const Part& part) {
  return byCommit_ ? isWholeInAll(lsn) : !part.reader->hasPartOf(lsn);
}

/// Whether there is another row of it behind the first one of `part`.
bool ShapeMerge::hasMore(std::int64_t lsn, const Part& part) const {
  const auto& own = part.reader->items();
  if (own.size() > 1 && own[1].lsn == lsn) return true;
  if (!byCommit_) return false;
  return std::any_of(parts_.begin(), parts_.end(), [&](const Part& other) {
    const ReadItem* head = headOf(*other.reader);
    return other.reader != part.reader && head != nullptr && head->lsn == lsn;
  });
}

void ShapeMerge::waitFor(std::int64_t lsn, Clock::Micros now) {
  if (waitLsn_ != lsn) {
    waitLsn_ = lsn;
    waitSince_ = now;
  }
  if (now - waitSince_ < options_.mergeWait) return;
  for (ShapeReader* reader : waitedFor_) reader->excuse();
}

/// @return whether something was told, or an open transaction turned out to be over.
bool ShapeMerge::tellNext(ChangeBatch& out, Clock::Micros now) {
  Part* const part = byCommit_ ? earliest() : readyAlone();
  if (part == nullptr) {
    if (open_ < 0 || !byCommit_ || !isWholeInAll(open_)) return false;
    open_ = -1;
    places_.open = 0;
    return true;
  }
  const std::int64_t lsn = headOf(*part->reader)->lsn;
  const bool more = hasMore(lsn, *part);
  bool whole = isWhole(lsn, *part);
  if (!whole && byCommit_) {
    waitFor(lsn, now);
    whole = isWhole(lsn, *part);
  }
  const bool tooLarge = std::any_of(parts_.begin(), parts_.end(), [](const Part& each) { return each.reader->full(); });
  if (!whole && !(tooLarge && more)) return false;
  const bool ends = whole && !more;
  tell(*part, out, open_ != lsn, ends);
  return true;
}

void ShapeMerge::tell(Part& part, ChangeBatch& out, bool begins, bool ends) {
  ShapeReader& reader = *part.reader;
  ReadItem item = std::move(reader.items().front());
  reader.items().pop_front();
  reader.popped(item);
  if (item.lsn >= 0) {
    open_ = ends ? -1 : item.lsn;
    openReader_ = ends || byCommit_ ? nullptr : &reader;
    told_ = std::max(told_, item.lsn);
  }
  ChangeEvent& event = out.add(item.op, item.shape);
  event.transactionBegin = begins;
  event.transactionEnd = ends;
  event.before = std::move(item.before);
  event.after = std::move(item.after);
  event.unchanged = std::move(item.unchanged);
  event.beforeAbsent = std::move(item.beforeAbsent);
  event.schemaChange = std::move(item.schemaChange);
  event.transactionId = item.transactionId;
  places_.open = open_ > 0 ? static_cast<std::uint64_t>(open_) : 0;
  part.encoded = encodePlace(reader.name(), item.place);
  places_.shapes.insert_or_assign(reader.name(), std::move(item.place));
  std::string& octets = event.position.octets;
  octets = encodePlaces({.open = places_.open}).octets;
  for (const Part& each : parts_) octets += each.encoded;
}

void ShapeMerge::fill(ChangeBatch& out, std::size_t most, Clock::Micros now) {
  for (const Part& part : parts_) {
    if (!part.reader->items().empty()) newest_ = std::max(newest_, part.reader->items().back().lsn);
    newest_ = std::max(newest_, part.reader->seenLsn());
  }
  waitedFor_.clear();
  while (out.size() < most) {
    if (open_ < 0 && tellAlone(out, most)) continue;
    if (!tellNext(out, now)) return;
  }
}

}  // namespace tidegate::electric::reading
