// Baselines that are read in ranges beside the stream: they meet it exactly, and go on where a crash left them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "mysql/binlog_link.h"
#include "mysql/detail/make_source.h"
#include "mysql/replica_model.h"
#include "servers/support.h"
#include "support/property.h"
#include "tidegate/engine/engine.h"
#include "tidegate/sink/memory_sink.h"

namespace tidegate::mysql {
namespace {

using servers::eventually;
using servers::execute;
using servers::readAll;

constexpr const char* kName = "chunk_test.t";

class BinlogChunks : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!servers::isMariaDb() && describe(readAll(writer, "SELECT @@GLOBAL.gtid_mode")[0][0]) != "\"ON\"") {
      GTEST_SKIP() << "without GTIDs MySQL's tables are read whole";
    }
    execute(writer, {"DROP DATABASE IF EXISTS chunk_test", "CREATE DATABASE chunk_test CHARACTER SET utf8mb4",
                     "USE chunk_test"});
    options.baseline = {.chunkedFromRows = 0, .chunkRows = 50};
    options.batchEvents = 20;
    options.heartbeatInterval = std::chrono::milliseconds(15);  // tells on a quiet server that a place was reached
  }
  void TearDown() override {
    stop();
    execute(writer, {"SET GLOBAL binlog_row_image = FULL", "DROP DATABASE IF EXISTS chunk_test"});
    if (servers::isMariaDb()) return execute(writer, {"SET GLOBAL rpl_semi_sync_master_enabled = OFF"});
    if (!readAll(writer, "SHOW VARIABLES LIKE 'rpl_semi_sync_source_enabled'").empty()) {
      execute(writer, {"SET GLOBAL rpl_semi_sync_source_enabled = OFF", "UNINSTALL PLUGIN rpl_semi_sync_source"});
    }
  }

  void makeTable(int rows) {
    execute(writer, {"DROP TABLE IF EXISTS t", "CREATE TABLE t (id INT PRIMARY KEY, ver INT, v VARCHAR(40), big TEXT)",
                     fmt::format("INSERT INTO t SELECT seq, 1, CONCAT('v', seq), REPEAT('x', 300) FROM {}",
                                 servers::numbersTo(static_cast<std::size_t>(std::max(rows, 1))))});
    if (rows == 0) execute(writer, {"DELETE FROM t"});
  }
  void makeSource() {
    stop();
    source = detail::makeSource(options);
    source->init({.onWarning = [this](const std::string& text) {
      const std::lock_guard lock(mutex);
      warnings.push_back(text);
    }});
  }
  /// A baseline, and the stream behind it.
  void begin(const std::vector<std::string>& tables = {kName}) {
    makeSource();
    model = {};
    streaming = false;
    names = tables;
    at = source->baseline(tables, handler(), {});
    start();
  }
  void start() {
    failure = nullptr;
    ended = false;
    streaming = true;
    stopping = std::stop_source();
    thread = std::thread([this, from = at] {
      try {
        source->stream(names, from, handler(), stopping.get_token());
      } catch (...) {
        failure = std::current_exception();
      }
      const std::lock_guard lock(mutex);
      ended = true;
      changed.notify_all();
    });
  }
  void stop() {
    stopping.request_stop();
    if (thread.joinable()) thread.join();
  }
  ChangeHandler handler() {
    return [this](ChangeBatch& batch) {
      const std::lock_guard lock(mutex);
      for (const ChangeEvent& event : batch) {
        const bool behind = !streaming || source->comparePositions(at, event.position) == std::partial_ordering::less;
        if (!behind && model.wrong.empty()) {
          model.wrong = fmt::format("position {} of {} is not after {}", source->positionToText(event.position),
                                    toString(event.op), source->positionToText(at));
        }
        model.apply(event);
        at = event.position;
        if (onEvent) onEvent(event);
      }
      changed.notify_all();
      return Taken::yes;
    };
  }
  bool await(const std::function<bool()>& holds) {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, std::chrono::seconds(60), [&] { return ended || holds(); });
    return holds();
  }
  bool awaitWhole() {
    return await([&] { return std::all_of(names.begin(), names.end(), [&](auto& n) { return model.whole(n); }); });
  }
  std::string failureText() {
    try {
      if (failure) std::rethrow_exception(failure);
    } catch (const std::exception& e) {
      return e.what();
    }
    const std::lock_guard lock(mutex);
    return warnings.empty() ? "" : warnings.back();
  }
  std::map<std::string, std::vector<Value>> tableRows(const std::string& table) {
    std::map<std::string, std::vector<Value>> rows;
    const auto other = detail::makeSource(options);  // the one that streams must not be asked meanwhile
    other->init({});
    const Shape shape = other->describeTable(table);
    const auto stream = other->readTable(table, {});
    for (std::vector<Value> row; stream->next(row);) rows[ReplicaModel::keyOf(*shape, row)] = row;
    return rows;
  }
  /// Once nobody writes any more.
  void expectEqual(const std::string& table = kName) {
    const auto wanted = tableRows(table);
    const bool same = await([&] { return model.whole(table) && model.rows(table) == wanted; });
    const std::lock_guard lock(mutex);
    EXPECT_TRUE(same) << table << " has " << wanted.size() << " rows, and the replica " << model.rows(table).size()
                      << (model.whole(table) ? "" : ", which is not whole");
    for (const auto& [key, row] : wanted) {
      const auto found = model.rows(table).find(key);
      if (found != model.rows(table).end() && found->second == row) continue;
      ADD_FAILURE() << "row " << key << (found == model.rows(table).end() ? " is missing" : " differs");
      break;
    }
    EXPECT_EQ(model.wrong, "");
  }

  QueryFn writer = queryFn(testConnect());
  SourceOptions options = quickOptions();
  std::unique_ptr<SyncSource> source;
  std::vector<std::string> names{kName};
  std::stop_source stopping;
  std::thread thread;
  std::exception_ptr failure;

  std::mutex mutex;
  std::condition_variable changed;
  ReplicaModel model;                                 ///< guarded by mutex
  Position at;                                        ///< of the last event; guarded by mutex
  std::function<void(const ChangeEvent&)> onEvent{};  ///< under the mutex; set while no stream runs
  std::vector<std::string> warnings;                  ///< guarded by mutex
  bool ended = false;                                 ///< guarded by mutex
  bool streaming = false;                             ///< set while no stream runs
};

/// What is pending makes a place the lesser one: the pipeline goes back to it, though nothing was committed meanwhile.
TEST_F(BinlogChunks, ATableThatIsReloadedOnAQuietServerIsReadAgain) {
  makeTable(120);
  execute(writer, {"CREATE TABLE other (id INT PRIMARY KEY)", "INSERT INTO other VALUES (1)"});
  const auto sink = std::make_shared<MemorySink>();
  Engine engine(
      {.sources = {{.name = "db", .source = mysql::source(options)}},
       .pipelines = {
           {.name = "p", .source = "db", .tables = {{.table = kName}, {.table = "chunk_test.other"}}, .sink = sink}}});
  engine.start();
  ASSERT_TRUE(engine.awaitReady(std::chrono::seconds(60)));
  for (int reload = 0; reload < 3; ++reload) {
    engine.reload("p", kName);
    ASSERT_TRUE(engine.awaitReady(std::chrono::seconds(60))) << "reload " << reload;
    EXPECT_EQ(sink->view().count("t"), 120U);
  }
  execute(writer, {"DELETE FROM t WHERE id <= 20", "INSERT INTO other VALUES (2)"});
  EXPECT_TRUE(eventually([&] { return sink->view().count("t") == 100 && sink->view().count("other") == 2; }));
  EXPECT_EQ(engine.stop(std::chrono::seconds(10)), StopOutcome::drained);
}

/// The binlog shows a commit before others see it: here it waits for a replica that is not there.
TEST_F(BinlogChunks, ABaselineSeesAllThatTheStreamBeforeItTold) {
  if (!servers::isMariaDb()) GTEST_SKIP() << "MySQL's has another name";
  for (const std::uint64_t chunkedFrom : {std::uint64_t{0}, UINT64_MAX}) {
    SCOPED_TRACE(chunkedFrom);
    options.baseline.chunkedFromRows = chunkedFrom;
    makeTable(10);
    begin();
    ASSERT_TRUE(awaitWhole()) << failureText();
    execute(writer, {"SET GLOBAL rpl_semi_sync_master_wait_point = AFTER_SYNC",
                     "SET GLOBAL rpl_semi_sync_master_timeout = 1500", "SET GLOBAL rpl_semi_sync_master_enabled = ON"});
    std::thread waits([] {
      const QueryFn db = queryFn(testConnect());
      execute(db, {"INSERT INTO chunk_test.t (id, ver) VALUES (1000, 1)"});
    });
    EXPECT_TRUE(await([&] { return model.rows(kName).size() == 11; })) << failureText();
    stop();
    const Position told = at;
    const Position again = source->baseline(names, [](ChangeBatch&) { return Taken::yes; }, {});
    execute(writer, {"SET GLOBAL rpl_semi_sync_master_enabled = OFF"});
    waits.join();
    const auto order = source->comparePositions(told, again);
    // Less by what is left to be read, and by nothing else.
    EXPECT_TRUE(order == std::partial_ordering::less || order == std::partial_ordering::equivalent ||
                source->positionToText(again).starts_with(source->positionToText(told)))
        << source->positionToText(told) << " and " << source->positionToText(again);
  }
}

/// Random transactions on the table, some rolled back.
class Writer {
 public:
  Writer(std::uint64_t seed, int keys) : thread_([=](const std::stop_token& stop) { run(seed, keys, stop); }) {}

 private:
  static void run(std::uint64_t seed, int keys, const std::stop_token& stop) {
    const QueryFn db = queryFn(testConnect());
    execute(db, {"USE chunk_test", "SET innodb_lock_wait_timeout = 2"});
    test::Random random(seed);
    while (!stop.stop_requested()) {
      try {
        execute(db, {"BEGIN"});
        for (std::size_t i = 1 + random.index(4); i > 0; --i) {
          const bool savepoint = random.chance(20);
          if (savepoint) execute(db, {"SAVEPOINT s"});
          execute(db, {statement(random, keys)});
          if (savepoint && random.chance(50)) execute(db, {"ROLLBACK TO s"});
        }
        execute(db, {random.chance(10) ? "ROLLBACK" : "COMMIT"});
        systemScheduler().waitFor(std::chrono::milliseconds(random.below(4)), stop);
      } catch (const Error&) {  // a deadlock, or a key that somebody else took
        execute(db, {"ROLLBACK"});
      }
    }
  }
  static std::string statement(test::Random& random, int keys) {
    const auto id = random.between(1, keys), other = random.between(1, keys);
    switch (random.below(6)) {
      case 0:
        return fmt::format("INSERT IGNORE INTO t (id, ver, v) VALUES ({}, 1, 'new')", id);
      case 1:
        return fmt::format("DELETE FROM t WHERE id = {}", id);
      case 2:
        return fmt::format("UPDATE IGNORE t SET id = {}, ver = ver + 1 WHERE id = {}", other, id);
      case 3:  // the large column stays
        return fmt::format("UPDATE t SET ver = ver + 1 WHERE id = {}", id);
      case 4:
        return fmt::format("UPDATE t SET ver = ver + 1, v = 'r' WHERE id BETWEEN {} AND {}", id, id + 20);
      default:
        return fmt::format("UPDATE t SET ver = ver + 1, v = 'u', big = REPEAT('z', {}) WHERE id = {}",
                           random.chance(50) ? 2'000 : 3, id);
    }
  }
  std::jthread thread_;
};

TEST_F(BinlogChunks, ReadAQuietTable) {
  makeTable(1'000);
  begin();
  ASSERT_TRUE(awaitWhole()) << failureText();
  expectEqual();
  EXPECT_EQ(model.reads, 1'000u);
  EXPECT_EQ(model.begins(kName), 1u);
  EXPECT_EQ(failureText(), "");
}

TEST_F(BinlogChunks, ReadAnEmptyTable) {
  makeTable(0);
  begin();
  ASSERT_TRUE(awaitWhole()) << failureText();
  expectEqual();
}

TEST_F(BinlogChunks, MeetTheStreamExactlyUnderAStormOfWriters) {
  test::forEachSeed(4, [&](std::uint64_t seed) {
    options.positions = seed % 2 == 0 ? PositionBy::file : PositionBy::automatic;
    makeTable(2'000);
    {
      const Writer one(seed * 3, 2'200), two(seed * 3 + 1, 2'200), three(seed * 3 + 2, 2'200);
      begin();
      EXPECT_TRUE(awaitWhole()) << failureText();
    }
    expectEqual();
  });
}

TEST_F(BinlogChunks, CompleteWhatSmallRowImagesLeaveOut) {
  makeTable(2'000);
  execute(writer, {"SET GLOBAL binlog_row_image = MINIMAL"});
  {
    const Writer one(11, 2'200), two(12, 2'200);
    begin();
    EXPECT_TRUE(awaitWhole()) << failureText();
  }
  expectEqual();
}

/// What a crash leaves is what was durable: the replica and its position of some moment before.
TEST_F(BinlogChunks, GoOnAfterACrashFromTheLastDurableChunk) {
  test::forEachSeed(4, [&](std::uint64_t seed) {
    options.positions = seed % 2 == 0 ? PositionBy::file : PositionBy::automatic;
    makeTable(1'500);
    test::Random random(seed);
    std::size_t reads = 0;
    {
      const Writer one(seed * 2, 1'600), two(seed * 2 + 1, 1'600);
      begin();
      ReplicaModel durable = model;
      Position durableAt = at;
      for (int crashes = 0; crashes < 6; ++crashes) {
        std::size_t wanted = reads + 60 + random.index(300);
        await([&] { return model.reads >= wanted || model.whole(kName); });
        {
          const std::lock_guard lock(mutex);
          if (model.whole(kName)) break;
          durable = model;
          durableAt = at;
        }
        wanted += random.index(80);
        await([&] { return model.reads >= wanted || model.whole(kName); });
        makeSource();  // all that a process knew is gone
        model = durable;
        at = durableAt;
        reads = model.reads;
        start();
      }
      EXPECT_TRUE(awaitWhole()) << failureText();
    }
    expectEqual();
    EXPECT_EQ(model.begins(kName), 1u) << "it began anew instead of going on";
    // Of what became durable: rows whose key has changed are read under either, and of the chunk in hand some twice.
    EXPECT_LT(model.reads, 1'500u * 3 / 2);
  });
}

/// With a replica to wait for, a commit is in the binlog, and told, before any snapshot sees it.
TEST_F(BinlogChunks, ACommitThatIsToldBeforeItIsSeenIsNotTakenBack) {
  if (!servers::isMariaDb()) {
    execute(writer, {"INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'"});
  }
  const std::string semiSync =
      servers::isMariaDb() ? "SET GLOBAL rpl_semi_sync_master_" : "SET GLOBAL rpl_semi_sync_source_";
  for (const PositionBy by : {PositionBy::automatic, PositionBy::file}) {
    options.positions = by;
    makeTable(300);
    execute(writer, {semiSync + "enabled = OFF", semiSync + "wait_point = AFTER_SYNC", semiSync + "timeout = 1500",
                     semiSync + "enabled = ON"});
    begin();
    await([&] { return model.reads >= 60; });
    std::thread waits([] {
      const QueryFn db = queryFn(testConnect());
      execute(db, {"UPDATE chunk_test.t SET ver = 2 WHERE id > 100"});
    });
    bool told = false, seen = true;
    {
      std::unique_lock lock(mutex);
      told = changed.wait_for(lock, std::chrono::seconds(30), [&] {
        const auto row = model.rows(kName).find("300|");
        return row != model.rows(kName).end() && row->second.at(1) == Value(2);
      });
    }
    seen = describe(readAll(writer, "SELECT ver FROM t WHERE id = 300").at(0).at(0)) == "2";
    EXPECT_TRUE(told) << failureText();
    EXPECT_FALSE(seen) << "the test shows nothing: the commit could be seen when it was told";
    makeSource();  // another process, which has told nothing of it
    start();
    EXPECT_TRUE(awaitWhole()) << failureText();
    waits.join();
    expectEqual();
  }
}

TEST_F(BinlogChunks, SurviveConnectionsThatAreKilled) {
  makeTable(5'000);
  begin();
  const QueryFn admin = queryFn(testConnect());
  for (std::size_t kills = 0; kills < 5; ++kills) {
    if (!await([&] { return model.reads >= kills * 700 + 50 || model.whole(kName); })) break;
    for (const auto& row : readAll(admin,
                                   "SELECT ID FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND "
                                   "(DB IS NULL OR DB = 'tidegate')")) {
      try {
        execute(admin, {"KILL " + describe(row[0])});
      } catch (const Error&) {  // it has ended by itself
      }
    }
  }
  ASSERT_TRUE(awaitWhole()) << failureText();
  expectEqual();
}

TEST_F(BinlogChunks, PageThroughCompositeAndOddKeys) {
  execute(writer,
          {"CREATE TABLE t (a VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_german1_ci, s ENUM('small', 'large', "
           "'medium'), n DECIMAL(8,2), c CHAR(4) COLLATE utf8mb4_bin, ver INT, PRIMARY KEY (a, s, c, n))",
           "INSERT INTO t SELECT CONCAT(ELT(1 + seq % 8, 'a', 'B', 'Z', 'ä', '10', '9', 'it''s', 'C:\\\\x'), seq DIV "
           "40), ELT(1 + seq % 3, 'small', 'large', 'medium'), seq / 7.0, CONCAT(ELT(1 + seq % 3, 'x', 'Y', 'z'), seq "
           "% 5), seq FROM " +
               servers::numbersTo(700)});
  begin();
  ASSERT_TRUE(awaitWhole()) << failureText();
  expectEqual();
  EXPECT_EQ(model.reads, 700u);
}

TEST_F(BinlogChunks, KeysOfEveryTypeAreReadOn) {
  options.baseline.chunkRows = 7;
  for (const auto& [type, value] : std::vector<std::pair<std::string, std::string>>{
           {"BIGINT", "CAST(seq AS SIGNED) * 10000000000000007 - 60"},
           {"BIGINT UNSIGNED", "18446744073709551615 - seq"},
           {"DOUBLE", "(CAST(seq AS SIGNED) - 60) / 7e0"},
           {"FLOAT", "(CAST(seq AS SIGNED) - 60) / 7e0"},
           {"DECIMAL(20,6)", "(CAST(seq AS SIGNED) - 60) / 7"},
           {"DATE", "DATE '2024-01-01' + INTERVAL seq DAY"},
           {"DATETIME(6)", "TIMESTAMP '1890-01-01 00:00:00.000125' + INTERVAL seq HOUR"},
           {"TIMESTAMP(3)", "TIMESTAMP '2024-01-01 00:00:00.125' + INTERVAL seq DAY"},
           {"TIME(2)", "SEC_TO_TIME(CAST(seq AS SIGNED) - 60.25)"},
           {"YEAR", "1950 + seq"},
           {"BINARY(16)", "UNHEX(LEFT(SHA2(seq, 256), 32))"},
           {"VARBINARY(20)", "UNHEX(LEFT(SHA2(seq, 256), 40))"},
           {"VARCHAR(20)", "CONCAT('it''s \\\\ ', seq, 'é')"},
           {"CHAR(8) CHARACTER SET latin1", "CONCAT('é ', seq)"},
           {"VARCHAR(9) CHARACTER SET utf16", "CONCAT('k', seq)"},
           {"UUID", "CONCAT('550e8400-e29b-41d4-a716-4466554', LPAD(seq, 5, '0'))"},
           {"INET6", "CONCAT('2001:db8::', seq)"},
           {"BIT(12)", "seq"},
           {"ENUM('z', 'a', 'm')", "ELT(1 + seq % 3, 'z', 'a', 'm')"},
           {"SET('z', 'a', 'm')", "seq % 8"}}) {
    SCOPED_TRACE(type);
    if (!servers::isMariaDb() && (type == "UUID" || type == "INET6")) continue;
    execute(writer, {"DROP TABLE IF EXISTS t", "CREATE TABLE t (k " + type + " PRIMARY KEY, ver INT)",
                     "INSERT IGNORE INTO t SELECT " + value + ", seq FROM " + servers::numbersTo(100)});
    if (type.starts_with("ENUM") || type.starts_with("SET")) options.baseline.chunkRows = 1;
    const auto rows = readAll(writer, "SELECT COUNT(*) FROM t").at(0).at(0);
    begin();
    ASSERT_TRUE(awaitWhole()) << failureText();
    expectEqual();
    EXPECT_EQ(Value(static_cast<std::int64_t>(model.reads)), rows);
  }
}

TEST_F(BinlogChunks, SeveralTablesFollowEachOther) {
  makeTable(400);
  execute(writer, {"CREATE TABLE u (id INT PRIMARY KEY, ver INT)",
                   "INSERT INTO u SELECT seq, 1 FROM " + servers::numbersTo(300), "CREATE TABLE keyless (id INT)",
                   "CREATE TABLE other (id INT PRIMARY KEY) ENGINE = MyISAM", "INSERT INTO other VALUES (1)"});
  begin({kName, "chunk_test.other", "chunk_test.u"});
  ASSERT_TRUE(awaitWhole()) << failureText();
  expectEqual();
  expectEqual("chunk_test.u");
  expectEqual("chunk_test.other");
}

TEST_F(BinlogChunks, ARangeOfLargeRowsEndsWhereItsOctetsDo) {
  options.baseline = {.chunkedFromRows = 0, .chunkRows = 10'000, .chunkBytes = 8u << 20};
  execute(writer,
          {"CREATE TABLE t (id INT, part VARCHAR(9) CHARACTER SET latin1, big LONGTEXT, PRIMARY KEY (id, part))",
           "INSERT INTO t SELECT seq DIV 2, CONCAT('ä', seq), REPEAT('x', 1048576) FROM " + servers::numbersTo(64)});
  begin();
  await([&] { return model.reads >= 30; });
  stop();
  const std::size_t before = model.reads;
  ASSERT_LT(before, 64u);
  makeSource();
  start();
  ASSERT_TRUE(awaitWhole()) << failureText();
  expectEqual();
  EXPECT_LE(model.reads, 64u + 9u) << "no more than a range of eight rows is read again";
}

TEST_F(BinlogChunks, ATruncateInBetweenLeavesOnlyWhatCameAfterIt) {
  makeTable(2'000);
  begin();
  await([&] { return model.reads >= 300; });
  execute(writer, {"TRUNCATE t", "INSERT INTO t VALUES (5, 1, 'new', NULL), (1700, 1, 'new', NULL)"});
  ASSERT_TRUE(awaitWhole()) << failureText();
  expectEqual();
  EXPECT_EQ(model.rows(kName).size(), 2u);
}

TEST_F(BinlogChunks, ATableThatIsAlteredIsReadAnewInItsNewShape) {
  makeTable(2'000);
  begin();
  await([&] { return model.reads >= 300; });
  execute(writer, {"ALTER TABLE t ADD COLUMN extra INT DEFAULT 7, DROP COLUMN v"});
  ASSERT_TRUE(await([&] { return model.whole(kName) && model.begins(kName) > 1; })) << failureText();
  expectEqual();
  EXPECT_EQ(model.rows(kName).begin()->second.size(), 4u);
}

/// What was read so far lacks values that no event brings. A process that took the alteration and was killed before any
/// row came after it must not go on as if nothing had happened.
TEST_F(BinlogChunks, AnAlterationThatIsTheLastThingBeforeACrashIsNotForgotten) {
  makeTable(2'000);
  begin();
  await([&] { return model.reads >= 300; });
  Position altered;
  ReplicaModel then;
  {
    const std::lock_guard lock(mutex);
    onEvent = [&](const ChangeEvent& event) {
      if (event.op != ChangeOp::schemaChange || !altered.empty()) return;
      altered = event.position;
      then = model;
    };
  }
  execute(writer, {"ALTER TABLE t ADD COLUMN extra INT DEFAULT 7"});
  ASSERT_TRUE(await([&] { return !altered.empty(); })) << failureText();
  makeSource();
  onEvent = {};
  model = then;
  at = altered;
  start();
  ASSERT_TRUE(await([&] { return model.begins(kName) == 2 && model.whole(kName); })) << failureText();
  expectEqual();
}

/// The same, seen by a process that knows nothing of how the table was before.
TEST_F(BinlogChunks, AnAlterationThatANewProcessMeetsFirstIsNotPassedOver) {
  makeTable(2'000);
  begin();
  await([&] { return model.reads >= 300; });
  stop();
  execute(writer, {"ALTER TABLE t ADD COLUMN extra INT DEFAULT 7"});
  makeSource();
  start();
  ASSERT_TRUE(await([&] { return model.begins(kName) == 2 && model.whole(kName); })) << failureText();
  expectEqual();
}

TEST_F(BinlogChunks, ATruncateThatANewProcessMeetsFirstIsTold) {
  makeTable(100);
  begin();
  ASSERT_TRUE(awaitWhole()) << failureText();
  stop();
  execute(writer, {"TRUNCATE t"});
  makeSource();
  start();
  expectEqual();
}

TEST_F(BinlogChunks, ATableThatIsGoneIsWaitedForAndSaid) {
  makeTable(400);
  begin();
  stop();
  execute(writer, {"RENAME TABLE t TO hidden"});
  start();
  ASSERT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex);
    return std::any_of(warnings.begin(), warnings.end(), [](const std::string& warning) {
      return warning.find("chunk_test.t") != std::string::npos && warning.find("tries again") != std::string::npos;
    });
  }));
  execute(writer, {"RENAME TABLE hidden TO t"});
  ASSERT_TRUE(awaitWhole()) << failureText();
  expectEqual();
}

TEST_F(BinlogChunks, AnEncryptedConnectionIsNoReasonToWait) {
  options.connect = {.host = "localhost",
                     .port = static_cast<std::uint16_t>(std::stoi(servers::environment("TIDEGATE_MYSQL_PORT"))),
                     .user = "tidegate",
                     .password = "tidegate-secret",
                     .tls = TlsMode::verifyFull,
                     .caFile = servers::environment("TIDEGATE_TLS_DIR") + "/ca.pem"};
  options.heartbeatInterval = std::chrono::milliseconds(1'000);
  makeTable(3'000);
  begin();
  ASSERT_TRUE(awaitWhole()) << failureText();
  expectEqual();
}

}  // namespace
}  // namespace tidegate::mysql
