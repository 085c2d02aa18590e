/// Compiled views by claims: a client's rules are compiled once, not at each pull.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>

#include "tidegate/gateway/sync_rules.h"

namespace tidegate::detail {

/// A view and the generation of the rules it was compiled from.
struct CompiledView {
  ClientView view;
  std::uint64_t generation = 0;
};

/// @thread Any.
class ViewCache {
 public:
  CompiledView get(const SyncRules& rules, std::uint64_t generation, const Claims& claims) {
    if (rules.buckets().empty()) return {rules.compile({}), generation};
    const std::lock_guard lock(mutex_);
    const auto found = views_.find(claims);
    if (found != views_.end() && found->second.generation == generation) return found->second;
    if (views_.size() >= kMaxViews) views_.clear();
    return views_.insert_or_assign(claims, CompiledView{rules.compile(claims), generation}).first->second;
  }

 private:
  static constexpr std::size_t kMaxViews = 4'096;
  std::mutex mutex_;
  std::map<Claims, CompiledView> views_;  ///< guarded by mutex_
};

}  // namespace tidegate::detail
