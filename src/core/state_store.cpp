#include "tidegate/core/state_store.h"

#include "tidegate/core/error.h"

namespace tidegate {

bool StateStore::putIf(std::string_view, std::optional<std::string_view>, std::string_view) {
  throw Error(ErrorCode::invalidConfig, Retry::never,
              "this StateStore has no conditional writes (putIf): take one of SQLite, Postgres or DynamoDB");
}

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

bool MemoryStateStore::putIf(std::string_view key, std::optional<std::string_view> expected, std::string_view octets) {
  std::string copy(octets);
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(key);
  if (at == entries_.end()) return !expected && entries_.emplace(std::string(key), std::move(copy)).second;
  if (!expected || at->second != *expected) return false;
  at->second = std::move(copy);
  return true;
}

}  // namespace tidegate
