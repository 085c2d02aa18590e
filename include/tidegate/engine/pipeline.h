/// A pipeline: tables of one source, filtered and transformed, into one sink.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tidegate/engine/filter.h"
#include "tidegate/engine/transform.h"
#include "tidegate/sink/dead_letters.h"
#include "tidegate/sink/sink.h"
#include "tidegate/source/sync_source.h"

namespace tidegate {

/// Rows older than `age` by `column` (a date, a timestamp, or Unix seconds as an integer) are left out of the sink, and
/// taken out of it as they age.
struct TimeToLive {
  std::string column{};
  std::chrono::seconds age{0};
  std::chrono::seconds sweepInterval{60};
};

/// One table of a pipeline.
struct TableRoute {
  std::string table{};   ///< the source's name
  std::string target{};  ///< the sink's name; empty: the source's, without its schema
  Filter filter{};
  std::vector<Transform> transforms{};
  std::optional<TimeToLive> ttl{};
};

/// What happens when a pipeline's queue is full.
enum class OverflowPolicy {
  block,       ///< the source waits; nothing is lost (the default)
  dropOldest,  ///< the oldest queued transactions are thrown away, counted and reported; they are never acknowledged as
               ///< delivered: the source is acknowledged up to before them, until `reload` has made the target whole
               ///< again. Baselines, schema changes and transactions that are not queued as a whole wait instead
  error        ///< the pipeline fails, as its `onFailure` says
};

/// What happens when a change still fails after `RetryPolicy::attempts`.
enum class FailurePolicy {
  deadLetter,  ///< the failing change of a row goes to the dead-letter store, the others go on; anything else isolates
  isolate,     ///< this pipeline stops; the others go on; the source is not acknowledged past it (the default)
  stopSource,  ///< the pipeline's source stops, with all its pipelines
  stopAll      ///< the engine stops
};

struct RetryPolicy {
  /// After the first; 0: none. What says nothing of a change does not count and is tried for ever: lost connections,
  /// full disks, back-pressure.
  std::uint32_t attempts = 5;
  std::chrono::milliseconds firstDelay{100};  ///< doubled each time, with jitter
  std::chrono::milliseconds maxDelay{30'000};
};

struct PipelineSpec {
  std::string name{};    ///< unique; the key of the sink's checkpoint
  std::string source{};  ///< the name of a SourceSpec
  std::vector<TableRoute> tables{};
  std::shared_ptr<Sink> sink{};  ///< not shared with another pipeline
  OverflowPolicy overflow = OverflowPolicy::block;
  std::size_t maxQueuedBytes = 64u << 20;
  std::size_t maxQueuedEvents = 200'000;
  std::size_t commitEvents = 10'000;  ///< a unit of work ends at the next transaction end after these
  std::size_t commitBytes = 16u << 20;
  std::chrono::milliseconds commitInterval{200};  ///< or when this old; at once when nothing is queued
  RetryPolicy retry{};
  FailurePolicy onFailure = FailurePolicy::isolate;
  std::shared_ptr<DeadLetters> deadLetters{};  ///< needed for `deadLetter`
  /// Lets a source be acknowledged past an isolated pipeline, in as many words: what it misses is then lost to it, and
  /// `retryIsolated` begins with a new baseline.
  bool acknowledgePastIsolation = false;
  /// On a schema change that leaves rows with values no event brings (`SchemaChange::rowsChanged`): read the table
  /// anew.
  bool reloadOnRowsChanged = true;
};

}  // namespace tidegate
