#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "sqlite/temp_database.h"
#include "support/property.h"
#include "tidegate/engine/engine.h"
#include "tidegate/sink/memory_sink.h"
#include "tidegate/source/gateway_source.h"
#include "tidegate/source/polling_source.h"
#include "tidegate/source/test_source.h"
#include "tidegate/sqlite/query_fn.h"

namespace tidegate {
namespace {

using namespace std::chrono_literals;

bool until(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(2ms);
  }
  return true;
}

/// An engine from one source into memory.
std::unique_ptr<Engine> feed(std::shared_ptr<SyncSource> source, std::shared_ptr<MemorySink> sink) {
  EngineOptions options;
  options.sources.push_back({.name = "source", .source = std::move(source)});
  PipelineSpec pipeline{.name = "replica", .source = "source", .tables = {{.table = "t"}}, .sink = std::move(sink)};
  pipeline.commitInterval = 1ms;
  options.pipelines.push_back(std::move(pipeline));
  options.ackInterval = 5ms;
  return std::make_unique<Engine>(std::move(options));
}

/// The replica's rows as text, by id.
std::vector<std::string> rowsOf(const MemorySink& sink) {
  std::vector<std::string> rows;
  const MemoryView view = sink.view();
  if (!view.has("t")) return rows;
  for (const Row& row : view.range("t", "id")) {
    std::string text;
    for (const Value& value : row.values) text += describe(value) + " ";
    rows.push_back(text);
  }
  return rows;
}

/// A table in SQLite that is polled while it changes.
class PolledTable {
 public:
  PolledTable() {
    run("PRAGMA journal_mode = WAL");
    run("PRAGMA synchronous = OFF");
    run("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, rev INTEGER)");
    run("INSERT INTO t VALUES (0, 'first', 0)");
  }
  void run(const std::string& sql, std::vector<Value> params = {}) {
    ResultSet rows = writer_({.sql = sql, .params = std::move(params)});
    for (std::vector<Value> row; rows.next(row);) {
    }
  }
  void change(test::Random& random, bool erases) {
    const auto id = static_cast<std::int64_t>(random.below(20));
    if (erases && random.chance(30)) return run("DELETE FROM t WHERE id = ?", {id});
    ++revision_;
    run("INSERT OR REPLACE INTO t VALUES (?, ?, ?)", {id, "row " + std::to_string(revision_), revision_});
  }
  std::vector<std::string> rows() {
    std::vector<std::string> all;
    ResultSet rows = writer_({.sql = "SELECT * FROM t ORDER BY id"});
    for (std::vector<Value> row; rows.next(row);) {
      std::string text;
      for (const Value& value : row) text += describe(value) + " ";
      all.push_back(text);
    }
    return all;
  }
  std::shared_ptr<PollingSource> source(std::variant<CursorStrategy, DiffStrategy> strategy) {
    IngestSourceConfig config{.name = "polled",
                              .query = sqlite::queryFn({.path = dir_ / "polled.db"}),
                              .tables = {{.table = "t", .query = "SELECT * FROM t", .strategy = std::move(strategy)}},
                              .interval = 1ms};
    return std::make_shared<PollingSource>(std::move(config));
  }

 private:
  testing::TempDir dir_;
  QueryFn writer_ = sqlite::queryFn({.path = dir_ / "polled.db", .readOnly = false, .create = true});
  std::int64_t revision_ = 0;
};

void pollIntoMemory(const std::variant<CursorStrategy, DiffStrategy>& strategy, bool erases) {
  test::forEachSeed(3, [&](std::uint64_t seed) {
    test::Random random(seed);
    PolledTable table;
    const auto sink = std::make_shared<MemorySink>();
    const auto source = table.source(strategy);
    const auto engine = feed(source, sink);
    engine->start();
    EXPECT_TRUE(engine->awaitReady(60s));
    for (int i = 0; i < 100; ++i) {
      table.change(random, erases);
      if (random.chance(5)) engine->reload("replica", "t");
    }
    EXPECT_TRUE(until([&] { return rowsOf(*sink) == table.rows(); }));
    EXPECT_TRUE(until([&] { return !source->lastAckedPosition().empty(); })) << "what is durable is acknowledged";
    EXPECT_EQ(engine->stop(30s), StopOutcome::drained);
  });
}

TEST(SourcesFeedSinks, ACursorPolledTableIsKeptInMemory) {
  pollIntoMemory(CursorStrategy{.cursorColumn = "rev", .lookbackRows = 5}, false);
}

TEST(SourcesFeedSinks, ADiffPolledTableIsKeptInMemoryErasesIncluded) {
  pollIntoMemory(DiffStrategy{.maxDeleteFraction = 1.0}, true);
}

TEST(SourcesFeedSinks, AGatewayIsKeptInMemory) {
  Gateway gateway;
  const auto push = [&](DeltaOp op, std::int64_t id, const std::string& text) {
    RowDelta delta{.op = op, .table = "t", .rowId = std::to_string(id), .clientId = "app"};
    if (op != DeltaOp::erase) delta.columns = {{"v", text}};
    delta.hlc = gateway.clock().now();
    EXPECT_EQ(gateway.handlePush({.clientId = "app", .deltas = {delta}}, {.trusted = true}).status,
              PushStatus::accepted);
  };
  push(DeltaOp::insert, 0, "first");
  const TableSchema schema{.table = "t",
                           .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false}, {.name = "v"}},
                           .primaryKey = {"id"}};
  const auto sink = std::make_shared<MemorySink>();
  const auto engine = feed(std::make_shared<GatewaySource>(gateway, GatewaySourceOptions{.schemas = {schema}}), sink);
  engine->start();
  EXPECT_TRUE(engine->awaitReady(60s));
  test::Random random(1);
  for (int i = 0; i < 200; ++i) {
    const auto id = static_cast<std::int64_t>(random.below(10));
    push(random.chance(30) ? DeltaOp::erase : DeltaOp::insert, id, "row " + std::to_string(i));
    if (i == 100) gateway.purgeTable("t");  // a lost place: the engine takes a new baseline
  }
  const auto held = [&] {
    std::vector<std::string> rows;
    for (std::int64_t id = 0; id < 10; ++id) {
      if (const auto row = gateway.row("t", std::to_string(id))) {
        rows.push_back(describe(Value(id)) + " " + describe(*row->find("v")) + " ");
      }
    }
    return rows;
  };
  EXPECT_TRUE(until([&] { return rowsOf(*sink) == held(); }));
  EXPECT_EQ(engine->stop(30s), StopOutcome::drained);
}

TEST(SourcesFeedSinks, ATestSourceThatFailsInManyWaysIsKeptInMemory) {
  auto db = std::make_shared<TestDatabase>();
  db->createTable({.table = "t",
                   .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false}, {.name = "v"}},
                   .primaryKey = {"id"}});
  const auto source = std::make_shared<TestSource>(
      db, TestSourceOptions{.backoff = {.firstDelay = 1ms, .maxDelay = 2ms}, .forgetsAcknowledged = true});
  const auto sink = std::make_shared<MemorySink>();
  const auto engine = feed(source, sink);
  engine->start();
  EXPECT_TRUE(engine->awaitReady(60s));
  for (std::int64_t i = 0; i < 300; ++i) {
    db->insert("t", {i, "row"});
    if (i % 50 == 10) source->disconnect();
    if (i % 50 == 20) source->failAtEvent(3, Error(ErrorCode::connectionFailed, Retry::later, "as scripted"));
    if (i % 50 == 30) engine->pause();
    if (i % 50 == 40) engine->resume();
  }
  engine->resume();
  EXPECT_TRUE(until([&] { return rowsOf(*sink).size() == 300; }));
  EXPECT_EQ(engine->stop(30s), StopOutcome::drained);
}

}  // namespace
}  // namespace tidegate
