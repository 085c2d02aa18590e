/// What an engine is doing, as one struct that a user interface can draw.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tidegate/source/sync_source.h"

namespace tidegate {

enum class PipelineState {
  starting,    ///< opening the sink, reading its checkpoint
  baselining,  ///< at least one table's baseline is not whole yet
  streaming,   ///< all tables are whole and follow the source
  retrying,    ///< the sink failed; trying again with back-off
  isolated,    ///< stopped by its failure policy; `retryIsolated` or `reload` brings it back
  stopped
};
std::string_view toString(PipelineState state) noexcept;

struct TableStatus {
  std::string table{}, target{};
  bool ready = false;  ///< its baseline is whole
  std::uint64_t baselineRows = 0, changes = 0, filtered = 0;
};

struct PipelineStatus {
  std::string name{}, source{};
  PipelineState state = PipelineState::starting;
  std::vector<TableStatus> tables{};
  std::string durablePosition{};  ///< as text; empty: none yet
  std::size_t queuedEvents = 0, queuedBytes = 0;
  std::uint64_t applied = 0, commits = 0, retries = 0, deadLetters = 0, dropped = 0;
  double eventsPerSecond = 0;  ///< over the last 10 s
  /// Now minus the commit time of the last durable change; 0 if nothing waits.
  std::optional<std::chrono::milliseconds> lag{};
  std::optional<std::string> lastError{};
};

struct SourceStatus {
  std::string name{};
  SourceState state = SourceState::connecting;
  std::string receivedPosition{}, ackedPosition{};
  SourceLag lag{};
  std::uint64_t events = 0, reconnects = 0;
  std::optional<std::string> lastError{};
};

struct EngineStatus {
  bool running = false, paused = false, ready = false;
  std::vector<SourceStatus> sources{};
  std::vector<PipelineStatus> pipelines{};
};

/// The status as JSON, with the members' names.
std::string toJson(const EngineStatus& status);

}  // namespace tidegate
