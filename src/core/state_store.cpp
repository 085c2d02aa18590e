#include "tidegate/core/state_store.h"

namespace tidegate {

std::optional<std::string> MemoryStateStore::get(std::string_view key) {
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(key);
  if (at == entries_.end()) return std::nullopt;
  return at->second;
}

void MemoryStateStore::put(std::string_view key, std::string_view octets) {
  std::string copy(octets);
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(key);
  if (at != entries_.end()) {
    at->second = std::move(copy);
  } else {
    entries_.emplace(std::string(key), std::move(copy));
  }
}

void MemoryStateStore::remove(std::string_view key) {
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(key);
  if (at != entries_.end()) entries_.erase(at);
}

}  // namespace tidegate
