/// Moves changes from sources to sinks, through bounded queues, and acknowledges only what is durable.
///
///     Engine engine({.sources = {{.name = "shop", .source = postgres::source(options)}},
///                    .pipelines = {{.name = "replica", .source = "shop", .tables = {{.table = "public.users"}},
///                                   .sink = sqlite::sink({.path = "replica.db"})}}});
///     engine.start();
///     engine.awaitReady(std::chrono::minutes(5));
///     …
///     engine.stop(std::chrono::seconds(10));
///
/// The laws it keeps are section 6 of docs/guarantees.md. Origin: laredo's engine; differs in what it acknowledges, in
/// transactions, and in that a full queue never loses an event unless told to.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/clock.h"
#include "tidegate/engine/observer.h"
#include "tidegate/engine/pipeline.h"
#include "tidegate/engine/status.h"
#include "tidegate/engine/verify.h"
#include "tidegate/source/sync_source.h"

namespace tidegate {

/// What to do when a source has lost its place (slot gone or invalidated, log purged).
enum class PositionLostPolicy {
  rebaseline,  ///< read all its tables anew; targets are made exact, not emptied (the default)
  stop         ///< the source stops, with an error that says what to do
};

struct SourceSpec {
  std::string name{};
  std::shared_ptr<SyncSource> source{};
  PositionLostPolicy onPositionLost = PositionLostPolicy::rebaseline;
  RetryPolicy retry{.attempts = UINT32_MAX};  ///< of `baseline` and `stream` after they gave up
};

struct EngineOptions {
  std::vector<SourceSpec> sources{};
  std::vector<PipelineSpec> pipelines{};
  std::shared_ptr<EngineObserver> observer{};    ///< null: `logObserver()`
  const Clock* clock = nullptr;                  ///< null: the system's
  Scheduler* scheduler = nullptr;                ///< null: the system's
  std::uint64_t jitterSeed = 0;                  ///< 0: seeded from std::random_device
  std::chrono::milliseconds ackInterval{1'000};  ///< at most this late are sources told what is durable
};

/// How `stop` ended.
enum class StopOutcome {
  drained,    ///< everything received was made durable
  rolledBack  ///< the deadline passed: open units of work were undone; they come again at the next start
};

/// @thread Every member from any thread; callbacks come from the engine's own threads (one for each source, one for
/// each pipeline), under no lock.
class Engine {
 public:
  /// Checks names and options. Connects to nothing. @throws Error{invalidConfig}
  explicit Engine(EngineOptions options);
  /// Stops, with a deadline of 5 s.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Opens sinks and sources, validates the tables, and starts the threads.
  /// @throws Error with every fatal table issue in its message. Nothing runs then, and it may be called again once the
  /// reason is gone; until then sources keep their connections, which `stop` ends. Error{stopped} after `stop`.
  void start();
  /// Waits until every pipeline's baselines are whole and durable.
  /// @return false on timeout. @throws the Error that stopped a pipeline or source meanwhile.
  bool awaitReady(std::chrono::milliseconds timeout);
  /// Sources stop delivering; what is queued is still applied. Loses nothing.
  void pause();
  void resume();
  /// Reads a table of a pipeline anew and makes the target exact. Returns at once; `awaitReady` waits for it.
  /// @throws Error{invalidArgument} for an unknown pipeline or table.
  void reload(std::string_view pipeline, std::string_view table);
  /// Brings an isolated pipeline back from its last checkpoint, and sources that its failure stopped.
  void retryIsolated(std::string_view pipeline);
  /// Applies a pipeline's dead letters again, oldest first; those that succeed are removed. An old change may overwrite
  /// what came later: `verify` with `repair` settles that. @return how many succeeded.
  std::uint64_t replayDeadLetters(std::string_view pipeline);
  /// Compares source and sink; see `VerifyReport`. Runs beside the stream: a pipeline waits only while its sink is
  /// read.
  VerifyReport verify(const VerifyOptions& options = {});
  /// Drains within the deadline, or rolls back. After it returns no callback runs. Idempotent.
  StopOutcome stop(std::chrono::milliseconds deadline = std::chrono::seconds(10));
  EngineStatus status() const;

  /// Runs sources and pipelines on the calling thread instead, until stopped, or until every source's `stream` returned
  /// and all that came is applied: for hosts without threads and for simulations. May be called again. Not with
  /// `start`. With an injected clock, scheduler and seed, and such sources and sinks, it does the same each time.
  /// @throws as `start`, the first time.
  void runInline(std::stop_token stop);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidegate
