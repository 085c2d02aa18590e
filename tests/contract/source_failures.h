/// Stops, failures and what an operator sees.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "contract/source_suite.h"

namespace tidegate::contract {

/// What a reader throws that has nothing to do with Tidegate.
struct ReaderFailure {
  int code = 0;
};

class SourceFailures : public SyncSourceContract {};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(SourceFailures);

TEST_P(SourceFailures, AStopEndsAStreamThatWaits) {
  follow();
  model->insert(0, 1);
  awaitModel();
  reader->stop();
  EXPECT_EQ(reader->failure(), nullptr);
  EXPECT_EQ(source->state(), SourceState::connected);
}

TEST_P(SourceFailures, AStopEndsAStreamWhoseReaderIsFull) {
  read();
  const Position at = wholeBaseline();
  std::atomic<int> offers{0};
  reader->setGate([&](const ChangeBatch&) {
    offers.fetch_add(1);
    return Taken::full;
  });
  reader->start(names, at);
  model->insert(0, 1);
  EXPECT_TRUE(until([&] { return offers.load() > 2; }));
  reader->stop();
  EXPECT_EQ(reader->failure(), nullptr);
  reader->setGate({});
  reader->start(names, at);
  awaitModel();
}

TEST_P(SourceFailures, AStopEndsAPausedStream) {
  follow();
  source->pause();
  ASSERT_TRUE(awaitState(SourceState::paused));
  reader->stop();
  EXPECT_EQ(reader->failure(), nullptr);
  source->resume();
}

TEST_P(SourceFailures, APauseBeforeTheStreamHoldsItBack) {
  read();
  const Position at = wholeBaseline();
  source->pause();
  reader->start(names, at);
  ASSERT_TRUE(awaitState(SourceState::paused));
  model->insert(0, 1);
  source->resume();
  awaitModel();
  EXPECT_EQ(source->state(), SourceState::streaming);
}

/// Whoever asks "paused?" twice may be told otherwise the second time.
TEST_P(SourceFailures, APauseThatEndsAtOnceLeavesItStreaming) {
  read();
  for (int i = 0; i < 3; ++i) {
    const Position at = wholeBaseline();
    source->pause();
    reader->start(names, at);
    // Not awaitState, which sleeps: to be there before the source's next look.
    const auto deadline = std::chrono::steady_clock::now() + sourceDeadline();
    while (source->state() != SourceState::paused) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "it is not paused in round " << i;
      std::this_thread::yield();
    }
    source->resume();
    settle();
    ASSERT_TRUE(awaitState(SourceState::streaming)) << "in round " << i;
    reader->stop();
  }
}

TEST_P(SourceFailures, AStopEndsABaselineWithAnError) {
  if (can.baselineInStream) GTEST_SKIP() << "it may be over before anything can be stopped";
  for (int id = 0; id < 300; ++id) model->insert(0, id);
  read();
  std::stop_source stop;
  reader->setGate([&](const ChangeBatch&) {
    stop.request_stop();
    return Taken::full;
  });
  try {
    reader->baseline(names, stop.get_token());
    ADD_FAILURE() << "a baseline that was stopped is not whole: it must throw";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::queryCancelled) << e.what();
  }
  reader->setGate({});
}

TEST_P(SourceFailures, WhatTheReaderThrowsComesOutOfTheStream) {
  follow();
  ASSERT_TRUE(reader->awaitWhole(names));
  std::atomic<bool> failing{true};
  reader->setGate([&](const ChangeBatch&) {
    if (failing.exchange(false)) throw ReaderFailure{42};
    return Taken::yes;
  });
  const std::vector<ChangeEvent> seen = reader->events();
  model->insert(0, 1);
  ASSERT_TRUE(reader->awaitEnd());
  reader->stop();
  ASSERT_NE(reader->failure(), nullptr) << "the exception was swallowed";
  try {
    std::rethrow_exception(reader->failure());
  } catch (const ReaderFailure& e) {
    EXPECT_EQ(e.code, 42);
  }
  // Nothing was taken, so the same place still stands.
  reader->start(names, reader->events().back().position);
  awaitModel();
  reader->stop();
}

TEST_P(SourceFailures, WhatTheReaderThrowsComesOutOfABaseline) {
  if (can.baselineInStream) GTEST_SKIP() << "nothing may be delivered that could be thrown at";
  model->insert(0, 1);
  read();
  reader->setGate([](const ChangeBatch&) -> Taken { throw Error(ErrorCode::internal, Retry::never, "the reader's"); });
  try {
    reader->baseline(names);
    ADD_FAILURE() << "the exception was swallowed";
  } catch (const Error& e) {
    EXPECT_EQ(e.message(), "the reader's");
  }
  reader->setGate({});
  reader->start(names, wholeBaseline());
  awaitModel();
}

TEST_P(SourceFailures, CloseMayBeCalledTwiceAndIsTheEnd) {
  follow();
  reader->stop();
  source->close();
  source->close();
  EXPECT_EQ(source->state(), SourceState::closed);
  EXPECT_THROW(source->stream(names, Position{"?"}, [](ChangeBatch&) { return Taken::yes; }, {}), Error);
}

TEST_P(SourceFailures, GoesThroughConnectedAndStreaming) {
  follow();
  model->insert(0, 1);
  awaitModel();
  EXPECT_TRUE(wentThrough(SourceState::connected));
  EXPECT_EQ(source->state(), SourceState::streaming);
}

TEST_P(SourceFailures, LagIsFilledIn) {
  follow();
  model->insert(0, 1);
  awaitModel();
  const auto filled = [&] {
    const SourceLag lag = source->lag();
    return lag.time.has_value() && lag.time->count() >= 0 && (lag.bytes.has_value() || !can.lagBytes);
  };
  EXPECT_TRUE(until(filled));
  if (!can.lagBytes) return;
  EXPECT_TRUE(until([&] { return source->lag().bytes == std::uint64_t{0}; })) << "all was delivered";
  reader->stop();
  const Position at = reader->events().back().position;
  std::atomic<bool> full{true};
  reader->setGate([&](const ChangeBatch&) { return full.load() ? Taken::full : Taken::yes; });
  reader->start(names, at);
  for (int id = 10; id < 20; ++id) model->insert(0, id);
  EXPECT_TRUE(until([&] { return source->lag().bytes.value_or(0) > 0; })) << "what waits is counted";
  full.store(false);
  awaitModel();
  reader->stop();
}

TEST_P(SourceFailures, AForgottenPlaceIsSaidToBeLost) {
  model->insert(0, 1);
  follow();
  model->insert(0, 2);
  awaitModel();
  reader->stop();
  const Position at = reader->events().back().position;
  model->insert(0, 3);
  if (!database->forgetHistory()) return;
  reader->start(names, at);
  ASSERT_TRUE(reader->awaitEnd()) << "a gap must never be passed over in silence";
  reader->stop();
  ASSERT_NE(reader->failure(), nullptr);
  try {
    std::rethrow_exception(reader->failure());
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::positionLost) << e.what();
    EXPECT_EQ(e.retry(), Retry::afterOperator);
  }
  EXPECT_EQ(source->state(), SourceState::error);
  // A new baseline helps.
  reader->start(names, wholeBaseline());
  awaitModel();
}

}  // namespace tidegate::contract
