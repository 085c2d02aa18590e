/// Interned names (tables, columns, clients): 32-bit numbers, never reused, never moved.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "gateway/detail/seeded_hash.h"

namespace tidegate::detail {

/// A name's number.
using NameId = std::uint32_t;
/// The client of a stamp that was never set; its text is empty, so it orders before every real one.
inline constexpr NameId kNoName = UINT32_MAX;

/// @thread One writer at a time. `at` needs no lock for numbers that were published by one: texts never move.
class NameTable {
 public:
  NameTable(std::size_t maxNames, std::uint64_t seed);

  std::optional<NameId> find(std::string_view name) const;
  /// @throws Error{invalidConfig} far past the limit: callers check `room` first.
  NameId intern(std::string_view name);
  /// Puts a name back under the number it had. @throws Error{storeCorrupt} if the number has another name.
  void restore(NameId id, std::string_view name);
  std::string_view at(NameId id) const noexcept {
    return id == kNoName ? std::string_view{} : std::string_view((*chunks_[id / kPerChunk])[id % kPerChunk]);
  }
  bool has(NameId id) const noexcept {
    return id < next_ && chunks_[id / kPerChunk] && !(*chunks_[id / kPerChunk])[id % kPerChunk].empty();
  }
  /// How many more names fit under the limit.
  std::size_t room() const noexcept { return byName_.size() >= maxNames_ ? 0 : maxNames_ - byName_.size(); }
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  static constexpr std::size_t kPerChunk = 256;
  using Chunk = std::array<std::string, kPerChunk>;
  struct Hash {
    std::uint64_t seed;
    std::size_t operator()(std::string_view name) const noexcept { return seededHash(name, seed); }
  };
  void place(NameId id, std::string_view name);

  const std::size_t maxNames_;
  const std::size_t capacity_;  ///< the limit and some room for the names of rules
  std::unique_ptr<std::unique_ptr<Chunk>[]> chunks_;
  std::unordered_map<std::string_view, NameId, Hash> byName_;
  NameId next_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace tidegate::detail
