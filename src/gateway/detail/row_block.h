/// A row's immutable octets: all registers of one row in one allocation (docs/formats.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tidegate::detail {

/// Blocks are replaced, never changed: readers and undo need no copies.
struct RowBlock {
  std::uint64_t sequence;  ///< the publication that made it visible to readers
  std::uint32_t size;      ///< octets that follow
  std::uint32_t visible;   ///< whether the row exists for readers

  std::string_view octets() const noexcept { return {reinterpret_cast<const char*>(this + 1), size}; }
  char* data() noexcept { return reinterpret_cast<char*>(this + 1); }
};

/// What malloc really takes for a block of `octets`.
inline std::size_t blockBytes(std::size_t octets) noexcept {
  const std::size_t asked = octets + sizeof(RowBlock) + 8;
  return asked <= 32 ? 32 : (asked + 15) & ~std::size_t{15};
}

/// @throws std::bad_alloc
RowBlock* allocateBlock(std::size_t octets);
void freeBlock(RowBlock* block) noexcept;

}  // namespace tidegate::detail
