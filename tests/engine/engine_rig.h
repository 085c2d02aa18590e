/// An engine on one thread in virtual time: a TestDatabase, TestSources on it, FakeTargets, and ways to break them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/fake_sink.h"
#include "support/manual_clock.h"
#include "tidegate/engine/engine.h"
#include "tidegate/source/test_source.h"

namespace tidegate::test {

inline TableSchema peopleSchema(const std::string& table = "people") {
  return {.table = table,
          .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                      {.name = "name", .kind = ValueKind::text},
                      {.name = "score", .kind = ValueKind::int64}},
          .primaryKey = {"id"}};
}

/// Keeps every event as a line, e.g. "commit replica 3".
class RecordingObserver final : public EngineObserver {
 public:
  using View = std::string_view;
  void onSourceState(View s, const SourceStateChange& c) override { add("state", s, toString(c.to)); }
  void onTableIssue(View s, const TableIssue& i) override { add("issue", s, i.table); }
  void onWarning(View s, View message) override { add("warning", s, message); }
  void onLag(View s, const SourceLag&) override { add("lag", s, ""); }
  void onAck(View s, View position) override { add("ack", s, position); }
  void onPositionLost(View s, const Error&) override { add("positionLost", s, ""); }
  void onPipelineState(View p, PipelineState, PipelineState to, View) override { add("pipeline", p, toString(to)); }
  void onBaselineBegin(View p, View table) override { add("baselineBegin", p, table); }
  void onBaselineProgress(View p, View table, std::uint64_t) override { add("baselineProgress", p, table); }
  void onBaselineEnd(View p, View table, std::uint64_t rows) override {
    add("baselineEnd", p, std::string(table) + " " + std::to_string(rows));
  }
  void onSchemaChange(View p, View table, const SchemaChange&) override { add("schemaChange", p, table); }
  void onCommit(View p, std::uint64_t events, std::chrono::microseconds) override {
    add("commit", p, std::to_string(events));
  }
  void onRetry(View p, const Error& e, std::uint32_t attempt, std::chrono::milliseconds delay) override {
    add("retry", p, std::to_string(attempt) + " " + std::string(toString(e.code())));
    const std::lock_guard lock(mutex_);
    delays.push_back(delay);
  }
  void onDeadLetter(View p, const DeadLetter& letter) override { add("deadLetter", p, letter.key); }
  void onIsolated(View p, const Error& e) override { add("isolated", p, toString(e.code())); }
  void onDropped(View p, std::uint64_t events) override { add("dropped", p, std::to_string(events)); }
  void onExpired(View p, View table, std::uint64_t rows) override {
    add("expired", p, std::string(table) + " " + std::to_string(rows));
  }

  std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }
  /// Lines that begin so.
  std::size_t count(const std::string& begin) const {
    const auto all = lines();
    return static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [&](const std::string& line) { return line.starts_with(begin); }));
  }
  std::string all() const {
    std::string text;
    for (const std::string& line : lines()) text += line + "\n";
    return text;
  }
  std::vector<std::chrono::milliseconds> delays;

 private:
  void add(View what, View who, View detail) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::string(what) + " " + std::string(who) + (detail.empty() ? "" : " ") + std::string(detail));
  }
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

class EngineRig : public ::testing::Test {
 public:
  /// Rows as text, in an order of their own.
  static std::vector<std::string> texts(const std::vector<Values>& rows) {
    std::vector<std::string> all;
    for (const Values& row : rows) {
      std::string text;
      for (const Value& value : row) text += std::string(toString(value.kind())) + ":" + describe(value) + " ";
      all.push_back(text);
    }
    std::sort(all.begin(), all.end());
    return all;
  }

 protected:
  void TearDown() override {
    for (const auto& [name, target] : targets_) EXPECT_EQ(target->complaints(), "") << "target " << name;
  }

  /// A new process: the old one is gone without a word, and new sources and sinks stand on the same databases.
  void crash() {
    for (const auto& [name, target] : targets_) target->crash();
    engine.reset();
    sources_.clear();
  }
  FakeTarget& target(const std::string& name = "replica") {
    auto& made = targets_[name];
    if (!made) made = std::make_shared<FakeTarget>();
    return *made;
  }
  /// The source "shop" on `db`, made when first asked for.
  TestSource& source(const std::string& name = "shop") {
    auto& made = sources_[name];
    if (made) return *made;
    TestSourceOptions options = sourceOptions;
    options.slot = name;
    options.onIdle = [this] { return idle && idle(); };
    made = std::make_shared<TestSource>(db, options);
    return *made;
  }
  PipelineSpec pipeline(const std::string& name = "replica", const std::vector<std::string>& tables = {"people"}) {
    PipelineSpec spec;
    spec.name = name;
    spec.source = "shop";
    for (const std::string& table : tables) spec.tables.push_back({.table = table});
    target(name);
    spec.sink = std::make_shared<FakeSink>(targets_[name], sinkOptions);
    spec.retry = {.attempts = 3, .firstDelay = std::chrono::milliseconds(100), .maxDelay = std::chrono::seconds(5)};
    return spec;
  }
  EngineOptions options(std::vector<PipelineSpec> pipelines) {
    source();
    return {.sources = {{.name = "shop", .source = sources_["shop"]}},
            .pipelines = std::move(pipelines),
            .observer = observer,
            .clock = &clock,
            .scheduler = &scheduler,
            .jitterSeed = 7};
  }
  Engine& make(std::vector<PipelineSpec> pipelines) { return makeWith(options(std::move(pipelines))); }
  Engine& makeWith(EngineOptions given) {
    engine.reset();
    engine = std::make_unique<Engine>(std::move(given));
    return *engine;
  }
  /// Until everything committed so far is applied.
  void run() { engine->runInline({}); }
  void expectSame(const std::string& table = "people", const std::string& name = "replica") {
    EXPECT_EQ(texts(target(name).rows(table)), texts(db->rows(table)))
        << name << " has " << target(name).rows(table).size() << " rows of " << table << ", the source "
        << db->rows(table).size() << "\n"
        << observer->all();
  }
  PipelineStatus status(const std::string& name = "replica") const {
    for (const PipelineStatus& one : engine->status().pipelines) {
      if (one.name == name) return one;
    }
    return {};
  }

  ManualClock clock;
  ManualScheduler scheduler{clock};
  std::shared_ptr<TestDatabase> db = std::make_shared<TestDatabase>(&clock);
  TestSourceOptions sourceOptions;
  FakeSinkOptions sinkOptions;
  std::function<bool()> idle;  ///< see TestSourceOptions::onIdle
  std::shared_ptr<RecordingObserver> observer = std::make_shared<RecordingObserver>();
  std::map<std::string, std::shared_ptr<FakeTarget>> targets_;
  std::map<std::string, std::shared_ptr<TestSource>> sources_;
  std::unique_ptr<Engine> engine;
};

}  // namespace tidegate::test
