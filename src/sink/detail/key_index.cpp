#include "sink/detail/key_index.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace tidegate::detail {

std::uint64_t keyHash(std::string_view packedKey) noexcept { return XXH3_64bits(packedKey.data(), packedKey.size()); }

void KeyIndex::place(std::uint64_t entry) noexcept {
  std::size_t at = home(entry >> 32);
  while (entries_[at] != 0) at = (at + 1) & mask();
  entries_[at] = entry;
}

void KeyIndex::add(std::uint64_t hash, std::uint32_t row) noexcept {
  place(tagOf(hash) << 32 | (row + 1));
  ++keys_;
}

void KeyIndex::remove(std::uint64_t hash, std::uint32_t row) noexcept {
  std::size_t at = home(tagOf(hash));
  while (static_cast<std::uint32_t>(entries_[at]) != row + 1) at = (at + 1) & mask();
  // Entries that were pushed past this place move back, so that no search ends too early.
  for (std::size_t next = (at + 1) & mask(); entries_[next] != 0; next = (next + 1) & mask()) {
    const std::size_t wanted = home(entries_[next] >> 32);
    if (((next - wanted) & mask()) < ((next - at) & mask())) continue;
    entries_[at] = entries_[next];
    at = next;
  }
  entries_[at] = 0;
  --keys_;
}

void KeyIndex::clear() noexcept {
  entries_.clear();
  keys_ = 0;
}

void KeyIndex::reserve(std::size_t more) {
  std::size_t wanted = entries_.empty() ? 16 : entries_.size();
  while ((keys_ + more) * 3 > wanted * 2) wanted *= 2;
  if (wanted == entries_.size()) return;
  std::vector<std::uint64_t> old(wanted);
  old.swap(entries_);
  for (const std::uint64_t entry : old) {
    if (entry != 0) place(entry);
  }
}

}  // namespace tidegate::detail
