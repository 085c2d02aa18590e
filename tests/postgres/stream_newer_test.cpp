// What servers newer than Debian 12's can do to a stream. Most of it needs tests/postgres/newer_server.sh.
#include <gmock/gmock.h>

#include "postgres/stream_support.h"

namespace tidegate::postgres::detail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Texts = std::vector<std::string>;

class StreamNewer : public StreamTest {
 protected:
  bool isOlderThan(int version) { return PQserverVersion(db().raw()) < version; }
  static SourceOptions theirs() {
    SourceOptions options = testSource();
    options.publication.manage = PublicationMode::leaveAlone;
    return options;
  }
  Texts columnsOf(const std::string& table) { return source->describeTable(table)->columns->names(); }
  /// The only issue of a table, with the statement that mends it.
  std::string fatalIssue(const std::string& table) {
    const auto issues = source->validateTables({table});
    EXPECT_EQ(issues.size(), 1u);
    if (issues.size() != 1) return {};
    EXPECT_TRUE(issues[0].fatal);
    EXPECT_EQ(issues[0].code, ErrorCode::noReplicaIdentity);
    return issues[0].message;
  }
};

#define NEEDS(version) \
  if (isOlderThan(version)) GTEST_SKIP() << "needs PostgreSQL " << (version) / 10'000

TEST_F(StreamNewer, GeneratedColumnsComeWhereTheyArePublished) {
  NEEDS(180'000);
  db().execute({"CREATE TABLE s.t (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED, v text)",
                "INSERT INTO s.t VALUES (1, DEFAULT, 'a')"});
  SourceOptions options = testSource();
  options.publication.generatedColumns = true;
  make(options);
  const Position at = reader->baseline({"s.t"});
  reader->start({"s.t"}, at);
  db().execute({"INSERT INTO s.t VALUES (2, DEFAULT, 'b')", "UPDATE s.t SET id = 3 WHERE id = 1"});
  ASSERT_TRUE(reader->awaitEvents(6)) << reader->error();
  EXPECT_THAT(reader->texts(), ElementsAre("baselineBegin s.t", "read s.t (1, 2, a)", "baselineEnd s.t",
                                           "insert s.t (2, 4, b)", "erase s.t (1, -, -) ->", "insert s.t (3, 6, a)"));
}

TEST_F(StreamNewer, AColumnListMayNameGeneratedOnes) {
  NEEDS(180'000);
  db().execute({"CREATE TABLE s.t (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED, v text)",
                "CREATE PUBLICATION tidegate_test FOR TABLE s.t (id, twice)"});
  make(theirs());
  EXPECT_EQ(columnsOf("s.t"), (Texts{"id", "twice"}));
  follow({"s.t"}, theirs());
  db().execute({"INSERT INTO s.t VALUES (2, DEFAULT, 'b')"});
  ASSERT_TRUE(reader->awaitEvents(1)) << reader->error();
  EXPECT_THAT(reader->texts(), ElementsAre("insert s.t (2, 4)"));
}

TEST_F(StreamNewer, PublishingThemLaterIsASchemaChange) {
  NEEDS(180'000);
  db().execute({"CREATE TABLE s.t (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED)"});
  follow({"s.t"});
  db().execute({"INSERT INTO s.t VALUES (1)",
                "ALTER PUBLICATION tidegate_test SET (publish_generated_columns = stored)",
                "INSERT INTO s.t VALUES (2)"});
  ASSERT_TRUE(reader->awaitEvents(3)) << reader->error();
  EXPECT_THAT(reader->texts(), ElementsAre("insert s.t (1)", "schemaChange s.t", "insert s.t (2, 4)"));
  EXPECT_TRUE(reader->events()[1].schemaChange->rowsChanged) << "old rows have something there";
}

TEST_F(StreamNewer, ColumnsThatAreComputedWhenTheyAreReadNeverCome) {
  NEEDS(180'000);
  db().execute({"CREATE TABLE s.t (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2), v text)",
                "INSERT INTO s.t VALUES (1, DEFAULT, 'a')"});
  SourceOptions options = testSource();
  options.publication.generatedColumns = true;
  make(options);
  const Position at = reader->baseline({"s.t"});
  reader->start({"s.t"}, at);
  db().execute({"INSERT INTO s.t VALUES (2, DEFAULT, 'b')"});
  ASSERT_TRUE(reader->awaitEvents(4)) << reader->error();
  EXPECT_THAT(reader->texts(),
              ElementsAre("baselineBegin s.t", "read s.t (1, a)", "baselineEnd s.t", "insert s.t (2, b)"));
}

/// Each remedy is run, and then the server takes the update that it refused.
TEST_F(StreamNewer, ATableWhoseUpdatesTheServerWouldRefuseIsAnIssue) {
  NEEDS(180'000);
  const std::string update = "UPDATE s.t SET v = 'z'";
  for (const std::string kind : {"STORED", "VIRTUAL"}) {
    SCOPED_TRACE(kind);
    clean();
    db().execute({"CREATE TABLE s.t (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) " + kind + ", v text)",
                  "ALTER TABLE s.t REPLICA IDENTITY FULL", "CREATE PUBLICATION tidegate_test FOR TABLE s.t"});
    make(theirs());
    EXPECT_THROW(db().run(update), Error);
    const std::string text = fatalIssue("s.t");
    db().run(text.substr(text.find("ALTER ")));
    EXPECT_TRUE(source->validateTables({"s.t"}).empty());
    db().run(update);
  }
}

TEST_F(StreamNewer, AColumnListBesideAFullIdentityIsAnIssue) {
  NEEDS(150'000);
  db().execute({"CREATE TABLE s.t (id int PRIMARY KEY, v text)", "ALTER TABLE s.t REPLICA IDENTITY FULL",
                "CREATE PUBLICATION tidegate_test FOR TABLE s.t (id, v)"});
  make(theirs());
  EXPECT_THROW(db().run("UPDATE s.t SET v = 'z'"), Error);
  const std::string text = fatalIssue("s.t");
  db().run(text.substr(text.find("ALTER ")));
  EXPECT_TRUE(source->validateTables({"s.t"}).empty());
  db().run("UPDATE s.t SET v = 'z'");
  // One that we make ourselves is judged by our options, before it is there.
  db().execute({"DROP PUBLICATION tidegate_test", "ALTER TABLE s.t REPLICA IDENTITY FULL"});
  SourceOptions options = testSource();
  options.publication.tables["s.t"] = {.columns = {"id", "v"}};
  make(options);
  EXPECT_THAT(fatalIssue("s.t"), HasSubstr("REPLICA IDENTITY DEFAULT"));
}

TEST_F(StreamNewer, AKeyThatIsGeneratedAndNotPublishedIsAnIssue) {
  NEEDS(180'000);
  db().execute({"CREATE TABLE s.t (id int, k int GENERATED ALWAYS AS (id * 2) STORED PRIMARY KEY, v text)",
                "CREATE PUBLICATION tidegate_test FOR TABLE s.t"});
  make(theirs());
  EXPECT_THROW(db().run("UPDATE s.t SET v = 'z'"), Error);
  const std::string text = fatalIssue("s.t");
  db().run(text.substr(text.find("ALTER ")));
  EXPECT_TRUE(source->validateTables({"s.t"}).empty());
  db().run("UPDATE s.t SET v = 'z'");
}

TEST_F(StreamNewer, ANotNullThatIsNotValidMayStillBeNull) {
  NEEDS(180'000);
  db().execute({"CREATE TABLE s.t (id int PRIMARY KEY, v text)", "INSERT INTO s.t VALUES (1)",
                "ALTER TABLE s.t ADD CONSTRAINT filled NOT NULL v NOT VALID"});
  make();
  EXPECT_TRUE(source->describeTable("s.t")->schema.columns[1].nullable);
  db().execute({"UPDATE s.t SET v = 'a'", "ALTER TABLE s.t VALIDATE CONSTRAINT filled"});
  EXPECT_FALSE(source->describeTable("s.t")->schema.columns[1].nullable);
}

TEST_F(StreamNewer, KeysWithoutOverlapsAreFollowed) {
  NEEDS(180'000);
  db().execute({"CREATE TABLE s.t (id int4range, at daterange, v text, PRIMARY KEY (id, at WITHOUT OVERLAPS))",
                "INSERT INTO s.t VALUES ('[1,2)', '[2024-01-01,2024-02-01)', 'a'), ('[1,2)', "
                "'[2024-02-01,2024-03-01)', 'b'), ('[5,6)', '[2024-01-01,)', 'c')"});
  SourceOptions options = testSource();
  options.baseline = {.chunkedFromRows = 0, .chunkRows = 2};
  make(options);
  const Position at = reader->baseline({"s.t"});
  reader->start({"s.t"}, at);
  ASSERT_TRUE(reader->awaitEvents(5)) << reader->error();
  db().execute({"UPDATE s.t SET v = 'z' WHERE v = 'b'", "DELETE FROM s.t WHERE v = 'c'"});
  ASSERT_TRUE(reader->awaitEvents(7)) << reader->error();
  const Texts texts = reader->texts();
  EXPECT_THAT(texts[6], HasSubstr("erase s.t ([5,6), [2024-01-01,)"));
  EXPECT_EQ(texts[5], "update s.t ([1,2), [2024-02-01,2024-03-01), z)");
}

TEST_F(StreamNewer, AnIntervalWithoutEndReadsTheSameInBaselineAndStream) {
  NEEDS(170'000);
  db().execute({"CREATE TABLE s.t (id int PRIMARY KEY, i interval)", "INSERT INTO s.t VALUES (1, 'infinity')"});
  make();
  const Position at = reader->baseline({"s.t"});
  reader->start({"s.t"}, at);
  db().execute({"INSERT INTO s.t VALUES (2, 'infinity')"});
  ASSERT_TRUE(reader->awaitEvents(4)) << reader->error();
  EXPECT_EQ(reader->texts()[1], "read s.t (1, infinity)");
  EXPECT_EQ(reader->texts()[3], "insert s.t (2, infinity)");
}

TEST_F(StreamNewer, ASlotThatNobodyUsedIsAPlaceLostNamingTheSetting) {
  NEEDS(180'000);
  db().execute({"CREATE TABLE s.t (id int PRIMARY KEY)"});
  follow({"s.t"});
  reader->stop();
  ASSERT_TRUE(slotsFree());
  const Position at = reader->baseline({"s.t"});
  db().execute({"ALTER SYSTEM SET idle_replication_slot_timeout = '1s'", "SELECT pg_reload_conf()"});
  const bool given = servers::eventually([&] {
    db().run("CHECKPOINT");
    return db().ask("SELECT invalidation_reason FROM pg_replication_slots WHERE slot_name = 'tidegate_test'") ==
           "idle_timeout";
  });
  const auto issues = source->validateTables({});
  db().execute({"ALTER SYSTEM RESET idle_replication_slot_timeout", "SELECT pg_reload_conf()"});
  ASSERT_TRUE(given);
  ASSERT_EQ(issues.size(), 2u);
  EXPECT_THAT(issues[0].message, HasSubstr("ALTER SYSTEM SET idle_replication_slot_timeout = 0"));
  EXPECT_FALSE(issues[0].fatal || issues[1].fatal) << "a baseline makes the slot anew";
  reader->start({"s.t"}, at);
  const auto error = reader->awaitFailure();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::positionLost) << error->what();
  EXPECT_THAT(error->message(), HasSubstr("idle_replication_slot_timeout"));
}

TEST_F(StreamNewer, ASlotOfPreparedTransactionsIsRefusedWithTheStatementThatDropsIt) {
  NEEDS(140'000);
  db().execute({"CREATE TABLE s.t (id int PRIMARY KEY)", "CREATE PUBLICATION tidegate_test FOR TABLE s.t",
                "SELECT pg_create_logical_replication_slot('tidegate_test', 'pgoutput', false, true)"});
  make();
  const auto issues = source->validateTables({});
  ASSERT_EQ(issues.size(), 1u);
  EXPECT_TRUE(issues[0].fatal);
  const std::string& text = issues[0].message;
  db().run(text.substr(text.find("SELECT pg_drop_replication_slot")));
  EXPECT_TRUE(source->validateTables({}).empty());
}

/// However the database, or the role, limits what takes long. A range keeps the source's own limit.
TEST_F(StreamNewer, NoTimeoutOfTheServersEndsABaseline) {
  NEEDS(170'000);
  constexpr std::size_t kRows = 40'000;  // more than lies in any buffer
  db().execute({"CREATE TABLE s.t (id int PRIMARY KEY, pad text)",
                "INSERT INTO s.t SELECT i, repeat('x', 250) FROM generate_series(1, " + std::to_string(kRows) + ") i"});
  SourceOptions options = testSource();
  for (const char* setting :
       {"statement_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout", "transaction_timeout"}) {
    options.connect.settings.emplace_back(setting, "1s");
  }
  make(options);
  // The reader is full for longer than any of them.
  const auto begun = std::chrono::steady_clock::now();
  const auto handler = reader->handler();
  const ChangeHandler slow = [&](ChangeBatch& batch) {
    const bool early = std::chrono::steady_clock::now() - begun < std::chrono::seconds(2);
    return early ? Taken::full : handler(batch);
  };
  const Position at = source->baseline({"s.t"}, slow, {});
  reader->start({"s.t"}, at);
  ASSERT_TRUE(reader->awaitEvents(kRows + 2)) << reader->error();
  EXPECT_EQ(reader->events().size(), kRows + 2);
}

}  // namespace
}  // namespace tidegate::postgres::detail
