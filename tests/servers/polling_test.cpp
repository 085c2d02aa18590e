/// Polls of real servers end in a gateway that equals the source.
#include "servers/polling.h"

#include <fmt/format.h>

#include <random>
#include <thread>

#include "servers/server_test.h"

namespace tidegate::servers {
namespace {

class ServerPolling : public ServerTest {
 protected:
  std::string micros() const { return server.isPostgres() ? "timestamptz" : "TIMESTAMP(6)"; }
  std::string now() const { return server.isPostgres() ? "clock_timestamp()" : "NOW(6)"; }

  void createUsers() {
    execute(admin,
            {"DROP TABLE IF EXISTS users",
             "CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR(100), age INT, score DECIMAL(12,4), changed " +
                 micros() + " NOT NULL)",
             "CREATE INDEX users_changed ON users (changed, id)"});
  }
  /// Inserts or updates a user, stamped now.
  void put(int id, const std::string& name, int age) {
    readAll(admin, Query{"DELETE FROM users WHERE id = " + server.mark(1), {Value(id)}});
    readAll(admin,
            Query{"INSERT INTO users VALUES (" + server.mark(1) + ", " + server.mark(2) + ", " + server.mark(3) + ", " +
                      server.mark(4) + ", " + now() + ")",
                  {Value(id), Value(name), Value(age), Value(Decimal{fmt::format("{}.{:04}", age, id % 10'000)})}});
  }
  static IngestTableConfig users(std::variant<CursorStrategy, DiffStrategy> strategy) {
    return {.table = "users", .query = "SELECT * FROM users", .strategy = std::move(strategy)};
  }
  static CursorStrategy byChange(std::chrono::milliseconds lookback = std::chrono::milliseconds{5000}) {
    return {.cursorColumn = "changed", .lookback = lookback};
  }
};
TIDEGATE_FOR_BOTH_SERVERS(ServerPolling);

TEST_P(ServerPolling, DiffFollowsInsertsUpdatesAndDeletes) {
  createUsers();
  Polling polling(server, users(DiffStrategy{.maxDeleteFraction = 1.0}));
  std::mt19937 random(7);
  for (int round = 0; round < 12; ++round) {
    SCOPED_TRACE(round);
    for (int change = 0; change < 20; ++change) {
      const int id = static_cast<int>(random() % 60);
      if (random() % 4 == 0)
        execute(admin, {"DELETE FROM users WHERE id = " + std::to_string(id)});
      else
        put(id, "it's `\"user\" #" + std::to_string(random() % 5), static_cast<int>(random() % 90));
    }
    polling.poll();
    polling.expectEqualToSource();
    const TableReport again = polling.poll();
    EXPECT_EQ(again.inserts + again.updates + again.erases, 0u);
  }
}

TEST_P(ServerPolling, CursorFollowsInsertsAndUpdates) {
  createUsers();
  CursorStrategy strategy = byChange();
  strategy.pageRows = 7;
  Polling polling(server, users(strategy));
  std::mt19937 random(11);
  for (int round = 0; round < 8; ++round) {
    SCOPED_TRACE(round);
    for (int change = 0; change < 20; ++change)
      put(static_cast<int>(random() % 60), "user", static_cast<int>(random() % 90));
    polling.poll();
    polling.expectEqualToSource();
    const TableReport again = polling.poll();
    EXPECT_EQ(again.applied, 0u);
  }
}

TEST_P(ServerPolling, TiesAtPageBordersAreNeitherSkippedNorReadForEver) {
  createUsers();
  const std::string number = server.isPostgres() ? "n::int" : "n";
  execute(admin, {"INSERT INTO users SELECT " + number + ", 'tie', 1, 1, '2024-05-01 10:00:00' FROM (" +
                      server.numbers(500) + ") AS t",
                  "INSERT INTO users SELECT " + number + " + 500, 'tie', 1, 1, '2024-05-01 10:00:01' FROM (" +
                      server.numbers(500) + ") AS t"});
  for (const std::size_t pageRows : {std::size_t{1'000}, std::size_t{100}, std::size_t{99}, std::size_t{1}}) {
    SCOPED_TRACE(pageRows);
    CursorStrategy strategy = byChange();
    strategy.pageRows = pageRows;
    Polling polling(server, users(strategy));
    const TableReport report = polling.poll();
    EXPECT_EQ(report.rowsRead, 1'000u);
    EXPECT_EQ(report.applied, 1'000u);
    polling.expectEqualToSource();
    EXPECT_EQ(polling.poll().applied, 0u);
  }
}

TEST_P(ServerPolling, ACatchUpOfFloatsIsReadInCursorOrder) {
  const std::string number = server.isPostgres() ? "n::int" : "n";
  // The rows stand in another order than their cursors. FLOAT columns make the MySQL driver wrap the statement.
  execute(admin, {"DROP TABLE IF EXISTS weights",
                  "CREATE TABLE weights (id INT PRIMARY KEY, w " + std::string(server.isPostgres() ? "real" : "FLOAT") +
                      ", c INT)",
                  "INSERT INTO weights SELECT " + number + ", n * 0.1, n * 7919 % 20011 FROM (" +
                      server.numbers(20'000) + ") AS t"});
  Polling polling(server, {.table = "weights",
                           .query = "SELECT * FROM weights",
                           .strategy = CursorStrategy{.cursorColumn = "c", .pageRows = 2'000}});
  EXPECT_EQ(polling.poll().applied, 20'000u);
  polling.expectEqualToSource();
  const TableReport again = polling.poll();
  EXPECT_EQ(again.rowsRead, 1'000u) << "the window is that of the newest rows";
  EXPECT_EQ(again.suppressed, 1'000u);
}

TEST_P(ServerPolling, ARefusedPushClosesTheStreamAndTheNextPollGoesOnWhereItStood) {
  execute(admin, {"DROP TABLE IF EXISTS numbers", "CREATE TABLE numbers (id BIGINT PRIMARY KEY)",
                  "INSERT INTO numbers SELECT n FROM (" + server.numbers(20'000) + ") AS t"});
  IngestSourceConfig config;
  config.name = "source";
  config.query = server.connect();
  config.tables.push_back({.table = "numbers",
                           .query = "SELECT * FROM numbers",
                           .strategy = CursorStrategy{.cursorColumn = "id", .lookbackRows = 10, .pageRows = 500}});
  Gateway gateway;
  std::size_t left = 7, pushed = 0;
  SourcePoller poller(config, gateway,
                      {.observer = std::make_shared<QuietObserver>(), .push = [&](const SyncPush& push, PushContext) {
                         PushResult result;
                         if (left == 0) {
                           result.status = PushStatus::backPressure;
                           return result;
                         }
                         --left;
                         pushed += push.deltas.size();
                         result.verdicts.resize(push.deltas.size());
                         return result;
                       }});
  const PollReport refused = poller.pollOnce();
  ASSERT_TRUE(refused.tables.at(0).error.has_value());
  EXPECT_EQ(refused.tables[0].error->code(), ErrorCode::backPressure);
  const std::size_t before = pushed;
  EXPECT_GE(before, 3'000u);
  left = 1'000;
  const PollReport rest = poller.pollOnce();
  ASSERT_TRUE(rest.ok()) << rest.tables[0].error->what();
  EXPECT_LE(rest.tables[0].inserts, 20'000 - before + 500) << "it began anew";
  EXPECT_GE(rest.tables[0].inserts, 20'000 - before);
}

TEST_P(ServerPolling, CompositeRowIdsAreKeptApart) {
  execute(admin, {"DROP TABLE IF EXISTS places", "CREATE TABLE places (region VARCHAR(20), nr INT, v INT)",
                  "INSERT INTO places VALUES ('a:b', 1, 10), ('a', 1, 20), ('a', 11, 30), ('', 1, 40)"});
  Polling polling(server, {.table = "places", .query = "SELECT * FROM places;", .rowIdColumns = {"region", "nr"}});
  polling.poll();
  polling.expectEqualToSource();
}

TEST_P(ServerPolling, ADroppedTableFailsTheirPollsAndLosesNothing) {
  for (const bool diff : {true, false}) {
    createUsers();
    put(1, "Ada", 36);
    Polling polling(server, diff ? users(DiffStrategy{}) : users(byChange()));
    polling.poll();
    execute(admin, {"DROP TABLE users"});
    const Error e = polling.pollBadly();
    EXPECT_EQ(e.code(), ErrorCode::tableNotFound);
    EXPECT_NE(e.message().find("users"), std::string::npos) << e.what();
    EXPECT_TRUE(polling.has("1"));
    createUsers();
    put(1, "Ada", 37);
    polling.poll();
    polling.expectEqualToSource();
  }
}

TEST_P(ServerPolling, AnAddedColumnArrives) {
  for (const bool diff : {true, false}) {
    createUsers();
    put(1, "Ada", 36);
    Polling polling(server, diff ? users(DiffStrategy{}) : users(byChange()));
    polling.poll();
    execute(admin, {"ALTER TABLE users ADD COLUMN city VARCHAR(20) DEFAULT 'Paris'"});
    readAll(admin, Query{"INSERT INTO users VALUES (2, 'Bob', 40, 1, " + now() + ", 'Rome')", {}});
    polling.poll();
    polling.expectEqualToSource();
  }
}

TEST_P(ServerPolling, ARemovedColumnStopsChangingAndTheOthersGoOn) {
  for (const bool diff : {true, false}) {
    createUsers();
    put(1, "Ada", 36);
    Polling polling(server, diff ? users(DiffStrategy{}) : users(byChange()));
    polling.poll();
    execute(admin, {"ALTER TABLE users DROP COLUMN score", "UPDATE users SET age = 37, changed = " + now()});
    polling.poll();
    polling.expectEqualToSource();
  }
}

TEST_P(ServerPolling, ARemovedCursorColumnIsNamed) {
  createUsers();
  put(1, "Ada", 36);
  Polling polling(server, users(byChange()));
  polling.poll();
  execute(admin, {"ALTER TABLE users DROP COLUMN changed"});
  const Error e = polling.pollBadly();
  EXPECT_EQ(e.code(), ErrorCode::columnNotFound) << e.what();
  EXPECT_NE(e.message().find("changed"), std::string::npos) << e.what();
  EXPECT_TRUE(polling.has("1"));
}

TEST_P(ServerPolling, ARemovedRowIdColumnChangesNothing) {
  for (const bool diff : {true, false}) {
    createUsers();
    put(1, "Ada", 36);
    Polling polling(server, diff ? users(DiffStrategy{}) : users(byChange()));
    polling.poll();
    execute(admin, {"ALTER TABLE users DROP COLUMN id"});
    const Error e = polling.pollBadly();
    EXPECT_NE(e.message().find("id"), std::string::npos) << e.what();
    EXPECT_TRUE(polling.has("1"));
    EXPECT_EQ(polling.gateway.stats().rows, 1u);
  }
}

TEST_P(ServerPolling, ANullOrRepeatedRowIdChangesNothing) {
  for (const std::string bad : {"NULL", "1"}) {
    SCOPED_TRACE(bad);
    execute(admin, {"DROP TABLE IF EXISTS loose", "CREATE TABLE loose (id INT, v INT)",
                    "INSERT INTO loose VALUES (1, 10), (2, 20)"});
    Polling polling(server, {.table = "loose", .query = "SELECT * FROM loose"});
    polling.poll();
    execute(admin, {"UPDATE loose SET v = v + 1", "INSERT INTO loose VALUES (" + bad + ", 30)"});
    const Error e = polling.pollBadly();
    EXPECT_EQ(e.code(), ErrorCode::rowIdInvalid) << e.what();
    EXPECT_TRUE(sameValue(*polling.gateway.row("loose", "2")->find("v"), Value(20)));
    execute(admin, {"DELETE FROM loose WHERE v = 30"});
    polling.poll();
    polling.expectEqualToSource();
  }
}

TEST_P(ServerPolling, AColumnOfAnotherTypeThanBeforeIsAChange) {
  createUsers();
  put(1, "Ada", 36);
  Polling polling(server, users(DiffStrategy{}));
  polling.poll();
  execute(admin, {server.isPostgres() ? "ALTER TABLE users ALTER COLUMN age TYPE text USING 'about ' || age"
                                      : "ALTER TABLE users MODIFY age VARCHAR(20)"});
  polling.poll();
  polling.expectEqualToSource();
}

TEST_P(ServerPolling, ACursorOfAnotherTypeThanBeforeIsAnErrorThatNamesBoth) {
  createUsers();
  put(1, "Ada", 36);
  CursorStrategy strategy = byChange();
  strategy.cursorColumn = "age";
  Polling polling(server, users(strategy));
  polling.poll();
  execute(admin, {server.isPostgres() ? "ALTER TABLE users ALTER COLUMN age TYPE date USING date '2024-01-01' + age"
                                      : "ALTER TABLE users DROP COLUMN age, ADD COLUMN age DATE DEFAULT '2024-01-01'"});
  const Error e = polling.pollBadly();
  EXPECT_NE(e.message().find("age"), std::string::npos) << e.what();
  EXPECT_TRUE(polling.has("1"));
}

TEST_P(ServerPolling, AServerKilledDuringAPollLosesNothing) {
  for (const bool diff : {true, false}) {
    SCOPED_TRACE(diff);
    createUsers();
    for (int id = 0; id < 30; ++id) put(id, "user", id);
    CursorStrategy strategy = byChange();
    strategy.pageRows = 10;
    // The sleep makes the poll last until the server dies, and only then.
    execute(admin, {"DROP TABLE IF EXISTS pace", "CREATE TABLE pace (seconds INT)", "INSERT INTO pace VALUES (0)"});
    IngestTableConfig table = diff ? users(DiffStrategy{}) : users(strategy);
    table.query = server.isPostgres() ? "SELECT * FROM users WHERE pg_sleep((SELECT seconds FROM pace)) IS NOT NULL"
                                      : "SELECT * FROM users WHERE SLEEP((SELECT seconds FROM pace)) = 0";
    Polling polling(server, table);
    polling.poll();
    for (int id = 20; id < 40; ++id) put(id, "changed", id);
    execute(admin, {"UPDATE pace SET seconds = 1"});
    std::jthread killer([&] {
      const std::string busy = server.isPostgres()
                                   ? "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
                                   : "SELECT 1 FROM information_schema.PROCESSLIST WHERE STATE = 'User sleep'";
      eventually([&] { return !readAll(admin, busy).empty(); });
      server.control("kill9");
    });
    EXPECT_EQ(polling.pollBadly().code(), ErrorCode::connectionFailed);
    killer.join();
    server.control("start");
    admin = server.writer();
    execute(admin, {"UPDATE pace SET seconds = 0"});
    polling.poll();
    polling.expectEqualToSource();
  }
}

}  // namespace
}  // namespace tidegate::servers
