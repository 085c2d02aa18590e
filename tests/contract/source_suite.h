/// The fixture of the suites for sources.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "contract/source_reader.h"
#include "contract/source_rig.h"

namespace tidegate::contract {

/// A database with its model, a source, and a reader of it. At the end of each test the reader's findings and the
/// source's steps are checked.
class SyncSourceContract : public ::testing::TestWithParam<SourceCase> {
 protected:
  void SetUp() override { freshDatabase(); }
  void TearDown() override { endSource(); }

  void freshDatabase() {
    endSource();
    model.reset();
    database = GetParam().make();
    model = std::make_unique<SourceModel>(*database);
    names = database->tables();
  }

  /// Makes the source, as a new process would if there was one.
  void makeSource() {
    endSource();
    {
      const std::lock_guard lock(stepsMutex_);
      steps_.clear();
    }
    source = database->source();
    SourceContext context;
    context.name = "contract";
    context.jitterSeed = 1;
    context.onState = [this](const SourceStateChange& step) {
      const std::lock_guard lock(stepsMutex_);
      steps_.push_back(step);
    };
    source->init(context);
  }
  /// A new source and a reader of it.
  void read() {
    makeSource();
    reader = std::make_unique<SourceReader>(*source, can);
  }
  /// Baseline, and the stream after it.
  void follow() {
    read();
    reader->start(names, reader->baseline(names));
  }
  /// Reads until the baselines of both tables are whole, in the stream where the source reads them there. @return where
  /// the stream goes on; it does not run.
  Position wholeBaseline() {
    const auto begin = static_cast<std::ptrdiff_t>(reader->count());
    const Position at = reader->baseline(names);
    const auto whole = [this, begin] {
      const std::vector<ChangeEvent>& all = reader->eventsHeld();
      const auto ends = std::count_if(all.begin() + begin, all.end(),
                                      [](const ChangeEvent& event) { return event.op == ChangeOp::baselineEnd; });
      return static_cast<std::size_t>(ends) == names.size();
    };
    if (whole()) return at;
    reader->start(names, at);
    EXPECT_TRUE(reader->await(whole));
    reader->stop();
    return reader->events().back().position;
  }
  /// A new process; its reader has what the last one had. The stream does not run.
  void restart() {
    reader->stop();
    SourceReplica replica = reader->replica();
    makeSource();
    reader = std::make_unique<SourceReader>(*source, std::move(replica));
  }
  void endSource() {
    if (reader) {
      reader->stop();
      for (const std::string& fault : reader->faults()) ADD_FAILURE() << fault;
    }
    reader.reset();
    source.reset();
    checkSteps();
  }

  /// Waits until the reader holds what the database holds.
  void awaitModel() {
    const SourceTables wanted = model->tables();
    ASSERT_TRUE(reader->awaitTables(wanted)) << difference(wanted);
  }
  /// Waits also for a change made just now: everything before it has come then, doubles included.
  void settle() {
    model->insert(1, sentinel_++);
    awaitModel();
  }
  /// Changes of rows that came in the stream.
  static std::vector<ChangeEvent> changesOf(const SourceReader& from) {
    std::vector<ChangeEvent> changes;
    for (ChangeEvent& event : from.events()) {
      const bool change = event.op == ChangeOp::insert || event.op == ChangeOp::update || event.op == ChangeOp::erase ||
                          event.op == ChangeOp::truncate;
      if (change) changes.push_back(std::move(event));
    }
    return changes;
  }
  std::string difference(const SourceTables& wanted) const {
    const SourceReplica replica = reader->replica();
    std::string text = reader->failure() ? "the stream failed; " : "";
    for (const auto& [name, rows] : wanted) {
      const auto at = replica.tables().find(name);
      const SourceTable empty;
      const SourceTable& got = at == replica.tables().end() ? empty : at->second;
      for (const auto& [id, row] : rows) {
        const auto found = got.find(id);
        if (found == got.end()) text += name + " " + std::to_string(id) + " is missing; ";
        if (found != got.end() && !(found->second == row)) {
          text += name + " " + std::to_string(id) + " is \"" + found->second.name + "\", not \"" + row.name + "\"; ";
        }
      }
      for (const auto& [id, row] : got) {
        if (!rows.contains(id)) text += name + " " + std::to_string(id) + " should not be there; ";
      }
    }
    return text.substr(0, 600);
  }
  bool awaitState(SourceState state) const {
    return until([&] { return source->state() == state; });
  }
  /// Asks again and again until it holds. @return false after the deadline.
  template <class Holds>
  static bool until(Holds&& holds) {
    const auto deadline = std::chrono::steady_clock::now() + sourceDeadline();
    while (!holds()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }
  bool wentThrough(SourceState state) const {
    const std::lock_guard lock(stepsMutex_);
    return std::any_of(steps_.begin(), steps_.end(), [&](const SourceStateChange& s) { return s.to == state; });
  }

  const SourceAbilities can = GetParam().can;
  std::unique_ptr<SourceDatabase> database;
  std::unique_ptr<SourceModel> model;
  std::vector<std::string> names;  ///< of the two tables
  std::unique_ptr<SyncSource> source;
  std::unique_ptr<SourceReader> reader;

 private:
  /// Every step is legal, and none is left out: each state but the last is left as often as it is entered. (Steps of
  /// several threads may be told in another order than they were made in.)
  void checkSteps() const {
    const std::lock_guard lock(stepsMutex_);
    std::map<SourceState, int> entered{{SourceState::connecting, 1}};
    for (const SourceStateChange& step : steps_) {
      EXPECT_TRUE(SourceStateMachine::allowed(step.from, step.to))
          << toString(step.from) << " to " << toString(step.to);
      EXPECT_FALSE(step.reason.empty()) << "a step to " << toString(step.to) << " without a reason";
      --entered[step.from];
      ++entered[step.to];
    }
    int current = 0;
    for (const auto& [state, balance] : entered) {
      EXPECT_TRUE(balance == 0 || balance == 1) << "steps to or from " << toString(state) << " that nobody was told of";
      current += balance;
    }
    EXPECT_EQ(current, 1);
  }

  mutable std::mutex stepsMutex_;
  std::vector<SourceStateChange> steps_;
  std::int64_t sentinel_ = 1'000'000;
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(SyncSourceContract);

}  // namespace tidegate::contract
