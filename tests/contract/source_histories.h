/// Random histories: whatever is written while a source reads, pauses, breaks and restarts, its reader ends with
/// exactly what the database holds.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "contract/source_suite.h"
#include "support/property.h"

namespace tidegate::contract {

/// Random transactions that are valid when committed one after the other.
class SourceWriter {
 public:
  SourceWriter(SourceModel& model, SourceAbilities can, std::uint64_t seed)
      : model_(model), can_(can), random_(seed * 0x9E3779B97F4A7C15ULL + 1) {
    std::size_t table = 0;
    for (const auto& [name, rows] : model.tables()) {
      if (table > 1) break;
      for (const auto& [id, row] : rows) ids_[table].insert(id);
      ++table;
    }
  }
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

  void commitOne() {
    std::vector<SourceChange> changes;
    const std::uint64_t steps = 1 + (can_.transactions ? below(5) : 0);
    for (std::uint64_t i = 0; i < steps; ++i) changes.push_back(change());
    model_.commit(changes);
  }

 private:
  SourceChange change() {
    using Op = SourceChange::Op;
    SourceChange change{.table = static_cast<std::size_t>(below(2)), .id = static_cast<std::int64_t>(below(30))};
    std::set<std::int64_t>& ids = ids_[change.table];
    const std::uint64_t choice = below(100);
    if (can_.seesTruncates && choice < 2) {
      change.op = Op::truncate;
      ids.clear();
      return change;
    }
    if (!ids.contains(change.id)) {
      ids.insert(change.id);
    } else if (can_.seesErases && choice < 40) {
      change.op = Op::erase;
      ids.erase(change.id);
      return change;
    } else {
      change.op = Op::update;
    }
    change.row = model_.freshRow();
    if (choice % 5 == 0) change.row.amount.reset();
    return change;
  }

  SourceModel& model_;
  SourceAbilities can_;
  std::mt19937_64 random_;
  std::set<std::int64_t> ids_[2];
};

/// A fresh database, with a little in it, for each seed.
class SourceHistories : public SyncSourceContract {
 protected:
  template <class Body>
  void forEachHistory(Body&& body) {
    test::forEachSeed(can.seeds, [&](std::uint64_t seed) {
      freshDatabase();
      SourceWriter writer(*model, can, seed);
      for (int i = 0; i < 20; ++i) writer.commitOne();
      body(writer);
      endSource();
    });
  }
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(SourceHistories);

TEST_P(SourceHistories, BaselineAndStreamMeetExactlyUnderConcurrentWrites) {
  forEachHistory([&](SourceWriter& writer) {
    read();
    std::atomic<bool> begun{false}, done{false};
    std::thread writing([&] {
      until([&] { return begun.load(); });
      for (int i = 0; i < 40; ++i) writer.commitOne();
      done.store(true);
    });
    // Half-way through the baseline is where it matters: wait there for writes.
    const std::uint64_t before = model->commits();
    reader->setGate([&](const ChangeBatch&) {
      begun.store(true);
      until([&] { return model->commits() >= before + 5 || done.load(); });
      return Taken::yes;
    });
    const Position at = reader->baseline(names);
    begun.store(true);
    reader->start(names, at);
    writing.join();
    awaitModel();
    settle();
    reader->stop();  // the gate must not outlive what it refers to
  });
}

TEST_P(SourceHistories, ABatchThatWasDeclinedComesAgainAsItWas) {
  forEachHistory([&](SourceWriter& writer) {
    read();
    std::uint64_t offers = 0;
    struct Shown {
      std::size_t size = 0;
      Position first{}, last{};
    };
    std::optional<Shown> declined;
    reader->setGate([&](const ChangeBatch& batch) {
      const Shown shown{batch.size(), batch[0].position, batch.back().position};
      if (declined) {
        EXPECT_EQ(shown.size, declined->size);
        EXPECT_TRUE(shown.first == declined->first && shown.last == declined->last) << "another batch was offered";
      }
      declined.reset();
      if (++offers % 3 == 0) return Taken::yes;
      declined = shown;
      return Taken::full;
    });
    const Position at = wholeBaseline();
    const std::uint64_t atStart = model->changes();
    for (int i = 0; i < 15; ++i) writer.commitOne();
    reader->start(names, at);
    for (int i = 0; i < 15; ++i) writer.commitOne();
    awaitModel();
    settle();
    if (can.everyChange && can.meetsExactly) {
      EXPECT_EQ(changesOf(*reader).size(), model->changes() - atStart);
    }
    reader->stop();
  });
}

TEST_P(SourceHistories, APauseLosesNothingAndDeliversNothing) {
  forEachHistory([&](SourceWriter& writer) {
    follow();
    for (int i = 0; i < 5; ++i) writer.commitOne();
    awaitModel();
    source->pause();
    ASSERT_TRUE(awaitState(SourceState::paused));
    const std::size_t before = reader->count();
    for (int i = 0; i < 10; ++i) writer.commitOne();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_EQ(reader->count(), before) << "events wait while the source is paused";
    source->resume();
    awaitModel();
    settle();
    EXPECT_EQ(source->state(), SourceState::streaming);
  });
}

TEST_P(SourceHistories, ADisconnectNeitherLosesNorRepeats) {
  forEachHistory([&](SourceWriter& writer) {
    follow();
    std::atomic<int> breaks{0};
    std::atomic<bool> breakNow{false};
    // A batch is in the reader's hands when the connection breaks, and is declined.
    reader->setGate([&](const ChangeBatch&) {
      if (!breakNow.exchange(false)) return Taken::yes;
      if (database->disconnect()) breaks.fetch_add(1);
      return Taken::full;
    });
    for (int i = 0; i < 30; ++i) {
      writer.commitOne();
      if (writer.below(6) == 0) breakNow.store(true);
      if (writer.below(6) == 0 && database->disconnect()) breaks.fetch_add(1);
    }
    awaitModel();
    settle();
    if (breaks.load() > 0) {
      EXPECT_TRUE(until([&] { return wentThrough(SourceState::reconnecting); }));
    }
    reader->stop();
  });
}

TEST_P(SourceHistories, ARestartGoesOnFromWhatTheReaderHad) {
  if (!can.resumes) return;
  forEachHistory([&](SourceWriter& writer) {
    read();
    Position at = wholeBaseline();
    for (int round = 0; round < 4; ++round) {
      reader->start(names, at);
      for (std::uint64_t i = writer.below(8); i > 0; --i) writer.commitOne();
      // Perhaps in the middle of what is on its way.
      if (writer.below(2) == 0) awaitModel();
      reader->stop();
      if (reader->count() > 0) at = reader->events().back().position;
      if (writer.below(2) == 0) source->ack(at);
      for (std::uint64_t i = writer.below(4); i > 0; --i) writer.commitOne();
      restart();
    }
    reader->start(names, at);
    awaitModel();
    settle();
  });
}

}  // namespace tidegate::contract
