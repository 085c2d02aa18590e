/// What a cursor poller remembers between polls and restarts, and its octets (docs/formats.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "source/detail/cursor_value.h"
#include "source/detail/lookback_window.h"
#include "tidegate/source/ingest_config.h"

namespace tidegate::detail {

/// Changed only after what it covers was accepted.
struct CursorState {
  CursorForm form;              ///< of the first cursor; none before it
  std::optional<Value> newest;  ///< never goes back
  std::optional<Value> from;    ///< where the next poll starts to read, inclusive; never goes back
  LookbackWindow window;        ///< rows at or after `from`
  LookbackWindow nulls;         ///< rows whose cursor is NULL
};

/// A hash of what makes a saved state fit a table's configuration: strategy, query, cursor and row id columns.
std::uint64_t configHash(const IngestTableConfig& table);

/// @param withPrints false leaves the fingerprints out: a restart then pushes the window again, which the gateway
/// silences.
std::string encodeState(const CursorState& state, std::uint64_t config, bool withPrints);

/// A state that was read. A problem leaves the state empty; it is for a warning.
struct DecodedState {
  CursorState state;
  std::string problem;  ///< empty if all is well
};
DecodedState decodeState(std::string_view octets, std::uint64_t config);

/// "poller/<source>/<table>", with '/' and '%' inside the names escaped.
std::string stateKey(std::string_view source, std::string_view table);
/// "<source>/<table>", likewise.
std::string snapshotKey(std::string_view source, std::string_view table);

}  // namespace tidegate::detail
