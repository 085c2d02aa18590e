/// Baselines under way in a GatewaySink: which rows were there when one began and have not been named since. They are
/// kept as notes in the gateway, so that a baseline goes on after a crash.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "tidegate/gateway/ingest_notes.h"

namespace tidegate::detail {

/// @thread The sink's.
class GatewayBaselines {
 public:
  using RowIds = std::unordered_set<std::string>;

  bool empty() const noexcept { return open_.empty(); }
  void begin(const std::string& table, std::vector<std::string> rowIds);
  void name(const std::string& table, const std::string& rowId);
  /// @return what was not named; nothing where no baseline of the table is under way.
  RowIds end(const std::string& table);
  /// No row of before is left.
  void truncated(const std::string& table);

  /// What became different since the last call. What it says must be kept, or `read` called.
  std::vector<IngestNote> takeNotes();
  /// Goes back to what the gateway has.
  void read(const IngestState& state);

 private:
  struct Open {
    RowIds left{};
    bool fresh = false;                ///< it began since the last `takeNotes`
    std::vector<std::string> named{};  ///< since then, of those that were left
    std::uint64_t chunks = 0;          ///< notes of what was named before
  };
  void forgetNamed(const std::string& table, Open& open);

  std::map<std::string, Open, std::less<>> open_;
  std::vector<IngestNote> gone_;
};

}  // namespace tidegate::detail
