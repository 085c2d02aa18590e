/// Through an engine into a table in memory and into SQLite, over many lives: whatever the server and the network do,
/// and wherever a life ends, the targets end as the tables are.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <thread>

#include "electric/source_world.h"
#include "sqlite/temp_database.h"
#include "tidegate/engine/engine.h"
#include "tidegate/sink/memory_sink.h"
#include "tidegate/sqlite/query_fn.h"
#include "tidegate/sqlite/sink.h"

namespace tidegate::electric::test {
namespace {

using namespace std::chrono_literals;

bool awaitTrue(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

std::string textOf(const Value& value) {
  if (value.isNull()) return "-";
  if (const auto* number = value.getIf<Decimal>()) return number->text;
  if (const auto* text = value.getIf<std::string>()) return *text;
  return describe(value);
}

Seen seenIn(const MemorySink& sink, const std::string& table) {
  Seen seen;
  const MemoryView view = sink.view();
  if (!view.has(table)) return seen;
  view.scan(table, [&](const Row& row) {
    seen[row.find("id")->as<std::int64_t>()] = {textOf(*row.find("label")), textOf(*row.find("amount"))};
    return true;
  });
  return seen;
}

Seen seenIn(const QueryFn& file, const std::string& table) {
  Seen seen;
  ResultSet rows = file({.sql = "SELECT id, label, amount FROM " + table});
  std::vector<Value> row;
  while (rows.next(row)) seen[row[0].as<std::int64_t>()] = {textOf(row[1]), textOf(row[2])};
  return seen;
}

/// One process: an engine with a pipeline into memory and one into a file.
struct Life {
  Life(World& world, const std::string& path)
      : source(electric::source(world.sourceOptions())),
        memory(std::make_shared<MemorySink>()),
        engine(options(*this, path)) {
    engine.start();
  }
  static EngineOptions options(Life& life, const std::string& path) {
    const std::vector<TableRoute> tables{{.table = "a"}, {.table = "b"}, {.table = "c"}};
    return {.sources = {{.name = "shapes", .source = life.source}},
            .pipelines = {{.name = "memory", .source = "shapes", .tables = tables, .sink = life.memory},
                          {.name = "file",
                           .source = "shapes",
                           .tables = tables,
                           .sink = sqlite::sink({.path = path, .synchronous = sqlite::Synchronous::normal}),
                           .commitInterval = 5ms}},
            .ackInterval = 5ms};
  }

  std::shared_ptr<SyncSource> source;
  std::shared_ptr<MemorySink> memory;
  Engine engine;
};

FakeOptions serverOptions(Random& random) {
  return {.snapshotChunk = 1 + random.index(10),
          .logChunk = 1 + random.index(10),
          .longPoll = 200ms,
          .tellPlaces = !random.chance(10),
          .tellLast = random.chance(70),
          .tellSeen = random.chance(80),
          .splitEvents = random.chance(50),
          .seed = random.bits()};
}

void expectSame(World& world, const Life& life, const QueryFn& file) {
  for (const std::string table : {"a", "b", "c"}) {
    const Seen wanted = world.expected(table);
    EXPECT_TRUE(awaitTrue([&] { return seenIn(*life.memory, table) == wanted; })) << "memory, table " << table;
    EXPECT_TRUE(awaitTrue([&] { return seenIn(file, table) == wanted; })) << "file, table " << table;
  }
}

TEST(ElectricSourceInAnEngine, TargetsEndAsTheTablesAreWhateverHappens) {
  tidegate::test::forEachSeed(12, [](std::uint64_t seed) {
    const tidegate::testing::TempDir folder;
    const std::string path = folder / "replica.db";
    Random choose(seed);
    World world(seed, serverOptions(choose));
    for (int i = 0; i < 30; ++i) world.step();
    for (int life = 0; life < 4; ++life) {
      Life now(world, path);
      const std::uint64_t steps = world.random.below(60);
      for (std::uint64_t i = 0; i < steps; ++i) {
        world.step();
        if (world.random.chance(5)) now.engine.pause();
        if (world.random.chance(10)) now.engine.resume();
        if (world.random.chance(2)) now.engine.reload("file", world.pickTable());
        if (world.random.chance(20)) std::this_thread::yield();
      }
      now.engine.resume();
      if (life == 3 || world.random.chance(30)) {
        ASSERT_TRUE(now.engine.awaitReady(30s));
        const QueryFn file = tidegate::sqlite::queryFn({.path = path});
        expectSame(world, now, file);
      }
      // Some lives end as a crash would: with what is under way undone.
      now.engine.stop(world.random.chance(50) ? 0ms : 5'000ms);
      if (::testing::Test::HasFailure()) return;
      for (int i = 0; i < 10; ++i) world.step();
    }
  });
}

TEST(ElectricSourceInAnEngine, VerificationReadsTheShapesThemselvesAndFindsNothing) {
  const tidegate::testing::TempDir folder;
  World world(7, {.snapshotChunk = 5, .logChunk = 5});
  for (int i = 0; i < 100; ++i) world.step();
  Life life(world, folder / "replica.db");
  ASSERT_TRUE(life.engine.awaitReady(30s));
  const VerifyReport report = life.engine.verify({.recheckDelay = 20ms});
  EXPECT_TRUE(report.ok()) << toText(report);
  EXPECT_EQ(report.tables.size(), 6u);
  std::uint64_t rows = 0;
  for (const TableVerification& table : report.tables) rows += table.sourceRows;
  EXPECT_GT(rows, 0u);
}

}  // namespace
}  // namespace tidegate::electric::test
