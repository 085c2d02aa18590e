/// The file store on a disk that loses power at chosen moments. TIDEGATE_SEEDS=n and TIDEGATE_SEED=n choose the runs.
#include <gtest/gtest.h>

#include <deque>
#include <iostream>
#include <utility>

#include "durable_streams/sim_disk.h"
#include "durable_streams/store_model.h"
#include "support/manual_clock.h"
#include "tidegate/core/error.h"
#include "tidegate/durable_streams/file_store.h"

namespace tidegate::durable_streams::testing {
namespace {

constexpr std::uint64_t kSeeds = 1'000;
constexpr int kGenerations = 4;
constexpr int kSteps = 150;
constexpr int kPaths = 6;

/// A change that was asked for, and what became of it.
struct Asked {
  ModelChange change;
  Verdict expected = Verdict::done;
  bool answered = false;
};

class Simulation {
 public:
  explicit Simulation(std::uint64_t seed) : random_(seed), disk_(random_) {}

  void run() {
    for (int generation = 0; generation < kGenerations && !::testing::Test::HasFailure(); ++generation) {
      if (random_.chance(90)) disk_.loseThePowerAt(1 + random_.below(100));
      try {
        open();
        retryUnknown();
        for (int i = 0; i < kSteps && !::testing::Test::HasFailure(); ++i, ++steps) step();
      } catch (const PowerLoss&) {
      }
      store_.reset();
      disk_.restart();
      ++crashes;
    }
    // The disk is well from here on, so what is there must be one of the two states that the rules allow.
    open();
    store_.reset();
  }

  std::uint64_t crashes = 0;
  std::uint64_t truncations = 0;
  std::uint64_t steps = 0;
  std::uint64_t acknowledged = 0;

 private:
  void open() {
    store_ = fileStreamStore({.files = disk_.mount(),
                              .clock = &clock_,
                              .segmentBytes = 4096,
                              .cacheBytes = random_.chance(50) ? 1u : 4096u,
                              .compactBelow = 0.7,
                              .ownThread = false});
    truncations += store_->recovery().truncatedOctets > 0 ? 1 : 0;
    settle();
  }

  /// What was under way when the power went is there as a whole, or not at all.
  void settle() {
    const std::string without = durable_.difference(*store_);
    if (without.empty()) {
      asked_.clear();
      now_ = durable_;
      return;
    }
    const std::string with = now_.difference(*store_);
    ASSERT_TRUE(with.empty() && !asked_.empty())
        << "neither as acknowledged (" << without << ") nor with all of the last commit (" << with << ")";
    durable_ = now_;
    asked_.clear();
  }

  /// A producer that does not know whether it was heard says it again.
  void retryUnknown() {
    const auto unknown = std::exchange(unknown_, {});
    for (const auto& [path, stamp] : unknown) {
      const auto at = now_.streams().find(path);
      if (at == now_.streams().end() || at->second.deleted) continue;
      ask({.kind = ModelChange::Kind::append,
           .path = path,
           .append = {.contentType = "text/plain", .body = tokenOf(stamp), .producer = stamp}});
    }
    commit();
    for (const auto& [path, stamp] : unknown) {
      const auto at = now_.streams().find(path);
      if (at == now_.streams().end() || at->second.fork) continue;
      const std::string& content = at->second.content;
      const std::size_t first = content.find(tokenOf(stamp));
      if (first == std::string::npos) continue;
      EXPECT_EQ(content.find(tokenOf(stamp), first + 1), std::string::npos) << "applied twice: " << tokenOf(stamp);
    }
  }

  static std::string tokenOf(const ProducerStamp& stamp) {
    return "<" + stamp.id + "/" + std::to_string(stamp.epoch) + "/" + std::to_string(stamp.seq) + ">";
  }

  std::string pathAt(std::uint64_t i) { return "s/" + std::to_string(i); }
  std::string anyPath() { return pathAt(random_.below(kPaths)); }
  std::string text() {
    return std::string(1 + random_.below(random_.chance(10) ? 1500 : 60), static_cast<char>('a' + random_.below(26)));
  }

  void step() {
    const std::uint64_t dice = random_.below(100);
    if (dice < 12) {
      create();
    } else if (dice < 60) {
      append();
    } else if (dice < 65) {
      ask({.kind = ModelChange::Kind::remove, .path = anyPath()});
    } else if (dice < 68) {
      ask({.kind = ModelChange::Kind::note, .path = anyPath(), .note = random_.chance(30) ? "" : text()});
    } else if (dice < 82) {
      commit();
    } else if (dice < 88) {
      commit();
      store_->compact();
      EXPECT_EQ(durable_.difference(*store_), "") << "after a compaction";
    } else {
      // Readers see what is durable, and nothing of what is not.
      const std::string difference = readersOf(anyPath());
      EXPECT_EQ(difference, "");
    }
  }

  std::string readersOf(const std::string& path) {
    // A stream whose removal is under way is gone from the paths at once; all else waits for the disk.
    for (const Asked& asked : asked_) {
      if (asked.change.kind == ModelChange::Kind::remove && asked.expected == Verdict::done) return {};
    }
    return durable_.readersDifference(*store_, path);
  }

  void create() {
    ModelChange change{.kind = ModelChange::Kind::create, .path = anyPath()};
    change.create = {.contentType = "text/plain", .closed = random_.chance(5)};
    if (random_.chance(50)) change.create.body = text();
    if (random_.chance(40)) {
      change.create.fork = ForkPoint{.source = anyPath()};
      const auto source = now_.streams().find(change.create.fork->source);
      if (source != now_.streams().end() && random_.chance(70)) {
        auto end = source->second.ends.begin();
        std::advance(end, static_cast<std::ptrdiff_t>(random_.below(source->second.ends.size())));
        change.create.fork->at = *end;
        if (random_.chance(40)) change.create.fork->subPosition = 1 + random_.below(10);
      }
    }
    ask(std::move(change));
  }

  void append() {
    ModelChange change{.kind = ModelChange::Kind::append, .path = anyPath()};
    change.append = {.contentType = "text/plain", .body = text(), .close = random_.chance(3)};
    if (random_.chance(20)) change.append.seq = std::to_string(1000 + random_.below(200));
    if (random_.chance(50)) {
      ProducerStamp stamp{.id = random_.chance(50) ? "p" : "q"};
      const auto stream = now_.streams().find(change.path);
      if (stream != now_.streams().end() && stream->second.producers.contains(stamp.id)) {
        const auto [epoch, seq] = stream->second.producers.at(stamp.id);
        stamp.epoch = epoch + (random_.chance(10) ? 1 : 0);
        stamp.seq = stamp.epoch > epoch ? 0 : seq + (random_.chance(80) ? 1 : random_.below(3));
      }
      change.append.producer = stamp;
      change.append.body = tokenOf(stamp);
    }
    ask(std::move(change));
  }

  void ask(ModelChange change) {
    asked_.push_back({.change = change, .expected = now_.apply(change)});
    Asked& asked = asked_.back();
    const auto done = [&asked](const StreamResult& result) {
      // Closed with the store: whether it is kept shows at the next start.
      if (result.verdict == Verdict::unavailable) return;
      EXPECT_EQ(toString(result.verdict), toString(asked.expected)) << asked.change.path;
      EXPECT_FALSE(asked.answered);
      asked.answered = true;
    };
    if (change.append.producer && asked.expected == Verdict::done)
      unknown_.emplace_back(change.path, *change.append.producer);
    switch (change.kind) {
      case ModelChange::Kind::create:
        return store_->create(change.path, change.create, done);
      case ModelChange::Kind::append:
        return store_->append(change.path, change.append, done);
      case ModelChange::Kind::remove:
        return store_->remove(change.path, done);
      case ModelChange::Kind::note:
        return store_->putNote(change.path, change.note, done);
    }
  }

  void commit() {
    store_->commit();
    for (const Asked& asked : asked_) EXPECT_TRUE(asked.answered) << "not answered by its commit";
    acknowledged += asked_.size();
    durable_ = now_;
    asked_.clear();
    unknown_.clear();
  }

  test::Random random_;
  SimDisk disk_;
  test::ManualClock clock_;
  std::shared_ptr<FileStreamStore> store_;
  Model durable_;  ///< what was acknowledged
  Model now_;      ///< and what was asked for since
  std::deque<Asked> asked_;
  std::vector<std::pair<std::string, ProducerStamp>> unknown_;
};

TEST(DurableStreamSimulation, KeepsAcknowledgedChangesOverPowerLossesAtAnyMoment) {
  std::uint64_t seeds = 0;
  std::uint64_t crashes = 0;
  std::uint64_t truncations = 0;
  std::uint64_t steps = 0;
  std::uint64_t acknowledged = 0;
  test::forEachSeed(kSeeds, [&](std::uint64_t seed) {
    ++seeds;
    Simulation simulation(seed);
    simulation.run();
    crashes += simulation.crashes;
    truncations += simulation.truncations;
    steps += simulation.steps;
    acknowledged += simulation.acknowledged;
  });
  std::cout << steps << " steps, " << acknowledged << " changes acknowledged, " << crashes << " restarts, "
            << truncations << " with a torn commit\n";
  if (std::getenv("TIDEGATE_SEED") != nullptr || std::getenv("TIDEGATE_SEEDS") != nullptr) return;
  EXPECT_EQ(crashes, seeds * kGenerations);
  EXPECT_GT(truncations, seeds / 5) << "the disk tears too little to prove anything";
  EXPECT_GT(acknowledged, steps / 4);
}

}  // namespace
}  // namespace tidegate::durable_streams::testing
