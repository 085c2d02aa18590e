#include "simulation/history.h"

#include <algorithm>

namespace tidegate::sim {

void History::record(std::uint64_t serverHlc, const Key& key, std::optional<ModelRow> row, std::size_t touches) {
  std::vector<Version>& versions = versions_[key];
  boundaries_[serverHlc];
  head_ = std::max(head_, serverHlc);
  if (!versions.empty() && versions.back().serverHlc == serverHlc) {
    versions.back() = {serverHlc, std::move(row), std::max(versions.back().touches, touches)};
  } else if (touches > 1 || (versions.empty() ? row.has_value() : versions.back().row != row)) {
    versions.push_back({serverHlc, std::move(row), touches});
  }
}

void History::purge(std::uint64_t serverHlc, const std::string& table) {
  for (auto& [key, versions] : versions_) {
    if (key.table == table) versions.clear();
  }
  head_ = std::max(head_, serverHlc);
}

bool History::agrees(const ModelRow* held, const Version* version, const Key& key, const ModelRules& rules,
                     const Claims& claims) {
  const bool seen = version && version->row && rules.sees(claims, key.table, *version->row);
  if (!seen) return held == nullptr;
  return held && *held == *version->row;
}

std::optional<std::string> History::difference(const ModelState& replica, std::uint64_t serverHlc,
                                               const ModelRules& rules, const Claims& claims) const {
  const bool atBoundary = serverHlc >= head_ || boundaries_.contains(serverHlc);
  for (const auto& [key, versions] : versions_) {
    const auto mine = replica.find(key);
    const ModelRow* held = mine == replica.end() ? nullptr : &mine->second;
    const auto next = std::upper_bound(versions.begin(), versions.end(), serverHlc,
                                       [](std::uint64_t h, const Version& v) { return h < v.serverHlc; });
    const Version* at = next == versions.begin() ? nullptr : &*(next - 1);
    if (agrees(held, at, key, rules, claims)) continue;
    if (!atBoundary && next != versions.end()) {
      const auto following = boundaries_.upper_bound(serverHlc);
      const bool inThisPush = following != boundaries_.end() && following->first == next->serverHlc;
      if (inThisPush && (next->touches > 1 || agrees(held, &*next, key, rules, claims))) continue;
    }
    const ModelRow* wanted = at && at->row && rules.sees(claims, key.table, *at->row) ? &*at->row : nullptr;
    return show(key) + " at " + std::to_string(serverHlc) + ": replica has " + show(held) + ", the view holds " +
           show(wanted) + ", the gateway " + show(at && at->row ? &*at->row : nullptr);
  }
  for (const auto& [key, row] : replica) {
    if (!versions_.contains(key)) return show(key) + ": replica has " + show(&row) + ", the gateway never had it";
  }
  return std::nullopt;
}

ModelState History::now() const {
  ModelState state;
  for (const auto& [key, versions] : versions_) {
    if (!versions.empty() && versions.back().row) state[key] = *versions.back().row;
  }
  return state;
}

}  // namespace tidegate::sim
