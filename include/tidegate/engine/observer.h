/// What an engine tells. Every event is documented, and each is fired in a test.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/error.h"
#include "tidegate/engine/status.h"
#include "tidegate/sink/dead_letters.h"
#include "tidegate/source/source_state.h"
#include "tidegate/source/sync_source.h"

namespace tidegate {

/// Overridden as far as one likes; every default does nothing.
/// @thread Called on the engine's threads, under no lock, never after `Engine::stop` returned. Must not block for long,
/// nor call back into the engine except `status`.
class EngineObserver {
 public:
  virtual ~EngineObserver() = default;
  /// A source made a step in its state machine.
  virtual void onSourceState(std::string_view source, const SourceStateChange& change);
  /// A table cannot be read well, or the source itself where no table is named; fatal ones also fail `start`.
  virtual void onTableIssue(std::string_view source, const TableIssue& issue);
  /// Something an operator should know that stops nothing (WAL retained past the threshold…).
  virtual void onWarning(std::string_view sourceOrPipeline, std::string_view message);
  /// Regularly, and on each acknowledgement.
  virtual void onLag(std::string_view source, const SourceLag& lag);
  /// A source was told that everything up to here is durable.
  virtual void onAck(std::string_view source, std::string_view positionText);
  /// A source lost its place; what follows is the policy's.
  virtual void onPositionLost(std::string_view source, const Error& error);
  virtual void onPipelineState(std::string_view pipeline, PipelineState from, PipelineState to,
                               std::string_view reason);
  virtual void onBaselineBegin(std::string_view pipeline, std::string_view table);
  /// At each commit during a baseline.
  virtual void onBaselineProgress(std::string_view pipeline, std::string_view table, std::uint64_t rows);
  virtual void onBaselineEnd(std::string_view pipeline, std::string_view table, std::uint64_t rows);
  virtual void onSchemaChange(std::string_view pipeline, std::string_view table, const SchemaChange& change);
  /// A unit of work became durable.
  virtual void onCommit(std::string_view pipeline, std::uint64_t events, std::chrono::microseconds duration);
  virtual void onRetry(std::string_view pipeline, const Error& error, std::uint32_t attempt,
                       std::chrono::milliseconds delay);
  virtual void onDeadLetter(std::string_view pipeline, const DeadLetter& letter);
  virtual void onIsolated(std::string_view pipeline, const Error& error);
  /// Events thrown away by `OverflowPolicy::dropOldest`.
  virtual void onDropped(std::string_view pipeline, std::uint64_t events);
  virtual void onExpired(std::string_view pipeline, std::string_view table, std::uint64_t rows);
};

/// Writes to spdlog's default logger: errors and isolation as error, retries and warnings as warn, states and baselines
/// as info, the rest as debug.
std::shared_ptr<EngineObserver> logObserver();

/// Passes every event on to several, in order.
std::shared_ptr<EngineObserver> observers(std::vector<std::shared_ptr<EngineObserver>> all);

/// Counts, and writes what it counted in Prometheus's text exposition format (version 0.0.4).
class MetricsObserver : public EngineObserver {
 public:
  /// @thread Any.
  virtual std::string text() const = 0;
};
std::shared_ptr<MetricsObserver> metricsObserver();

}  // namespace tidegate
