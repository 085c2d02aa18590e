// A SQLite database into another one through the engine.
#include <gtest/gtest.h>

#include "sqlite/source_support.h"
#include "tidegate/engine/engine.h"
#include "tidegate/sqlite/sink.h"

namespace tidegate::sqlite {
namespace {

using testing::PlainDb;
using testing::TempDir;

class SqliteSourceEngine : public ::testing::Test {
 protected:
  SqliteSourceEngine() : writer(folder / "shop.db") {
    sqlite3_busy_timeout(writer.handle(), 30'000);
    writer.exec(
        "PRAGMA journal_mode = WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b);"
        "INSERT INTO t VALUES (1, 'x', 1.5), (2, 'y', x'00')");
    start();
  }
  void start() {
    engine = std::make_unique<Engine>(
        EngineOptions{.sources = {{.name = "shop", .source = source({.path = folder / "shop.db"})}},
                      .pipelines = {{.name = "replica",
                                     .source = "shop",
                                     .tables = {{.table = "t"}},
                                     .sink = sink({.path = folder / "replica.db"})}}});
    engine->start();
    ASSERT_TRUE(engine->awaitReady(std::chrono::seconds(30)));
  }
  /// Waits until a plain query gives the same on both sides.
  void awaitEqual(const std::string& columns = "*") {
    const std::string sql = "SELECT " + columns + " FROM t";
    const auto wanted = testing::rowsOf(folder / "shop.db", sql);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    const auto held = [&]() -> std::vector<std::string> {
      try {
        return testing::rowsOf(folder / "replica.db", sql);
      } catch (const Error&) {
        return {};  // a column that is not there yet
      }
    };
    while (held() != wanted && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    EXPECT_EQ(held(), wanted);
  }

  const TempDir folder{};
  PlainDb writer;
  std::unique_ptr<Engine> engine;
};

TEST_F(SqliteSourceEngine, ATableMadeAnewWithTheSameColumnsIsReadAgain) {
  awaitEqual();
  writer.exec(
      "BEGIN; CREATE TABLE n(id INTEGER PRIMARY KEY, a TEXT, b); INSERT INTO n SELECT * FROM t WHERE id = 2;"
      "DROP TABLE t; ALTER TABLE n RENAME TO t; COMMIT");
  awaitEqual();
  EXPECT_TRUE(engine->verify().ok());
}

TEST_F(SqliteSourceEngine, ColumnsAreAddedRenamedAndDropped) {
  writer.exec("ALTER TABLE t ADD COLUMN c DEFAULT 3; INSERT INTO t(id, c) VALUES (3, 4)");
  awaitEqual("id, a, b, c");
  writer.exec("ALTER TABLE t RENAME COLUMN b TO d; UPDATE t SET d = 'new'");
  awaitEqual("id, a, c, d");
  EXPECT_THROW(writer.exec("ALTER TABLE t DROP COLUMN c"), std::runtime_error) << "triggers name it";
  // As the page says.
  writer.exec("BEGIN IMMEDIATE");
  for (const std::string& drop : writer.texts("SELECT 'DROP TRIGGER \"' || name || '\";' FROM sqlite_schema WHERE type "
                                              "= 'trigger' AND tbl_name = 't' AND name "
                                              "LIKE '\\_tidegate\\_on\\_%' ESCAPE '\\'")) {
    writer.exec(drop);
  }
  writer.exec("ALTER TABLE t DROP COLUMN c; COMMIT; INSERT INTO t(id, a) VALUES (9, 'last')");
  awaitEqual("id, a, d");
  EXPECT_TRUE(engine->verify().ok());
}

TEST_F(SqliteSourceEngine, ARestartGoesOnFromTheCheckpoint) {
  writer.exec("UPDATE t SET a = 'before'");
  awaitEqual();
  engine->stop();
  engine.reset();
  writer.exec("DELETE FROM t WHERE id = 1; INSERT OR REPLACE INTO t VALUES (2, 'after', NULL), (5, 'more', 9e999)");
  start();
  awaitEqual();
  EXPECT_EQ(engine->status().pipelines.at(0).tables.at(0).baselineRows, 0u);
  engine->stop();
}

TEST_F(SqliteSourceEngine, ALostChangeTableIsABaselineMore) {
  engine->stop();
  engine.reset();
  source({.path = folder / "shop.db"})->reset();
  writer.exec("DELETE FROM t WHERE id = 1");
  start();
  awaitEqual();
  writer.exec("INSERT INTO t VALUES (7, 'z', 7)");
  awaitEqual();
}

}  // namespace
}  // namespace tidegate::sqlite
