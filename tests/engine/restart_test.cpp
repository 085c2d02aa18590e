/// Streams that begin anew while something is open: in a transaction, without an order, at a place that was lost.
#include <gtest/gtest.h>

#include "engine/detail/ack_tracker.h"
#include "engine/detail/event_queue.h"
#include "engine/engine_rig.h"

namespace tidegate {
namespace {

using namespace std::chrono_literals;
using detail::QueueItem;
using test::SinkCall;

const Error kAway(ErrorCode::connectionFailed, Retry::later, "the sink went away");

class Restart : public test::EngineRig {
 protected:
  Restart() { db->createTable(test::peopleSchema("people")); }
  std::size_t rowsBetween(std::int64_t low, std::int64_t high) {
    const auto rows = target().rows("people");
    return static_cast<std::size_t>(std::count_if(rows.begin(), rows.end(), [&](const auto& row) {
      const auto id = row[0].template as<std::int64_t>();
      return id >= low && id <= high;
    }));
  }
};

TEST_F(Restart, AFullQueueNeverDropsTheRestOfATransactionThatCameBefore) {
  sourceOptions.batchEvents = 3;
  sinkOptions.exactlyOnce = false;
  auto spec = pipeline();
  spec.overflow = OverflowPolicy::dropOldest;
  spec.maxQueuedEvents = 20;
  make({spec});
  run();
  // The unit holds the first of the large transaction, behind a small one that is not durable either.
  db->insert("people", {1, "small", 1});
  db->commit([](TestTransaction& t) {
    for (int i = 100; i < 111; ++i) t.insert("people", {i, "large", i});
  });
  for (int i = 200; i < 260; ++i) db->insert("people", {i, "later", i});
  int applies = 0;
  target().plan([&](SinkCall call, const ChangeBatch*) -> std::optional<test::SinkFault> {
    if (call == SinkCall::apply && ++applies == 2) {
      target().failNext(SinkCall::open, kAway, 30);
      return test::SinkFault{kAway};
    }
    return std::nullopt;
  });
  source().failAtEvent(9, Error(ErrorCode::queryFailed, Retry::later, "as planned"));
  run();
  EXPECT_GT(status().dropped, 11u) << "the queue was full";
  EXPECT_EQ(rowsBetween(100, 110), 0u) << "of a transaction that was dropped nothing stays";
  engine->reload("replica", "people");
  run();
  expectSame();
}

TEST_F(Restart, AReloadThatIsAskedForWhileThePipelineFailsStartsItsSourceAgainToo) {
  auto spec = pipeline();
  spec.retry.attempts = 0;
  spec.onFailure = FailurePolicy::stopSource;
  make({spec});
  run();
  bool asked = false;
  target().plan([&](SinkCall call, const ChangeBatch*) -> std::optional<test::SinkFault> {
    if (call != SinkCall::apply || std::exchange(asked, true)) return std::nullopt;
    engine->reload("replica", "people");
    return test::SinkFault{Error(ErrorCode::queryFailed, Retry::later, "as planned")};
  });
  db->insert("people", {1, "x", 1});
  run();
  EXPECT_EQ(observer->count("isolated replica"), 1u);
  EXPECT_TRUE(engine->awaitReady(0ms));
  expectSame();
}

class RestartQueue : public ::testing::Test {
 protected:
  /// A transaction of so many changes, of which `[first, last)` come.
  void push(int transaction, std::size_t size, std::size_t first, std::size_t last) {
    QueueItem item;
    item.batch = pool.take();
    for (std::size_t i = first; i < last; ++i) {
      ChangeEvent& event = item.batch->events.add(ChangeOp::insert, shape);
      event.after = {transaction, "x", 1};
      event.transactionBegin = i == 0;
      event.transactionEnd = i + 1 == size;
    }
    item.last = last - first;
    queue.push(std::move(item));
  }
  void beginStream() {
    QueueItem item;
    item.kind = QueueItem::Kind::streamBegins;
    queue.push(std::move(item));
  }
  std::vector<std::string> left() {
    std::vector<std::string> all;
    QueueItem item;
    while (queue.pop(item)) {
      if (item.kind == QueueItem::Kind::hole) all.push_back("hole");
      if (item.kind == QueueItem::Kind::streamBegins) all.push_back("stream");
      if (item.kind != QueueItem::Kind::events) continue;
      for (std::size_t i = item.first; i < item.last; ++i) all.push_back(describe(item.batch->events[i].after[0]));
    }
    return all;
  }
  detail::BatchPool pool;
  Shape shape = makeShape(test::peopleSchema());
  detail::EventQueue queue{8, 1u << 20};
};

TEST_F(RestartQueue, DropsATransactionThatCameInPartWholeOnceItComesAgain) {
  queue.accept();
  push(1, 4, 0, 2);
  beginStream();
  push(1, 4, 0, 4);
  push(2, 2, 0, 2);
  EXPECT_EQ(queue.dropOldest(4, 0), 4u);
  EXPECT_EQ(left(), (std::vector<std::string>{"1", "1", "stream", "hole", "2", "2"}));
}

TEST_F(RestartQueue, KeepsTheRestOfATransactionInWhichTheStreamBegan) {
  queue.accept();
  beginStream();
  push(1, 8, 4, 8);
  push(2, 2, 0, 2);
  push(3, 2, 0, 2);
  EXPECT_EQ(queue.dropOldest(2, 0), 2u);
  EXPECT_EQ(left(), (std::vector<std::string>{"stream", "1", "1", "1", "1", "hole", "3", "3"}));
}

class RestartAcks : public Restart {
 protected:
  Position at(int number) { return source().positionFromText(std::to_string(number) + ":0"); }
  std::string told() {
    const auto acks = source().acks();
    return acks.empty() ? std::string("nothing") : source().positionToText(acks.back());
  }
  detail::AckTracker& acks(std::size_t pipelines) {
    made_ = std::make_unique<detail::AckTracker>(source(), clock, *observer,
                                                 detail::AckTracker::Options{.name = "shop", .pipelines = pipelines});
    return *made_;
  }

 private:
  std::unique_ptr<detail::AckTracker> made_;
};

TEST_F(RestartAcks, WhatIsDurableFromBeforeAStreamThatGoesBackDoesNotCount) {
  auto& tracker = acks(2);
  tracker.durable(0, at(5));
  tracker.restartAt(at(5));
  tracker.received(at(9));
  tracker.goesOnFrom(0);
  tracker.durable(0, at(9));
  // The second pipeline's baseline ended at 7 while this stream, which began at 5, was under way already.
  tracker.durable(1, at(7));
  tracker.tick(true);
  EXPECT_EQ(told(), "5:0") << "from there on everything comes to it again";
  tracker.goesOnFrom(1);
  tracker.durable(1, at(6));
  tracker.tick(true);
  EXPECT_EQ(told(), "6:0");
}

TEST_F(RestartAcks, AfterALostPlaceNothingCountsUntilAPipelineHasBegunAnew) {
  auto& tracker = acks(1);
  tracker.durable(0, at(5));
  tracker.tick(true);
  EXPECT_EQ(told(), "5:0");
  tracker.suspend();
  tracker.durable(0, at(8));
  tracker.tick(true);
  EXPECT_EQ(told(), "5:0");
  tracker.durable(0, {});
  tracker.durable(0, at(5));
  tracker.tick(true);
  EXPECT_EQ(source().acks().size(), 2u) << "a slot that was made anew has to be told again";
}

TEST_F(RestartAcks, APlaceThatIsLostAgainBehindItsBaselineIsReadOnceMore) {
  sourceOptions.batchEvents = 2;
  for (int i = 0; i < 20; ++i) db->insert("people", {i, "x", i});
  make({pipeline()});
  run();
  clock.advance(1min);
  db->insert("people", {100, "x", 1});
  db->loseLog();
  // The sink is away, so that the baseline waits in the queue when the place is lost again.
  target().failNext(SinkCall::apply, kAway);
  target().failNext(SinkCall::open, kAway, 5);
  source().failAtEvent(23, Error(ErrorCode::positionLost, Retry::afterOperator, "lost again"));
  run();
  clock.advance(1min);
  run();
  expectSame();
  EXPECT_EQ(source().lastAckedPosition(), source().end());
}

}  // namespace
}  // namespace tidegate
