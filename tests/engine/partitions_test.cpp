/// A source with several partitions, whose positions have no total order: whatever fails, targets end as the source is,
/// and nothing is acknowledged that a pipeline would have to ask for again.
#include <gtest/gtest.h>

#include <array>
#include <charconv>

#include "core/detail/json_tree.h"
#include "engine/engine_rig.h"
#include "support/property.h"

namespace tidegate {
namespace {

using namespace std::chrono_literals;
using test::Random;
using test::SinkCall;

constexpr std::size_t kPartitions = 3;
using Vector = std::array<std::uint64_t, kPartitions>;

Position positionOf(const Vector& at) {
  std::string text;
  for (const std::uint64_t one : at) text += std::to_string(one) + ",";
  return {text};
}

Vector vectorOf(std::string_view text) {
  Vector at{};
  for (std::uint64_t& one : at) {
    const auto comma = text.find(',');
    if (comma == std::string_view::npos) throw Error(ErrorCode::parseError, Retry::never, "no place of partitions");
    std::from_chars(text.data(), text.data() + comma, one);
    text.remove_prefix(comma + 1);
  }
  return at;
}

/// Outlives processes. A row lives in the partition that its key says.
struct Partitions {
  struct Change {
    std::int64_t id = 0;
    std::int64_t score = 0;
    bool gone = false;
  };
  explicit Partitions(Random& given) : random(given) {}
  void write() {
    const std::int64_t id = random.between(0, 20);
    const std::size_t partition = static_cast<std::size_t>(id) % kPartitions;
    if (rows.contains(id) && random.chance(30)) {
      rows.erase(id);
      log[partition].push_back({id, 0, true});
    } else {
      rows[id] = random.between(0, 1'000);
      log[partition].push_back({id, rows[id]});
    }
  }
  Vector end() const {
    Vector at{};
    for (std::size_t i = 0; i < kPartitions; ++i) at[i] = log[i].size();
    return at;
  }

  Random& random;
  std::map<std::int64_t, std::int64_t> rows;
  std::array<std::vector<Change>, kPartitions> log;
  Vector forgotten{};
  unsigned faultPercent = 0;
  int writesLeft = 0;
  bool lost = false;
  Shape shape = makeShape(test::peopleSchema());
};

class PartitionedSource final : public SyncSource {
 public:
  explicit PartitionedSource(Partitions& world) : world_(world) {}
  void init(const SourceContext&) override { state_.to(SourceState::connected, "here"); }
  std::vector<TableIssue> validateTables(const std::vector<std::string>&) override { return {}; }
  Shape describeTable(const std::string&) override { return world_.shape; }
  Position baseline(const std::vector<std::string>&, const ChangeHandler& handler, std::stop_token stop) override {
    const Vector at = world_.end();
    const auto rows = world_.rows;
    ChangeBatch batch;
    const auto add = [&](ChangeOp op) -> ChangeEvent& {
      ChangeEvent& event = batch.add(op, world_.shape);
      event.position = positionOf(at);
      event.transactionBegin = event.transactionEnd = true;
      return event;
    };
    add(ChangeOp::baselineBegin);
    for (const auto& [id, score] : rows) {
      add(ChangeOp::read).after = {id, "x", score};
      if (world_.random.chance(20)) world_.write();
      if (world_.random.chance(30)) offer(batch, handler, stop);
    }
    add(ChangeOp::baselineEnd);
    offer(batch, handler, stop);
    return positionOf(at);
  }
  void stream(const std::vector<std::string>&, const Position& from, const ChangeHandler& handler,
              std::stop_token stop) override {
    Vector at = vectorOf(from.octets);
    for (std::size_t i = 0; i < kPartitions; ++i) {
      if (at[i] >= world_.forgotten[i]) continue;
      world_.lost = true;
      throw Error(ErrorCode::positionLost, Retry::afterOperator, "asked for what was acknowledged: " + from.octets);
    }
    ChangeBatch batch;
    while (!stop.stop_requested()) {
      if (world_.writesLeft > 0 && world_.random.chance(50)) --world_.writesLeft, world_.write();
      if (world_.random.chance(world_.faultPercent)) throw Error(ErrorCode::queryFailed, Retry::later, "as planned");
      const std::size_t partition = world_.random.index(kPartitions);
      auto& next = at[partition];
      if (next < world_.log[partition].size()) {
        add(batch, world_.log[partition][next]);
        ++next;
        batch.back().position = positionOf(at);
      }
      const bool all = at == world_.end() && world_.writesLeft == 0;
      if (!batch.empty() && (all || world_.random.chance(30))) offer(batch, handler, stop);
      if (all) return;
    }
  }
  void ack(const Position& position) override {
    const Vector at = vectorOf(position.octets);
    for (std::size_t i = 0; i < kPartitions; ++i) world_.forgotten[i] = std::max(world_.forgotten[i], at[i]);
  }
  Position lastAckedPosition() const override { return positionOf(world_.forgotten); }
  bool supportsResume() const override { return true; }
  std::partial_ordering comparePositions(const Position& a, const Position& b) const override {
    const Vector left = vectorOf(a.octets), right = vectorOf(b.octets);
    bool less = false, greater = false;
    for (std::size_t i = 0; i < kPartitions; ++i) less |= left[i]<right[i], greater |= left[i]> right[i];
    if (less && greater) return std::partial_ordering::unordered;
    return less      ? std::partial_ordering::less
           : greater ? std::partial_ordering::greater
                     : std::partial_ordering::equivalent;
  }
  Position meet(const Position& a, const Position& b) const override {
    Vector left = vectorOf(a.octets);
    const Vector right = vectorOf(b.octets);
    for (std::size_t i = 0; i < kPartitions; ++i) left[i] = std::min(left[i], right[i]);
    return positionOf(left);
  }
  std::string positionToText(const Position& position) const override { return position.octets; }
  Position positionFromText(std::string_view text) const override { return positionOf(vectorOf(text)); }
  OrderingGuarantee orderingGuarantee() const override { return OrderingGuarantee::perPartition; }
  void pause() override {}
  void resume() override {}
  SourceState state() const override { return state_.state(); }
  SourceLag lag() const override { return {}; }
  void close() override { state_.to(SourceState::closed, "closed"); }

 private:
  void add(ChangeBatch& batch, const Partitions::Change& change) const {
    ChangeEvent& event = batch.add(change.gone ? ChangeOp::erase : ChangeOp::update, world_.shape);
    (change.gone ? event.before : event.after) = {change.id, "x", change.score};
    event.transactionBegin = event.transactionEnd = true;
  }
  static void offer(ChangeBatch& batch, const ChangeHandler& handler, const std::stop_token& stop) {
    while (handler(batch) == Taken::full) {
      if (stop.stop_requested()) throw Error(ErrorCode::queryCancelled, Retry::later, "stopped");
    }
    batch.clear();
  }

  Partitions& world_;
  SourceStateMachine state_;
};

class PartitionLaws : public test::EngineRig {
 protected:
  /// Complains where an acknowledgement is not at or before every checkpoint.
  class AckChecker final : public EngineObserver {
   public:
    AckChecker(PartitionedSource& source, std::map<std::string, std::shared_ptr<test::FakeTarget>>& targets)
        : source_(source), targets_(targets) {}
    void onAck(std::string_view, std::string_view text) override {
      for (const auto& [name, target] : targets_) {
        const std::string checkpoint = target->checkpoint().value_or("{\"position\":\"0,0,0,\"}");
        const detail::JsonTree tree(checkpoint);
        const std::string at = tree.root().member("position").string();
        EXPECT_TRUE(source_.comparePositions({std::string(text)}, {at}) <= 0) << text << " is past " << at;
      }
    }

   private:
    PartitionedSource& source_;
    std::map<std::string, std::shared_ptr<test::FakeTarget>>& targets_;
  };

  void startProcess(Partitions& world, std::size_t pipelines) {
    for (const auto& [name, target] : targets_) target->crash();
    engine.reset();
    auto made = std::make_shared<PartitionedSource>(world);
    EngineOptions given{.sources = {{.name = "shop",
                                     .source = made,
                                     .onPositionLost = PositionLostPolicy::stop,
                                     .retry = {.attempts = UINT32_MAX, .firstDelay = 1ms, .maxDelay = 5ms}}},
                        .observer = std::make_shared<AckChecker>(*made, targets_),
                        .clock = &clock,
                        .scheduler = &scheduler,
                        .jitterSeed = world.random.bits() | 1,
                        .ackInterval = 0ms};
    sinkOptions.exactlyOnce = false;
    for (std::size_t i = 0; i < pipelines; ++i) {
      PipelineSpec spec = pipeline("p" + std::to_string(i));
      spec.retry = {.attempts = UINT32_MAX, .firstDelay = 1ms, .maxDelay = 5ms};
      spec.maxQueuedEvents = 1 + world.random.index(20);
      spec.commitEvents = 1 + world.random.index(8);
      target(spec.name).plan([&world](SinkCall call, const ChangeBatch*) -> std::optional<test::SinkFault> {
        // One that fails while it is opened would fail the start.
        if (call != SinkCall::apply && call != SinkCall::commit) return std::nullopt;
        if (!world.random.chance(world.faultPercent)) return std::nullopt;
        return test::SinkFault{Error(ErrorCode::connectionFailed, Retry::outcomeUnknown, "as planned"),
                               call == SinkCall::commit && world.random.chance(50)};
      });
      given.pipelines.push_back(std::move(spec));
    }
    engine = std::make_unique<Engine>(std::move(given));
  }

  void expectModel(const Partitions& world) {
    std::vector<test::Values> rows;
    for (const auto& [id, score] : world.rows) rows.push_back({id, "x", score});
    for (const auto& [name, target] : targets_) EXPECT_EQ(texts(target->rows("people")), texts(rows)) << name;
    EXPECT_FALSE(world.lost) << "a stream asked for what was acknowledged";
  }
};

TEST_F(PartitionLaws, WhateverFailsEachTargetEndsAsItsSourceAndNothingAcknowledgedIsAskedForAgain) {
  test::forEachSeed(300, [this](std::uint64_t seed) {
    Random random(seed);
    Partitions world(random);
    targets_.clear();
    const std::size_t pipelines = 1 + random.index(3);
    for (int i = 0; i < 10; ++i) world.write();
    startProcess(world, pipelines);
    for (int round = 0; round < 10; ++round) {
      world.faultPercent = static_cast<unsigned>(random.index(15));
      world.writesLeft = static_cast<int>(random.index(20));
      if (random.chance(30)) startProcess(world, pipelines);
      run();
      if (random.chance(20) && engine->status().ready) engine->reload("p0", "people");
    }
    world.faultPercent = 0;
    run();
    clock.advance(1s);
    run();
    expectModel(world);
    engine.reset();
  });
}

}  // namespace
}  // namespace tidegate
