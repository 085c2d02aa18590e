/// What a GatewaySink must remember: checkpoint, fence, and which rows the baselines under way have named.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "tidegate/core/state_store.h"

namespace tidegate::detail {

/// One table's baseline.
struct NamedRows {
  std::unordered_set<std::string> ids{};
  std::vector<std::string> fresh{};  ///< of these, not yet kept
  std::uint64_t chunks = 0;          ///< entries of the store that hold the others

  void name(const std::string& id) {
    if (ids.insert(id).second) fresh.push_back(id);
  }
};

class GatewaySinkState {
 public:
  GatewaySinkState(std::shared_ptr<StateStore> store, const std::string& pipeline);

  /// Takes the fence. @return the checkpoint. @throws Error{storeUnavailable, storeCorrupt}
  std::optional<std::string> open();
  /// @throws Error{fenced}
  void checkFence();
  /// Keeps the checkpoint and what was named, or neither.
  void keep(std::string_view checkpoint);
  /// Goes back to what was kept last.
  void reload() { read(); }

  std::map<std::string, NamedRows, std::less<>> baselines{};

 private:
  void read();
  void write();
  std::string chunkKey(std::string_view table, std::uint64_t number) const;

  const std::shared_ptr<StateStore> store_;
  const std::string pipeline_, key_;
  std::uint64_t epoch_ = 0, ours_ = 0;
  std::optional<std::string> checkpoint_;
};

}  // namespace tidegate::detail
