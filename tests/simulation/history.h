/// Every state the gateway ever acknowledged, by the serverHlc it was acknowledged with.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "simulation/model_rules.h"
#include "simulation/model_types.h"

namespace tidegate::sim {

class History {
 public:
  /// Notes a row as it stands at the boundary `serverHlc` (never smaller than one noted before). `touches` tells how
  /// often the push behind it named the row: between two boundaries a row named once has no third state.
  void record(std::uint64_t serverHlc, const Key& key, std::optional<ModelRow> row, std::size_t touches);
  void note(std::uint64_t serverHlc) { head_ = serverHlc; }
  std::uint64_t head() const noexcept { return head_; }
  /// Forgets the past of a table whose rows are gone: its readers must resync.
  void purge(std::uint64_t serverHlc, const std::string& table);

  /// The first difference between a replica and what the rules let it see at `serverHlc`; nullopt if there is none.
  /// A `serverHlc` inside a push allows a row its state before or after that push.
  std::optional<std::string> difference(const ModelState& replica, std::uint64_t serverHlc, const ModelRules& rules,
                                        const Claims& claims) const;
  /// The acknowledged state now.
  ModelState now() const;

 private:
  struct Version {
    std::uint64_t serverHlc = 0;
    std::optional<ModelRow> row;
    std::size_t touches = 0;
  };
  static bool agrees(const ModelRow* held, const Version* version, const Key& key, const ModelRules& rules,
                     const Claims& claims);

  std::map<Key, std::vector<Version>> versions_;
  std::map<std::uint64_t, char> boundaries_;
  std::uint64_t head_ = 0;
};

}  // namespace tidegate::sim
