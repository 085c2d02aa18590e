#include "gateway/detail/name_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace {
constexpr std::size_t kRoomForRules = 65'536;
}

NameTable::NameTable(std::size_t maxNames, std::uint64_t seed)
    : maxNames_(maxNames),
      capacity_((std::min<std::size_t>(maxNames, UINT32_MAX / 2) + kRoomForRules) / kPerChunk * kPerChunk + kPerChunk),
      chunks_(std::make_unique<std::unique_ptr<Chunk>[]>(capacity_ / kPerChunk)),
      byName_(16, Hash{seed}),
      bytes_(capacity_ / kPerChunk * sizeof(void*)) {}

std::optional<NameId> NameTable::find(std::string_view name) const {
  const auto found = byName_.find(name);
  if (found == byName_.end()) return std::nullopt;
  return found->second;
}

NameId NameTable::intern(std::string_view name) {
  if (const auto known = find(name)) return *known;
  place(next_, name);
  return next_ - 1;
}

void NameTable::restore(NameId id, std::string_view name) {
  if (id < next_ && chunks_[id / kPerChunk]) {
    const std::string_view known = at(id);
    if (known == name) return;
    if (!known.empty()) {
      throw Error(ErrorCode::storeCorrupt, Retry::afterOperator,
                  fmt::format("name number {} stands for two names, \"{}\" and \"{}\"; restore the store from a copy",
                              id, known, name));
    }
  }
  place(id, name);
}

void NameTable::place(NameId id, std::string_view name) {
  if (id >= capacity_) {
    throw Error(ErrorCode::invalidConfig, Retry::never,
                fmt::format("name number {} is past limits.maxNames = {}; raise it", id, maxNames_));
  }
  auto& chunk = chunks_[id / kPerChunk];
  if (!chunk) {
    chunk = std::make_unique<Chunk>();
    bytes_ += sizeof(Chunk);
  }
  std::string& text = (*chunk)[id % kPerChunk];
  text.assign(name);
  byName_.emplace(std::string_view(text), id);
  next_ = std::max(next_, id + 1);
  constexpr std::size_t kMapNode = 48;
  bytes_ += kMapNode + (text.capacity() > 15 ? text.capacity() + 17 : 0);
}

}  // namespace tidegate::detail
