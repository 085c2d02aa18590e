#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "postgres/detail/baseline.h"
#include "sql_stream.h"
#include "support/property.h"

namespace tidegate::postgres::detail {
namespace {

constexpr const char* kTable = "baseline_chunks.t";

class BaselineChunks : public testing::Test {
 protected:
  TestLink db;
  SourceOptions options{.connect = testOptions(), .baseline = {.chunkRows = 50}};
  std::unique_ptr<SqlStream> stream;
  std::unique_ptr<StreamInterleave> chunks;
  std::vector<std::string> warnings;
  Target target;
  std::string progress;

  void SetUp() override {
    db.execute({"DROP SCHEMA IF EXISTS baseline_chunks CASCADE", "CREATE SCHEMA baseline_chunks",
                "SET search_path = baseline_chunks, public"});
    db.run("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'baseline_chunks'");
    options.batchEvents = 20;
    options.baseline.parallelConnections = 2;
    options.backoff.firstDelay = std::chrono::milliseconds{5};
  }
  void TearDown() override {
    chunks.reset();
    if (stream) stream->drop();
  }

  void makeTable(int rows) {
    db.execute({"DROP TABLE IF EXISTS t", "CREATE TABLE t (id integer PRIMARY KEY, ver integer, v text, big text)",
                "ALTER TABLE t ALTER big SET STORAGE EXTERNAL",
                fmt::format("INSERT INTO t SELECT n, 1, 'v' || n, CASE WHEN n % 3 = 0 THEN repeat('x', 4000) END FROM "
                            "generate_series(1, {}) n",
                            rows)});
  }
  void begin(const std::vector<std::string>& tables = {kTable}) {
    if (!stream) stream = std::make_unique<SqlStream>("baseline_chunks", tables);
    BaselineProgress pending;
    for (const std::string& table : tables) pending.pending.push_back({.name = table});
    progress = encodeProgress(pending);
    resume();
  }
  /// As another process would.
  void resume() {
    chunks = makeInterleave(options, [this](const std::string& warning) { warnings.push_back(warning); });
    chunks->restart(progress);
  }
  void step() {
    const Lsn received = stream->tell(chunks.get(), target);
    for (int i = 0; i < 4 && chunks->pending(); ++i) progress = takeRows(*chunks, received, target, progress);
  }
  /// Until all is read; false after a deadline that only a broken system reaches.
  bool finish() {
    return servers::eventually(
        [&] {
          step();
          stream->confirm();
          return !chunks->pending();
        },
        std::chrono::seconds{60});
  }
  /// Runs statements on another connection while the stream goes on: they may wait for a lock that a chunk holds.
  void meanwhile(const std::vector<std::string>& statements) {
    std::atomic<bool> done = false;
    std::thread other([&] {
      TestLink link;
      link.run("SET search_path = baseline_chunks");
      link.execute(statements);
      done = true;
    });
    while (!done) chunks->tend();
    other.join();
  }
  void expectEqual(const std::string& table = kTable) {
    stream->tell(nullptr, target);
    const auto expected = tableRows(table);
    const auto& got = target.rows(table);
    EXPECT_EQ(got.size(), expected.size());
    for (const auto& [key, row] : expected) {
      const auto found = got.find(key);
      if (found == got.end()) {
        ADD_FAILURE() << "row " << key << " is missing";
      } else {
        EXPECT_TRUE(found->second == row) << "row " << key << " differs";
      }
    }
    for (const auto& [key, row] : got) EXPECT_EQ(expected.count(key), 1u) << "row " << key << " should be gone";
    EXPECT_EQ(target.wentBack, "");
    EXPECT_TRUE(target.whole(table));
  }
};

TEST_F(BaselineChunks, ReadAQuietTable) {
  makeTable(1'000);
  begin();
  ASSERT_TRUE(finish());
  expectEqual();
  EXPECT_EQ(target.reads, 1'000u);
  EXPECT_EQ(target.begins(kTable), 1u);
  EXPECT_TRUE(warnings.empty()) << warnings.front();
}

TEST_F(BaselineChunks, ReadAnEmptyTable) {
  makeTable(0);
  begin();
  ASSERT_TRUE(finish());
  expectEqual();
}

/// Random work on the table in transactions of several statements, some rolled back, some with savepoints.
class Writer {
 public:
  Writer(std::uint64_t seed, int keys, std::atomic<bool>& stop) : thread_([=, &stop] { run(seed, keys, stop); }) {}
  ~Writer() { thread_.join(); }

 private:
  static void statement(TestLink& db, test::Random& random, int keys) {
    const auto id = random.between(1, keys), other = random.between(1, keys);
    switch (random.below(7)) {
      case 0:
        db.run(
            fmt::format("INSERT INTO t VALUES ({0}, 1, 'n', CASE WHEN {0} % 3 = 0 THEN repeat('y', 4000) END) ON "
                        "CONFLICT DO NOTHING",
                        id));
        break;
      case 1:
        db.run(fmt::format("DELETE FROM t WHERE id = {}", id));
        break;
      case 2:  // a key change
        db.run(
            fmt::format("UPDATE t SET id = {}, ver = ver + 1, big = 'short' WHERE id = {} AND NOT EXISTS (SELECT FROM "
                        "t WHERE id = {})",
                        other, id, other));
        break;
      case 3:  // the large column stays, and is not told
        db.run(fmt::format("UPDATE t SET ver = ver + 1 WHERE id = {}", id));
        break;
      case 4:
        db.run(fmt::format("UPDATE t SET ver = ver + 1, v = 'r' WHERE id BETWEEN {} AND {}", id, id + 20));
        break;
      default:
        db.run(fmt::format("UPDATE t SET ver = ver + 1, v = 'u', big = repeat('z', {}) WHERE id = {}",
                           random.chance(50) ? 3'000 : 3, id));
    }
  }
  static void run(std::uint64_t seed, int keys, std::atomic<bool>& stop) {
    TestLink db;
    db.execute({"SET search_path = baseline_chunks", "SET lock_timeout = '2s'"});
    test::Random random(seed);
    while (!stop) {
      try {
        db.run("BEGIN");
        for (std::size_t i = 1 + random.index(4); i > 0; --i) {
          const bool savepoint = random.chance(20);
          if (savepoint) db.run("SAVEPOINT s");
          statement(db, random, keys);
          if (savepoint && random.chance(50)) db.run("ROLLBACK TO s");
        }
        db.run(random.chance(10) ? "ROLLBACK" : "COMMIT");
        std::this_thread::sleep_for(std::chrono::milliseconds{random.below(10)});  // test_decoding is slow
      } catch (const Error&) {  // a deadlock, or a key that somebody else took
        db.run("ROLLBACK");
      }
    }
  }
  std::thread thread_;
};

TEST_F(BaselineChunks, MeetTheStreamExactlyUnderAStormOfWriters) {
  test::forEachSeed(6, [&](std::uint64_t seed) {
    makeTable(2'000);
    target = {};
    stream.reset();
    begin();
    {
      std::atomic<bool> stop = false;
      Writer one(seed * 3, 2'200, stop), two(seed * 3 + 1, 2'200, stop), three(seed * 3 + 2, 2'200, stop);
      EXPECT_TRUE(finish());
      stop = true;
    }
    expectEqual();
    chunks.reset();
    stream->drop();
    stream.reset();
  });
}

/// What a crash leaves is what was durable: the target and its position of some moment before.
TEST_F(BaselineChunks, GoOnAfterACrashFromTheLastDurableChunk) {
  test::forEachSeed(3, [&](std::uint64_t seed) {
    makeTable(1'200);
    target = {};
    stream.reset();
    begin();
    test::Random random(seed);
    {
      std::atomic<bool> stop = false;
      Writer one(seed * 2, 1'300, stop), two(seed * 2 + 1, 1'300, stop);
      struct Durable {
        Target target;
        std::string progress;
        Lsn told;
      };
      Durable durable{target, progress, stream->told()};
      for (int crashes = 0; chunks->pending();) {
        step();
        if (random.chance(30)) {
          durable = {target, progress, stream->told()};
          stream->confirm();
        }
        if (crashes < 8 && random.chance(5)) {
          ++crashes;
          target = durable.target;
          progress = durable.progress;
          stream->rewind(durable.told);
          if (progress.empty()) break;
          resume();
        }
      }
      stop = true;
    }
    expectEqual();
    EXPECT_EQ(target.begins(kTable), 1u) << "it began anew instead of going on";
    // Of what became durable: rows whose key has changed are read under either, and of the chunk in hand some twice.
    EXPECT_LT(target.reads, 1'200u * 3 / 2);
    chunks.reset();
    stream->drop();
    stream.reset();
  });
}

TEST_F(BaselineChunks, SurviveConnectionsThatAreKilled) {
  makeTable(5'000);
  begin();
  for (int kills = 0; kills < 5 && chunks->pending();) {
    step();
    if (target.reads < static_cast<std::size_t>(kills) * 500) continue;
    db.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tidegate' AND pid <> "
        "pg_backend_pid() AND query LIKE '%baseline_chunks%' AND query NOT LIKE '%slot%'");
    ++kills;
  }
  ASSERT_TRUE(finish());
  expectEqual();
}

TEST_F(BaselineChunks, PageThroughCompositeAndOddKeys) {
  db.execute(
      {"CREATE COLLATION IF NOT EXISTS baseline_chunks.numeric_german (provider = icu, locale = 'de-u-kn-true')",
       "CREATE COLLATION IF NOT EXISTS baseline_chunks.no_case (provider = icu, locale = 'und-u-ks-level2', "
       "deterministic = false)",
       "CREATE TYPE size AS ENUM ('small', 'large', 'medium')",
       "CREATE TABLE t (a text COLLATE numeric_german, s size, n numeric(8,2), c text COLLATE no_case, ver integer, "
       "PRIMARY KEY (a, s, c, n))",
       "INSERT INTO t SELECT (ARRAY['a','B','Z','ab','10','9','it''s','C:\\x'])[1 + n % 8] || n / 40, "
       "(ARRAY['small','large','medium']::size[])[1 + n % 3], n / 7.0, (ARRAY['x','Y','z'])[1 + n % 3] || n % 5, n "
       "FROM generate_series(1, 700) n"});
  begin();
  ASSERT_TRUE(finish());
  expectEqual();
  EXPECT_EQ(target.reads, 700u);
}

TEST_F(BaselineChunks, KeysOfEveryComparableTypeAreReadOn) {
  for (const auto& [type, value] : std::vector<std::pair<std::string, std::string>>{
           {"bigint", "n::bigint * 1000000007"},
           {"uuid", "md5(n::text)::uuid"},
           {"real", "(n - 60) / 7.0"},
           {"double precision", "(n - 60) / 7.0"},
           {"date", "date '2024-01-01' + n"},
           {"timestamptz(3)", "timestamptz '1890-01-01 00:00:00.125 UTC' + n * interval '1 day 1 ms'"},
           {"bytea", "decode(md5(n::text), 'hex')"},
           {"char(6)", "'k' || n"},
           {"interval", "n * interval '1 month 1 hour'"},
           {"integer[]", "ARRAY[n, NULL, -n]"},
           {"int4range", "int4range(n, n + 3)"},
           {"inet", "inet '10.0.0.0' + n"},
           {"boolean", "n % 2 = 0"},
           {"varchar(9)", "'it''s ' || n"},
           {"jsonb", "jsonb_build_object('n', n)"},
           {"bit(8)", "n::bit(8)"}}) {
    SCOPED_TRACE(type);
    db.execute({"DROP TABLE IF EXISTS t", "CREATE TABLE t (k " + type + " PRIMARY KEY, ver integer)",
                "INSERT INTO t SELECT " + value + ", n FROM generate_series(1, 120) n ON CONFLICT DO NOTHING"});
    target = {};
    options.baseline.chunkRows = type == "boolean" ? 1 : 7;
    begin();
    ASSERT_TRUE(finish());
    expectEqual();
  }
}

TEST_F(BaselineChunks, SeveralTablesFollowEachOther) {
  makeTable(400);
  db.execute({"CREATE TABLE u (id integer PRIMARY KEY, ver integer)",
              "INSERT INTO u SELECT n, 1 FROM generate_series(1, 300) n"});
  begin({kTable, "baseline_chunks.u"});
  ASSERT_TRUE(finish());
  expectEqual();
  expectEqual("baseline_chunks.u");
}

TEST_F(BaselineChunks, ATruncateInBetweenLeavesOnlyWhatCameAfterIt) {
  makeTable(2'000);
  begin();
  while (target.reads < 500) step();
  meanwhile({"TRUNCATE t", "INSERT INTO t VALUES (5, 1, 'new', NULL), (1700, 1, 'new', NULL)"});
  ASSERT_TRUE(finish());
  expectEqual();
  EXPECT_EQ(target.rows(kTable).size(), 2u);
}

TEST_F(BaselineChunks, ATableThatIsAlteredIsReadAnewInItsNewShape) {
  makeTable(2'000);
  begin();
  while (target.reads < 500) step();
  stream->tell(chunks.get(), target);
  meanwhile({"ALTER TABLE t ADD COLUMN extra integer DEFAULT 7, DROP COLUMN v"});
  ASSERT_TRUE(finish());
  expectEqual();
  EXPECT_EQ(target.begins(kTable), 2u);
  EXPECT_EQ(target.rows(kTable).begin()->second.size(), 4u);
}

/// What was read so far lacks values that no event brings. A process that took the alteration and was killed before any
/// row came after it must not go on as if nothing had happened.
TEST_F(BaselineChunks, AnAlterationThatIsTheLastThingBeforeACrashIsNotForgotten) {
  makeTable(1'000);
  begin();
  while (target.reads < 300) step();
  auto change = std::make_shared<SchemaChange>();
  change->rowsChanged = true;
  ChangeEvent event{.op = ChangeOp::schemaChange, .shape = shapeOf(requireTable(db.raw(), kTable))};
  event.schemaChange = std::move(change);
  chunks->onChange(event);
  progress = chunks->progress();
  resume();
  ASSERT_TRUE(finish());
  expectEqual();
  EXPECT_EQ(target.begins(kTable), 2u);
}

/// The last range of a table has no end. Read again much later, it would hold all that was added since.
TEST_F(BaselineChunks, ARangeThatIsReadAgainAfterTheTableGrewIsNoLargerThanOthers) {
  makeTable(120);
  begin();
  while (target.reads < 100) progress = takeRows(*chunks, stream->tell(chunks.get(), target), target, progress);
  ASSERT_TRUE(servers::eventually([&] {
    for (int i = 0; i < 100; ++i) chunks->tend();
    return db.ask(
               "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tidegate' AND state <> 'idle' AND pid "
               "<> pg_backend_pid() AND query LIKE '%baseline_chunks%'") == "0";
  })) << "the last range is read, and waits for the stream";
  meanwhile({"ALTER TABLE t ADD COLUMN extra integer",
             "INSERT INTO t SELECT n, 1, 'late' FROM generate_series(1001, 3000) n"});
  ASSERT_TRUE(servers::eventually([&] {
    step();
    stream->confirm();
    return target.reads >= 600;
  }));
  const auto last = decodeProgress(progress).pending.at(0).last;
  ASSERT_EQ(last.size(), 1u);
  EXPECT_GT(std::stoi(last[0]), 1'000) << "nothing is done before the range has ended";
  ASSERT_TRUE(finish());
  EXPECT_EQ(target.rows(kTable).size(), 2'120u);
  EXPECT_EQ(target.wentBack, "");
  EXPECT_TRUE(target.whole(kTable));
  EXPECT_EQ(target.begins(kTable), 1u);
}

TEST_F(BaselineChunks, ATableThatIsLockedOrGoneIsWaitedForAndSaid) {
  makeTable(200);
  begin();
  db.run("ALTER TABLE t RENAME TO hidden");
  ASSERT_TRUE(servers::eventually([&] { return step(), !warnings.empty(); }));
  EXPECT_NE(warnings.front().find("baseline_chunks.t"), std::string::npos) << warnings.front();
  db.run("ALTER TABLE hidden RENAME TO t");
  ASSERT_TRUE(finish());
  expectEqual();
}

}  // namespace
}  // namespace tidegate::postgres::detail
