/// What one run of the engine simulation is made of, drawn from its seed (swarm testing, as plan.h).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "simulation/sim_random.h"
#include "tidegate/engine/pipeline.h"

namespace tidegate::sim {

/// Mistakes that a check must catch: proof that the engine simulation can fail. They live in the simulated source and
/// sinks only, each standing for an engine that makes it.
enum class EngineMutation {
  none,
  ackReceived,         ///< what was received is acknowledged, not what is durable
  dropFailedBatch,     ///< a batch that failed is not applied again
  leaveWithoutErase,   ///< an update that leaves a filter erases nothing
  baselineGap,         ///< the stream begins where the baseline ended, not where it began
  commitBeforeApply,   ///< the checkpoint is durable before the data
  applyBeforeCommit,   ///< the data is durable before the checkpoint
  overwriteUnchanged,  ///< columns that were not sent are overwritten with null
  loseRepairs,         ///< what is written beside the stream (dead letters, repairs) is said to be done, and is not
  keepLetters,         ///< a dead letter that was applied again is not removed
  blindVerify          ///< the first row of the target is not compared
};
std::string_view toString(EngineMutation mutation);
/// @throws std::invalid_argument listing the names.
EngineMutation parseEngineMutation(std::string_view name);
/// All but `none`.
const std::vector<EngineMutation>& engineMutations();

struct FilterPlan {
  enum class Kind { none, region, amount, either, both, note };
  Kind kind = Kind::none;
  std::string text;
  std::int64_t number = 0;
};

struct TransformPlan {
  bool dropNote = false, renameAmount = false, constant = false, doubleAmount = false;
};

struct RoutePlan {
  std::size_t table = 0;  ///< of the source
  std::string target;
  FilterPlan filter;
  TransformPlan transform;
};

struct PipelinePlan {
  std::string name;
  std::size_t source = 0;
  std::vector<RoutePlan> routes;
  OverflowPolicy overflow = OverflowPolicy::block;
  FailurePolicy failure = FailurePolicy::isolate;
  bool acknowledgePastIsolation = false;
  std::size_t maxQueuedEvents = 20, commitEvents = 5;
  std::chrono::milliseconds commitInterval{0};
  std::uint32_t attempts = 3;
  SinkTraits traits{};
};

struct EngineTablePlan {
  std::string name;
  bool compositeKey = false;
  std::int64_t keys = 10;  ///< ids are drawn from so few that they are used again and again
};

struct EngineSourcePlan {
  std::string name;
  std::vector<EngineTablePlan> tables;
  bool keyImages = false;   ///< the log holds no more of old rows than their keys
  bool bestEffort = false;  ///< claims no order, and delivers again what it delivered
  bool earlyStart = false;  ///< a stream begins a few transactions before the place asked for
};

struct EnginePlan {
  std::size_t rounds = 1;
  std::size_t ticksPerRound = 400;
  std::vector<EngineSourcePlan> sources;
  std::vector<PipelinePlan> pipelines;
  std::chrono::milliseconds ackInterval{0};
  bool crashes = false, sinkFaults = false, partialBatches = false, unknownCommits = false, slowSinks = false;
  bool fullDisks = false, fencing = false, pauses = false, reloads = false, hostStops = false;
  bool sourceFaults = false, disconnects = false, lostSlots = false;
  bool largeTransactions = false, keyChanges = false, truncates = false, schemaChanges = false, unchanged = false;
  bool tampers = false;  ///< somebody changes rows in the sinks, once all is quiet
  bool poison = false;   ///< rows that sinks with a dead-letter policy refuse

  std::string describe() const;
};

EnginePlan makeEnginePlan(SimRandom& random);

}  // namespace tidegate::sim
