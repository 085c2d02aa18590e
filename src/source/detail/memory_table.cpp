#include "source/detail/memory_table.h"

#include <algorithm>
#include <cstring>

#include "source/detail/hash.h"

namespace tidegate::detail {
namespace memory_table_detail {

constexpr unsigned kPlaceBits = 40, kOffsetBits = 18;
constexpr std::uint64_t kPlaceMask = (std::uint64_t{1} << kPlaceBits) - 1;
constexpr std::uint64_t kFree = ~std::uint64_t{0};
constexpr std::size_t kChunk = std::size_t{1} << kOffsetBits, kSmallChunk = 1'024;
constexpr std::size_t kOwnChunk = kChunk / 16;  // a record over this has a chunk of its own: no tail is wasted on it
constexpr char kDead = 0, kLastPoll = 120, kOldPoll = 121;

std::uint64_t placeOf(std::size_t chunk, std::size_t offset) { return (std::uint64_t{chunk} << kOffsetBits) | offset; }
std::size_t chunkOf(std::uint64_t place) { return static_cast<std::size_t>(place >> kOffsetBits); }
std::size_t offsetOf(std::uint64_t place) { return static_cast<std::size_t>(place) & (kChunk - 1); }
/// The hash's lowest 24 bits place a slot; its highest six name the shard.
std::uint64_t slotFor(std::uint64_t hash, std::uint64_t place) { return (hash << kPlaceBits) | place; }
std::size_t homeOf(std::uint64_t slot, std::size_t mask) { return static_cast<std::size_t>(slot >> kPlaceBits) & mask; }

char* writeLength(char* at, std::size_t n) {
  for (; n >= 0x80; n >>= 7) *at++ = static_cast<char>(n | 0x80);
  *at++ = static_cast<char>(n);
  return at;
}

const char* readLength(const char* at, std::size_t& n) {
  n = 0;
  for (unsigned shift = 0;; shift += 7) {
    const auto octet = static_cast<unsigned char>(*at++);
    n |= static_cast<std::size_t>(octet & 0x7F) << shift;
    if (octet < 0x80) return at;
  }
}

std::size_t lengthSize(std::size_t n) {
  std::size_t size = 1;
  for (; n >= 0x80; n >>= 7) ++size;
  return size;
}

}  // namespace memory_table_detail

using namespace memory_table_detail;

MemoryTable::Record MemoryTable::recordAt(Place place) const {
  Record r;
  r.mark = chunks_[chunkOf(place)].octets.get() + offsetOf(place);
  std::size_t length = 0;
  const char* at = readLength(r.mark + 1, length);
  r.id = {at, length};
  at = readLength(at + length, length);
  r.row = {at, length};
  r.size = static_cast<std::uint32_t>(at + length - r.mark);
  return r;
}

MemoryTable::Place MemoryTable::firstFrom(std::size_t chunk) const {
  while (chunk < chunks_.size() && chunks_[chunk].used == 0) ++chunk;
  return chunk < chunks_.size() ? placeOf(chunk, 0) : kNowhere;
}

MemoryTable::Place MemoryTable::following(Place place, const Record& record) const {
  const std::size_t offset = offsetOf(place) + record.size;
  const std::size_t chunk = chunkOf(place);
  return offset < chunks_[chunk].used ? placeOf(chunk, offset) : firstFrom(chunk + 1);
}

void MemoryTable::beginPoll() {
  fresh_.clear();
  hint_ = firstFrom(0);
  if (++poll_ <= kLastPoll) return;
  poll_ = 1;  // the marks begin anew: no old one may look like this poll's
  for (Place p = firstFrom(0); p != kNowhere;) {
    const Record r = recordAt(p);
    if (*r.mark != kDead) *r.mark = kOldPoll;
    p = following(p, r);
  }
}

MemoryTable::Found MemoryTable::mark(std::string_view rowId, std::string_view packed, std::string& before) {
  while (hint_ != kNowhere) {
    const Record expected = recordAt(hint_);
    if (*expected.mark == kDead) {
      hint_ = following(hint_, expected);
      continue;
    }
    if (expected.id == rowId) return judge(hint_, expected, packed, before);
    break;
  }
  const Place at = find(hash64(rowId), rowId);
  if (at == kNowhere) return fresh_.insert(rowId) ? Found::missing : Found::repeated;
  return judge(at, recordAt(at), packed, before);
}

MemoryTable::Found MemoryTable::judge(Place place, const Record& record, std::string_view packed, std::string& before) {
  if (*record.mark == poll_) return Found::repeated;
  *record.mark = poll_;
  hint_ = following(place, record);
  if (record.row == packed) return Found::same;
  before.assign(record.row);
  return Found::differs;
}

void MemoryTable::visitUnmarked(const TableSnapshot::Visitor& visit) {
  fresh_.clear();
  for (Place p = firstFrom(0); p != kNowhere;) {
    const Record r = recordAt(p);
    if (*r.mark != kDead && *r.mark != poll_) visit(r.id, r.row);
    p = following(p, r);
  }
}

void MemoryTable::put(std::string_view rowId, std::string_view packed) {
  const std::uint64_t hash = hash64(rowId);
  const Place at = find(hash, rowId);
  if (at == kNowhere) {
    insertSlot(hash, append(rowId, packed, poll_));
    ++rows_;
    return;
  }
  const Record old = recordAt(at);
  if (old.row.size() == packed.size()) {
    std::memcpy(const_cast<char*>(old.row.data()), packed.data(), packed.size());
    return;
  }
  const Place now = append(rowId, packed, *old.mark);
  *slotOf(hash, at) = slotFor(hash, now);
  kill(at, old);
  clean();
}

void MemoryTable::erase(std::string_view rowId) {
  const std::uint64_t hash = hash64(rowId);
  const Place at = find(hash, rowId);
  if (at == kNowhere) return;
  eraseSlot(hash, at);
  kill(at, recordAt(at));
  --rows_;
  clean();
}

std::size_t MemoryTable::bytes() const noexcept {
  std::size_t bytes = sizeof *this + capacity_ + chunks_.capacity() * sizeof(Chunk) + fresh_.bytes();
  bytes += freeChunks_.capacity() * sizeof(std::uint32_t);
  bytes += (chunks_.size() - freeChunks_.size()) * 16;  // the allocator's own
  for (const Shard& s : shards_) bytes += s.slots.capacity() * sizeof(std::uint64_t) + 16;
  return bytes;
}

MemoryTable::Place MemoryTable::append(std::string_view rowId, std::string_view packed, char mark) {
  const std::size_t need = 1 + lengthSize(rowId.size()) + rowId.size() + lengthSize(packed.size()) + packed.size();
  std::size_t number = open_;
  if (need > kOwnChunk) {
    number = openChunk(need, need);
  } else if (open_ == kNoChunk || chunks_[open_].capacity - chunks_[open_].used < need) {
    number = open_ = openChunk(need, std::min(kChunk, std::max(kSmallChunk, live_ / 32)));
  }
  Chunk& chunk = chunks_[number];
  const Place place = placeOf(number, chunk.used);
  char* at = chunk.octets.get() + chunk.used;
  *at++ = mark;
  at = writeLength(at, rowId.size());
  std::memcpy(at, rowId.data(), rowId.size());
  at = writeLength(at + rowId.size(), packed.size());
  std::memcpy(at, packed.data(), packed.size());
  chunk.used += static_cast<std::uint32_t>(need);
  chunk.live += static_cast<std::uint32_t>(need);
  used_ += need;
  live_ += need;
  return place;
}

std::size_t MemoryTable::openChunk(std::size_t need, std::size_t wanted) {
  const std::size_t capacity = std::max(wanted, need);
  std::size_t number = chunks_.size();
  if (freeChunks_.empty()) {
    // Growth by a quarter, so that the vector itself stays small beside what it names.
    if (chunks_.size() == chunks_.capacity()) chunks_.reserve(chunks_.size() + chunks_.size() / 4 + 8);
    chunks_.emplace_back();
  } else {
    number = freeChunks_.back();
    freeChunks_.pop_back();
  }
  Chunk& chunk = chunks_[number];
  chunk.octets = std::make_unique_for_overwrite<char[]>(capacity);
  chunk.capacity = static_cast<std::uint32_t>(capacity);
  capacity_ += capacity;
  return number;
}

void MemoryTable::kill(Place place, const Record& record) {
  *record.mark = kDead;
  Chunk& chunk = chunks_[chunkOf(place)];
  chunk.live -= record.size;
  live_ -= record.size;
  if (chunk.live == 0 && chunkOf(place) != open_) freeChunk(chunkOf(place));
}

void MemoryTable::freeChunk(std::size_t number) {
  if (hint_ != kNowhere && chunkOf(hint_) == number) hint_ = kNowhere;
  used_ -= chunks_[number].used;
  capacity_ -= chunks_[number].capacity;
  chunks_[number] = Chunk{};
  freeChunks_.push_back(static_cast<std::uint32_t>(number));
}

void MemoryTable::clean() {
  while (used_ - live_ > live_ / 10 + 2 * kSmallChunk) {
    if (!cleanOne()) return;
  }
}

bool MemoryTable::cleanOne() {
  std::size_t worst = chunks_.size();
  double worstShare = 1;
  for (std::size_t i = 0; i < chunks_.size(); ++i) {
    const Chunk& c = chunks_[i];
    if (i == open_ || c.used == 0) continue;
    const double share = static_cast<double>(c.live) / c.used;
    if (share < worstShare) {
      worstShare = share;
      worst = i;
    }
  }
  if (worst == chunks_.size()) return false;
  for (std::size_t offset = 0; offset < chunks_[worst].used;) {
    const Place from = placeOf(worst, offset);
    const Record r = recordAt(from);
    offset += r.size;
    if (*r.mark == kDead) continue;
    const std::uint64_t hash = hash64(r.id);
    *slotOf(hash, from) = slotFor(hash, append(r.id, r.row, *r.mark));
    live_ -= r.size;
  }
  freeChunk(worst);
  return true;
}

MemoryTable::Place MemoryTable::find(std::uint64_t hash, std::string_view rowId) const {
  const Shard& shard = shardOf(hash);
  if (shard.slots.empty()) return kNowhere;
  const std::size_t mask = shard.slots.size() - 1;
  const std::uint64_t tag = slotFor(hash, 0);
  for (std::size_t at = homeOf(tag, mask);; at = (at + 1) & mask) {
    const std::uint64_t slot = shard.slots[at];
    if (slot == kFree) return kNowhere;
    if ((slot & ~kPlaceMask) == tag && recordAt(slot & kPlaceMask).id == rowId) return slot & kPlaceMask;
  }
}

std::uint64_t* MemoryTable::slotOf(std::uint64_t hash, Place place) {
  Shard& shard = shardOf(hash);
  const std::size_t mask = shard.slots.size() - 1;
  const std::uint64_t wanted = slotFor(hash, place);
  std::size_t at = homeOf(wanted, mask);
  while (shard.slots[at] != wanted) at = (at + 1) & mask;
  return &shard.slots[at];
}

void MemoryTable::place(Shard& shard, std::uint64_t slot) {
  const std::size_t mask = shard.slots.size() - 1;
  std::size_t at = homeOf(slot, mask);
  while (shard.slots[at] != kFree) at = (at + 1) & mask;
  shard.slots[at] = slot;
}

void MemoryTable::insertSlot(std::uint64_t hash, Place at) {
  Shard& shard = shardOf(hash);
  if ((shard.used + 1) * 5 > shard.slots.size() * 4) {
    std::vector<std::uint64_t> old(std::max<std::size_t>(4, shard.slots.size() * 2), kFree);
    old.swap(shard.slots);
    for (const std::uint64_t slot : old) {
      if (slot != kFree) place(shard, slot);
    }
  }
  place(shard, slotFor(hash, at));
  ++shard.used;
}

void MemoryTable::eraseSlot(std::uint64_t hash, Place where) {
  Shard& shard = shardOf(hash);
  const std::size_t mask = shard.slots.size() - 1;
  std::size_t hole = static_cast<std::size_t>(slotOf(hash, where) - shard.slots.data());
  // Backward shift: what stands behind the hole moves up, unless it would pass its home.
  for (std::size_t at = (hole + 1) & mask; shard.slots[at] != kFree; at = (at + 1) & mask) {
    const std::size_t home = homeOf(shard.slots[at], mask);
    if (((at - home) & mask) < ((at - hole) & mask)) continue;
    shard.slots[hole] = shard.slots[at];
    hole = at;
  }
  shard.slots[hole] = kFree;
  --shard.used;
}

}  // namespace tidegate::detail
