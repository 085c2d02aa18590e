#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/manual_clock.h"
#include "support/property.h"
#include "tidegate/source/polling_source.h"
#include "tidegate/sqlite/query_fn.h"

namespace tidegate {
namespace {

using namespace std::chrono_literals;

/// Waits between polls by asking the test what happens meanwhile.
class HookedScheduler final : public Scheduler {
 public:
  explicit HookedScheduler(test::ManualClock& clock) : clock_(clock) {}
  std::function<void()> meanwhile;
  bool waitFor(std::chrono::microseconds duration, std::stop_token stop) override {
    if (stop.stop_requested()) return false;
    clock_.advance(duration);
    if (meanwhile) meanwhile();
    return !stop.stop_requested();
  }

 private:
  test::ManualClock& clock_;
};

struct Crash {};

/// A sink as an engine drives it: drops what it has, makes durable when told, loses the rest in a crash.
struct PolledReplica {
  using Rows = std::map<std::int64_t, std::vector<Value>>;
  Rows durable, rows;
  Position durableAt, at;

  void take(const SyncSource& source, const ChangeEvent& event) {
    const bool had = !at.empty() && source.comparePositions(event.position, at) != std::partial_ordering::greater;
    if (had) return;
    at = event.position;
    if (event.op == ChangeOp::erase) {
      rows.erase(event.before[0].as<std::int64_t>());
    } else if (event.op != ChangeOp::schemaChange && event.op != ChangeOp::baselineBegin &&
               event.op != ChangeOp::baselineEnd) {
      rows[event.after[0].as<std::int64_t>()] = event.after;
    }
  }
  void commit() {
    durable = rows;
    durableAt = at;
  }
  void crash() {
    rows = durable;
    at = durableAt;
  }
};

/// A source, its stores, and two replicas of it at different places.
class PolledWorld {
 public:
  PolledWorld(std::variant<CursorStrategy, DiffStrategy> strategy, std::uint64_t seed)
      : strategy_(std::move(strategy)), random_(seed) {
    run("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER, rev INTEGER)");
    for (int i = 0; i < 10; ++i) write();
    scheduler_.meanwhile = [this] { meanwhile(); };
  }

  void start() {
    make();
    const Position at = source_->baseline({"t"}, handler(false), {});
    for (PolledReplica& replica : replicas_) {
      replica.at = at;
      replica.commit();
    }
  }
  /// One life of a process: polls, acknowledges, and crashes or stops.
  void live() {
    if (!source_) make();
    crashing_ = random_.chance(50);
    polls_ = 1 + random_.below(5);
    stop_ = std::stop_source();
    try {
      source_->stream({"t"}, meet(), handler(true), stop_.get_token());
    } catch (const Crash&) {
    }
    const bool restarts = random_.chance(60);
    if (restarts && random_.chance(30)) {
      for (PolledReplica& replica : replicas_) replica.commit();
      source_->ack(meet());
      source_->close();
    }
    // A stream that ends also ends what its readers had not made durable.
    for (PolledReplica& replica : replicas_) replica.crash();
    if (restarts) source_.reset();
  }
  /// Polls without disturbance, and compares.
  void finish() {
    if (!source_) make();
    quiet_ = true;
    polls_ = 3;
    stop_ = std::stop_source();
    source_->stream({"t"}, meet(), handler(false), stop_.get_token());
    ResultSet rows = query_({.sql = "SELECT * FROM t ORDER BY id"});
    PolledReplica::Rows held;
    for (std::vector<Value> row; rows.next(row);) held[row[0].as<std::int64_t>()] = row;
    for (const PolledReplica& replica : replicas_) EXPECT_TRUE(replica.rows == held) << "a replica went astray";
  }

 private:
  void run(const std::string& sql, std::vector<Value> params = {}) {
    ResultSet rows = query_({.sql = sql, .params = std::move(params)});
    for (std::vector<Value> row; rows.next(row);) {
    }
  }
  bool diffs() const { return std::holds_alternative<DiffStrategy>(strategy_); }
  /// Few rows and two values, so that rows often change back to what they were.
  void write() {
    const auto id = static_cast<std::int64_t>(random_.below(8));
    const auto value = static_cast<std::int64_t>(random_.below(2));
    if (diffs() && random_.chance(25)) return run("DELETE FROM t WHERE id = ?", {id});
    // A cursor grows with each change, or is NULL.
    const bool noCursor = id < 4;
    run("INSERT OR REPLACE INTO t VALUES (?, ?, ?)", {id, value, noCursor ? Value() : Value(++revision_)});
  }
  void make() {
    IngestSourceConfig config{.name = "world",
                              .query = query_,
                              .tables = {{.table = "t", .query = "SELECT * FROM t", .strategy = strategy_}},
                              .interval = 1s,
                              .pushDeltas = 3};
    source_ = std::make_unique<PollingSource>(
        std::move(config), PollingSourceOptions{.state = state_, .snapshots = snapshots_, .batchEvents = 2});
    SourceContext context;
    context.clock = &clock_;
    context.scheduler = &scheduler_;
    context.jitterSeed = 1;
    source_->init(context);
  }
  ChangeHandler handler(bool disturbed) {
    return [this, disturbed](ChangeBatch& batch) {
      if (disturbed && random_.chance(10)) return Taken::full;
      if (disturbed && crashing_ && random_.chance(10)) throw Crash{};
      for (PolledReplica& replica : replicas_) {
        for (const ChangeEvent& event : batch) replica.take(*source_, event);
        if (disturbed && random_.chance(40)) replica.commit();
      }
      if (disturbed && random_.chance(30)) source_->ack(meet());
      return Taken::yes;
    };
  }
  void meanwhile() {
    if (!quiet_) {
      for (std::uint64_t i = random_.below(4); i > 0; --i) write();
      for (PolledReplica& replica : replicas_) {
        if (random_.chance(40)) replica.commit();
      }
      if (random_.chance(40)) source_->ack(meet());
    }
    if (--polls_ == 0) stop_.request_stop();
  }
  Position meet() const { return source_->meet(replicas_[0].durableAt, replicas_[1].durableAt); }

  const std::variant<CursorStrategy, DiffStrategy> strategy_;
  test::Random random_;
  test::ManualClock clock_;
  HookedScheduler scheduler_{clock_};
  QueryFn query_ = sqlite::queryFn({.path = ":memory:", .readOnly = false});
  std::shared_ptr<StateStore> state_ = std::make_shared<MemoryStateStore>();
  std::shared_ptr<SnapshotStore> snapshots_ = memorySnapshotStore();  // kept over restarts
  std::unique_ptr<PollingSource> source_;
  PolledReplica replicas_[2];
  std::stop_source stop_;
  std::uint64_t polls_ = 0;
  std::int64_t revision_ = 0;
  bool crashing_ = false, quiet_ = false;
};

void tryHistories(const std::variant<CursorStrategy, DiffStrategy>& strategy) {
  test::forEachSeed(200, [&](std::uint64_t seed) {
    PolledWorld world(strategy, seed);
    world.start();
    for (int life = 0; life < 12; ++life) world.live();
    world.finish();
  });
}

TEST(PollingSourceLaws, WhateverCrashesAndWhenACursorPolledReplicaEndsAsTheTableIs) {
  tryHistories(CursorStrategy{.cursorColumn = "rev", .lookbackRows = 3, .pageRows = 4});
}

TEST(PollingSourceLaws, WhateverCrashesAndWhenADiffPolledReplicaEndsAsTheTableIs) {
  tryHistories(DiffStrategy{.maxDeleteFraction = 1.0});
}

}  // namespace
}  // namespace tidegate
