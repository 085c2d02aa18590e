/// Positions: their order, their text, what follows them, and what acknowledging them means.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <compare>
#include <string>
#include <vector>

#include "contract/source_histories.h"

namespace tidegate::contract {

/// A recorded stream: its events, and where it began.
class SourcePositions : public SourceHistories {
 protected:
  static constexpr auto kLess = std::partial_ordering::less;
  static constexpr auto kEquivalent = std::partial_ordering::equivalent;

  /// Records a stream of some 30 transactions.
  void record(SourceWriter& writer) {
    follow();
    for (int i = 0; i < 30; ++i) writer.commitOne();
    awaitModel();
    settle();
    reader->stop();
    recorded = reader->events();
    std::erase_if(recorded, isOfBaseline);
    ASSERT_FALSE(recorded.empty());
    before = reader->replica();
  }
  /// The replica of somebody who had all up to and including event `last` of those recorded.
  SourceReplica replicaUpTo(std::size_t last) const {
    SourceReplica replica(can);
    std::size_t streamed = 0;
    for (const ChangeEvent& event : reader->events()) {
      replica.apply(event);
      if (!isOfBaseline(event) && streamed++ == last) break;
    }
    return replica;
  }
  static bool isOfBaseline(const ChangeEvent& event) {
    return event.op == ChangeOp::read || event.op == ChangeOp::baselineBegin || event.op == ChangeOp::baselineEnd;
  }
  /// What must come again from whichever position: not `progress`, which comes by the clock, and of a baseline that may
  /// come otherwise nothing.
  std::vector<ChangeEvent> exactOf(std::vector<ChangeEvent> events) const {
    std::erase_if(events, [&](const ChangeEvent& event) {
      return event.op == ChangeOp::progress || (!can.exactBaselines && isOfBaseline(event));
    });
    return events;
  }
  bool atOrBefore(const Position& a, const Position& b) const {
    const auto order = source->comparePositions(a, b);
    return order == kLess || order == kEquivalent;
  }
  /// Streams from a position into a replica until that holds what the database holds, and gives what came.
  std::vector<ChangeEvent> streamFrom(const Position& from, SourceReplica replica) {
    SourceReader again(*source, std::move(replica));
    again.start(names, from);
    const SourceTables wanted = model->tables();
    EXPECT_TRUE(again.awaitTables(wanted)) << "a stream from " << source->positionToText(from) << " misses something";
    if (can.exactResume) {
      EXPECT_TRUE(again.await([&] {
        return !again.eventsHeld().empty() && atOrBefore(recorded.back().position, again.eventsHeld().back().position);
      }));
    }
    if (!can.exactBaselines) {
      EXPECT_TRUE(again.awaitWhole(names)) << "a baseline that was begun is read to its end";
      EXPECT_TRUE(again.awaitTables(wanted)) << "and takes away nothing that is there";
    }
    again.stop();
    for (const std::string& fault : again.faults()) ADD_FAILURE() << fault;
    return again.events();
  }

  std::vector<ChangeEvent> recorded;
  SourceReplica before{can};
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(SourcePositions);

TEST_P(SourcePositions, AStreamFromAnyEventDeliversWhatFollowsIt) {
  forEachHistory([&](SourceWriter& writer) {
    record(writer);
    if (HasFailure()) return;
    for (std::size_t i = 0; i + 1 < recorded.size(); i += 1 + static_cast<std::size_t>(writer.below(4))) {
      SCOPED_TRACE("from event " + std::to_string(i) + " of " + std::to_string(recorded.size()));
      const std::vector<ChangeEvent> again = streamFrom(recorded[i].position, replicaUpTo(i));
      if (!can.exactResume) continue;
      const auto next = recorded.begin() + static_cast<std::ptrdiff_t>(i) + 1;
      const std::vector<ChangeEvent> follow = exactOf({next, recorded.end()}), came = exactOf(again);
      ASSERT_EQ(came.size(), follow.size()) << "exactly the events that follow";
      for (std::size_t k = 0; k < came.size(); ++k) {
        EXPECT_TRUE(came[k].op == follow[k].op && came[k].after == follow[k].after);
        EXPECT_TRUE(came[k].position == follow[k].position || !can.exactBaselines);
        EXPECT_EQ(came[k].transactionEnd, follow[k].transactionEnd);
      }
      if (HasFailure()) return;
    }
  });
}

TEST_P(SourcePositions, OrderIsTransitiveAndAgreesWithTheStream) {
  forEachHistory([&](SourceWriter& writer) {
    record(writer);
    for (std::size_t i = 0; i < recorded.size(); i += 3) {
      for (std::size_t k = 0; k < recorded.size(); ++k) {
        EXPECT_EQ(source->comparePositions(recorded[i].position, recorded[k].position), std::partial_ordering(i <=> k));
      }
    }
  });
}

TEST_P(SourcePositions, MeetIsTheGreatestThatMissesNothingOfEither) {
  forEachHistory([&](SourceWriter& writer) {
    record(writer);
    if (HasFailure()) return;
    for (int pair = 0; pair < 4; ++pair) {
      const auto i = static_cast<std::size_t>(writer.below(recorded.size()));
      const auto k = static_cast<std::size_t>(writer.below(recorded.size()));
      const Position &a = recorded[i].position, &b = recorded[k].position;
      const Position met = source->meet(a, b);
      EXPECT_TRUE(atOrBefore(met, a));
      EXPECT_TRUE(atOrBefore(met, b));
      EXPECT_EQ(source->comparePositions(met, source->meet(b, a)), kEquivalent);
      EXPECT_EQ(source->comparePositions(source->meet(a, a), a), kEquivalent);
      EXPECT_TRUE(atOrBefore(recorded[std::min(i, k)].position, met)) << "a later one would have done";
      streamFrom(met, replicaUpTo(std::min(i, k)));
    }
  });
}

TEST_P(SourcePositions, TextKeepsAPositionWhole) {
  forEachHistory([&](SourceWriter& writer) {
    record(writer);
    for (const ChangeEvent& event : recorded) {
      const std::string text = source->positionToText(event.position);
      EXPECT_EQ(text.find('\n'), std::string::npos) << "one line";
      EXPECT_TRUE(source->positionFromText(text) == event.position) << text;
    }
  });
}

TEST_P(SourcePositions, TextThatIsNoneIsRefused) {
  makeSource();
  for (const char* text : {"", "nonsense \x01", "-", "99999999999999999999999999999999999999999999"}) {
    try {
      source->positionFromText(text);
      ADD_FAILURE() << "\"" << text << "\" was read";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::parseError) << e.what();
    }
  }
}

TEST_P(SourcePositions, AcknowledgementNeverGoesBack) {
  forEachHistory([&](SourceWriter& writer) {
    follow();
    Position greatest;
    for (int i = 0; i < 10; ++i) {
      writer.commitOne();
      awaitModel();
      const std::vector<ChangeEvent> all = reader->events();
      const Position at = all.back().position, old = all[static_cast<std::size_t>(writer.below(all.size()))].position;
      source->ack(at);
      greatest = at;
      ASSERT_TRUE(until([&] { return !source->lastAckedPosition().empty(); }));
      source->ack(old);
    }
    EXPECT_TRUE(until([&] { return atOrBefore(source->lastAckedPosition(), greatest); }));
    // A source may learn late what its database noted, but in the end it is the greatest.
    EXPECT_TRUE(until([&] { return source->comparePositions(source->lastAckedPosition(), greatest) == kEquivalent; }));
  });
}

TEST_P(SourcePositions, WhatIsNoPositionIsNoPlaceToStreamFrom) {
  makeSource();
  EXPECT_THROW(source->stream(names, Position{}, [](ChangeBatch&) { return Taken::yes; }, {}), Error);
}

}  // namespace tidegate::contract
