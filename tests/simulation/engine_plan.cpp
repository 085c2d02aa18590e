#include "simulation/engine_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace tidegate::sim {
namespace {

struct NamedMutation {
  EngineMutation mutation;
  std::string_view name;
};

constexpr NamedMutation kEngineMutations[] = {
    {EngineMutation::ackReceived, "ackReceived"},
    {EngineMutation::dropFailedBatch, "dropFailedBatch"},
    {EngineMutation::leaveWithoutErase, "leaveWithoutErase"},
    {EngineMutation::baselineGap, "baselineGap"},
    {EngineMutation::commitBeforeApply, "commitBeforeApply"},
    {EngineMutation::applyBeforeCommit, "applyBeforeCommit"},
    {EngineMutation::overwriteUnchanged, "overwriteUnchanged"},
    {EngineMutation::loseRepairs, "loseRepairs"},
    {EngineMutation::keepLetters, "keepLetters"},
    {EngineMutation::blindVerify, "blindVerify"},
};

FilterPlan drawFilter(SimRandom& random) {
  FilterPlan filter;
  filter.kind = random.chance(45) ? FilterPlan::Kind::none : static_cast<FilterPlan::Kind>(random.between(1, 5));
  filter.text = random.chance(50) ? "eu" : "us";
  filter.number = random.between(20, 80);
  return filter;
}

TransformPlan drawTransform(SimRandom& random) {
  if (random.chance(50)) return {};
  return {.dropNote = random.chance(30),
          .renameAmount = random.chance(30),
          .constant = random.chance(30),
          .doubleAmount = random.chance(30)};
}

EngineSourcePlan drawSource(SimRandom& random, std::size_t number) {
  EngineSourcePlan source;
  source.name = number == 0 ? "shop" : "depot";
  const auto tables = random.between(1, 3);
  for (std::int64_t i = 0; i < tables; ++i) {
    source.tables.push_back({.name = fmt::format("{}.t{}", source.name, i + 1),
                             .compositeKey = random.chance(25),
                             .keys = random.between(2, 14)});
  }
  source.keyImages = random.chance(30);
  source.bestEffort = random.chance(12);
  source.earlyStart = random.chance(30);
  return source;
}

SinkTraits drawTraits(SimRandom& random, const EngineSourcePlan& source) {
  SinkTraits traits;
  traits.wholeTransactions = random.chance(60);
  traits.keepsCheckpoints = random.chance(85);
  traits.idempotent = source.bestEffort || !traits.keepsCheckpoints || random.chance(50);
  return traits;
}

PipelinePlan drawPipeline(SimRandom& random, const EnginePlan& plan, std::size_t number) {
  PipelinePlan pipeline;
  pipeline.name = fmt::format("p{}", number + 1);
  pipeline.source = number < plan.sources.size() ? number : static_cast<std::size_t>(random.below(plan.sources.size()));
  const EngineSourcePlan& source = plan.sources[pipeline.source];
  const bool renames = random.chance(30);
  for (std::size_t i = 0; i < source.tables.size(); ++i) {
    if (!pipeline.routes.empty() && random.chance(30)) continue;
    RoutePlan route{.table = i,
                    .target = fmt::format("{}{}", renames ? "copy_" : "t", i + 1),
                    .filter = drawFilter(random),
                    .transform = drawTransform(random)};
    // What is left out of an update cannot be judged without the old row: no contract asks for that.
    if (source.keyImages && plan.unchanged) route.filter = {};
    pipeline.routes.push_back(route);
  }
  pipeline.overflow = random.chance(70) ? OverflowPolicy::block
                                        : (random.chance(60) ? OverflowPolicy::dropOldest : OverflowPolicy::error);
  const auto failure = random.below(100);
  pipeline.failure = failure < 55                  ? FailurePolicy::isolate
                     : failure < 80 && plan.poison ? FailurePolicy::deadLetter
                     : failure < 93                ? FailurePolicy::stopSource
                                                   : FailurePolicy::stopAll;
  pipeline.acknowledgePastIsolation = random.chance(20);
  pipeline.maxQueuedEvents = static_cast<std::size_t>(random.between(3, 60));
  pipeline.commitEvents = static_cast<std::size_t>(random.between(1, 25));
  pipeline.commitInterval = std::chrono::milliseconds(random.chance(50) ? 0 : random.between(1, 300));
  pipeline.attempts = static_cast<std::uint32_t>(random.between(0, 4));
  pipeline.traits = drawTraits(random, source);
  return pipeline;
}

}  // namespace

std::string_view toString(EngineMutation mutation) {
  for (const NamedMutation& named : kEngineMutations) {
    if (named.mutation == mutation) return named.name;
  }
  return "none";
}

EngineMutation parseEngineMutation(std::string_view name) {
  std::string known;
  for (const NamedMutation& named : kEngineMutations) {
    if (named.name == name) return named.mutation;
    known += fmt::format(" {}", named.name);
  }
  throw std::invalid_argument(fmt::format("no mutation of the engine is called {}; there are:{}", name, known));
}

const std::vector<EngineMutation>& engineMutations() {
  static const std::vector<EngineMutation> all = [] {
    std::vector<EngineMutation> made;
    for (const NamedMutation& named : kEngineMutations) made.push_back(named.mutation);
    return made;
  }();
  return all;
}

EnginePlan makeEnginePlan(SimRandom& random) {
  EnginePlan plan;
  plan.rounds = static_cast<std::size_t>(random.between(1, 3));
  plan.ticksPerRound = static_cast<std::size_t>(random.between(100, 500));
  plan.ackInterval = std::chrono::milliseconds(random.chance(50) ? 0 : random.between(10, 1'500));
  for (bool* feature :
       {&plan.crashes, &plan.sinkFaults, &plan.partialBatches, &plan.unknownCommits, &plan.slowSinks, &plan.fullDisks,
        &plan.fencing, &plan.pauses, &plan.reloads, &plan.hostStops, &plan.sourceFaults, &plan.disconnects,
        &plan.largeTransactions, &plan.keyChanges, &plan.truncates, &plan.unchanged, &plan.tampers}) {
    *feature = random.chance(60);
  }
  plan.lostSlots = random.chance(30);
  plan.schemaChanges = random.chance(40);
  plan.poison = random.chance(30);
  const std::size_t sources = random.chance(25) ? 2 : 1;
  for (std::size_t i = 0; i < sources; ++i) plan.sources.push_back(drawSource(random, i));
  for (EngineSourcePlan& source : plan.sources) {
    // Poison rows come right by their next update, which therefore must bring all columns. Old shapes that come again
    // have no meaning without an order.
    if (plan.poison) source.keyImages = false;
    if (plan.schemaChanges) source.bestEffort = false;
  }
  const auto pipelines = static_cast<std::size_t>(random.between(static_cast<std::int64_t>(sources), 4));
  for (std::size_t i = 0; i < pipelines; ++i) plan.pipelines.push_back(drawPipeline(random, plan, i));
  return plan;
}

std::string EnginePlan::describe() const {
  std::string text = fmt::format("{} rounds of {} ticks, {} sources, {} pipelines:", rounds, ticksPerRound,
                                 sources.size(), pipelines.size());
  const std::pair<bool, const char*> features[] = {
      {crashes, "crashes"},
      {sinkFaults, "sinkFaults"},
      {partialBatches, "partialBatches"},
      {unknownCommits, "unknownCommits"},
      {slowSinks, "slowSinks"},
      {fullDisks, "fullDisks"},
      {fencing, "fencing"},
      {pauses, "pauses"},
      {reloads, "reloads"},
      {hostStops, "hostStops"},
      {sourceFaults, "sourceFaults"},
      {disconnects, "disconnects"},
      {lostSlots, "lostSlots"},
      {largeTransactions, "largeTransactions"},
      {keyChanges, "keyChanges"},
      {truncates, "truncates"},
      {schemaChanges, "schemaChanges"},
      {unchanged, "unchanged"},
      {poison, "poison"},
      {tampers, "tampers"},
  };
  for (const auto& [on, name] : features) {
    if (on) text += fmt::format(" {}", name);
  }
  for (const PipelinePlan& pipeline : pipelines) {
    text += fmt::format(
        "; {} of {}: queue {}, commit {}, overflow {}, failure {}{}{}{}{}", pipeline.name,
        sources[pipeline.source].name, pipeline.maxQueuedEvents, pipeline.commitEvents,
        static_cast<int>(pipeline.overflow), static_cast<int>(pipeline.failure),
        pipeline.acknowledgePastIsolation ? " ackPast" : "", pipeline.traits.wholeTransactions ? " whole" : "",
        pipeline.traits.keepsCheckpoints ? "" : " volatile", sources[pipeline.source].bestEffort ? " bestEffort" : "");
  }
  return text;
}

}  // namespace tidegate::sim
