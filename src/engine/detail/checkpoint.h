/// What a pipeline keeps in its sink: how far it is in the stream, and how far each table's baseline is.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "tidegate/core/position.h"
#include "tidegate/source/change_event.h"

namespace tidegate {
class SyncSource;
}

namespace tidegate::detail {

/// How far a table is.
enum class TablePhase : std::uint8_t {
  wanted,   ///< needs a call of `baseline`
  copying,  ///< that call is under way; a restart makes it anew
  copied,   ///< its rows are whole, but where the stream goes on is not known yet
  carried,  ///< its rows come in the stream, and the position says how far they are
  ready     ///< whole
};
std::string_view toString(TablePhase phase) noexcept;

struct TableProgress {
  TablePhase phase = TablePhase::wanted;
  Position from{};  ///< changes at or before it are in the baseline already; empty once the stream has passed it
  Shape shape{};    ///< the source's, as last seen; null: never
  bool operator==(const TableProgress&) const = default;
};

/// Changes that `OverflowPolicy::dropOldest` threw away.
struct Hole {
  Position before{};               ///< the last place at which nothing was missing
  std::set<std::string> tables{};  ///< those that lack something; each leaves when it was read anew
  bool operator==(const Hole&) const = default;
};

struct Checkpoint {
  std::string source{};      ///< its name; that of another source says nothing
  std::uint64_t number = 0;  ///< of the commit, so that no two checkpoints are alike
  Position position{};       ///< empty: none yet
  std::map<std::string, TableProgress, std::less<>> tables{};
  std::optional<Hole> hole{};
};

/// Of all but what changes with each commit; made once and reused while nothing in it changes.
std::string checkpointTablesJson(const Checkpoint& checkpoint, const SyncSource& source);
/// `{"v":1,"n":…,"source":…,"position":…,"tables":…,"hole":…}`
std::string checkpointJson(const Checkpoint& checkpoint, std::string_view tablesJson, const SyncSource& source);
/// @throws Error{parseError} with the remedy.
Checkpoint readCheckpoint(std::string_view json, const SyncSource& source);

}  // namespace tidegate::detail
