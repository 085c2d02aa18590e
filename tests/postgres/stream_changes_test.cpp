#include "postgres/stream_support.h"

namespace tidegate::postgres::detail {
namespace {

using Texts = std::vector<std::string>;

class StreamChanges : public StreamTest {};

TEST_F(StreamChanges, ArriveTypedAndInOrder) {
  db().execute({"CREATE TABLE s.t (id bigint PRIMARY KEY, name text, n numeric, at timestamptz)"});
  follow({"s.t"});
  db().execute(
      {"INSERT INTO s.t VALUES (1, 'a', 1.50, '2024-01-02 03:04:05.678901Z'), (9007199254740993, NULL, 'NaN', "
       "'infinity')",
       "UPDATE s.t SET name = 'b' WHERE id = 1", "DELETE FROM s.t WHERE id = 1"});
  ASSERT_TRUE(reader->awaitEvents(4)) << reader->error();
  EXPECT_EQ(reader->texts(),
            (Texts{"insert s.t (1, a, 1.50, 2024-01-02T03:04:05.678901Z)",
                   "insert s.t (9007199254740993, null, NaN, infinity)",
                   "update s.t (1, b, 1.50, 2024-01-02T03:04:05.678901Z)", "erase s.t (1, -, -, -) ->"}));
}

TEST_F(StreamChanges, HaveTheBordersAndPlacesOfTheirTransactions) {
  db().execute({"CREATE TABLE s.t (id int PRIMARY KEY)"});
  follow({"s.t"});
  db().execute({"BEGIN", "INSERT INTO s.t VALUES (1), (2), (3)", "COMMIT", "INSERT INTO s.t VALUES (4)"});
  ASSERT_TRUE(reader->awaitEvents(4));
  const auto events = reader->events();
  std::string borders;
  for (const ChangeEvent& event : events) {
    borders += event.transactionBegin ? "[" : "";
    borders += "x";
    borders += event.transactionEnd ? "]" : "";
    EXPECT_LE(event.position.octets.size(), 15u) << "a position must not allocate";
    EXPECT_GT(event.commitMicros, 1'700'000'000'000'000);
  }
  EXPECT_EQ(borders, "[xxx][x]");
  EXPECT_EQ(events[0].transactionId, events[2].transactionId);
  EXPECT_NE(events[0].transactionId, events[3].transactionId);
  for (std::size_t i = 1; i < events.size(); ++i) {
    EXPECT_TRUE(source->comparePositions(events[i - 1].position, events[i].position) == std::partial_ordering::less);
    EXPECT_TRUE(source->positionFromText(source->positionToText(events[i].position)) == events[i].position);
  }
}

TEST_F(StreamChanges, ComeInTheOrderOfCommitsNotOfStarts) {
  db().execute({"CREATE TABLE s.t (id int PRIMARY KEY)"});
  follow({"s.t"});
  TestLink early;
  early.execute({"BEGIN", "INSERT INTO s.t VALUES (1)"});
  db().execute({"INSERT INTO s.t VALUES (2)"});
  early.execute({"COMMIT"});
  ASSERT_TRUE(reader->awaitEvents(2));
  EXPECT_EQ(reader->texts(), (Texts{"insert s.t (2)", "insert s.t (1)"}));
}

TEST_F(StreamChanges, OfAKeyAreAnEraseAndAnInsert) {
  db().execute({"CREATE TABLE s.t (id int PRIMARY KEY, v text)", "CREATE TABLE s.f (id int PRIMARY KEY, v text)",
                "ALTER TABLE s.f REPLICA IDENTITY FULL"});
  follow({"s.t", "s.f"});
  db().execute({"INSERT INTO s.t VALUES (1, 'a')", "UPDATE s.t SET id = 2", "INSERT INTO s.f VALUES (1, 'a')",
                "UPDATE s.f SET id = 2"});
  ASSERT_TRUE(reader->awaitEvents(6));
  EXPECT_EQ(reader->texts(), (Texts{"insert s.t (1, a)", "erase s.t (1, -) ->", "insert s.t (2, a)",
                                    "insert s.f (1, a)", "erase s.f (1, a) ->", "insert s.f (2, a)"}));
}

TEST_F(StreamChanges, LeaveOutLargeValuesThatDidNotChange) {
  db().execute({"CREATE TABLE s.t (id int PRIMARY KEY, n int, big text)",
                "ALTER TABLE s.t ALTER big SET STORAGE EXTERNAL", "INSERT INTO s.t VALUES (1, 1, repeat('x', 10000))"});
  follow({"s.t"});
  db().execute({"UPDATE s.t SET n = 2"});
  ASSERT_TRUE(reader->awaitEvents(1));
  EXPECT_EQ(reader->texts(), (Texts{"update s.t (1, 2, -)"}));
  EXPECT_TRUE(reader->events()[0].after[2].isNull());
}

TEST_F(StreamChanges, OfAKeyBringLargeValuesThatDidNotChange) {
  db().execute({"CREATE TABLE s.t (id int PRIMARY KEY, big text)", "ALTER TABLE s.t ALTER big SET STORAGE EXTERNAL",
                "INSERT INTO s.t VALUES (1, repeat('x', 10000))"});
  follow({"s.t"});
  db().execute({"UPDATE s.t SET id = 2"});
  ASSERT_TRUE(reader->awaitEvents(2));
  const ChangeEvent insert = reader->events()[1];
  EXPECT_EQ(insert.op, ChangeOp::insert);
  EXPECT_TRUE(insert.unchanged.empty()) << "the row under the new key would lose its large value";
  EXPECT_TRUE(insert.after[1] == Value(std::string(10'000, 'x')));
}

TEST_F(StreamChanges, OfFullIdentityKnowEveryValue) {
  db().execute({"CREATE TABLE s.t (id int PRIMARY KEY, n int, big text)", "ALTER TABLE s.t REPLICA IDENTITY FULL",
                "ALTER TABLE s.t ALTER big SET STORAGE EXTERNAL", "INSERT INTO s.t VALUES (1, 1, repeat('x', 10000))"});
  follow({"s.t"});
  db().execute({"UPDATE s.t SET n = 2", "DELETE FROM s.t"});
  ASSERT_TRUE(reader->awaitEvents(2));
  const auto events = reader->events();
  EXPECT_TRUE(events[0].unchanged.empty());
  EXPECT_TRUE(events[0].before[1] == Value(1) && events[0].after[2] == Value(std::string(10'000, 'x')));
  EXPECT_TRUE(events[1].beforeAbsent.empty());
}

TEST_F(StreamChanges, OfAnIdentityByIndexNameItsColumns) {
  db().execute({"CREATE TABLE s.t (id int, code text NOT NULL UNIQUE, v int)",
                "ALTER TABLE s.t REPLICA IDENTITY USING INDEX t_code_key", "INSERT INTO s.t VALUES (1, 'a', 1)"});
  follow({"s.t"});
  db().execute({"UPDATE s.t SET v = 2", "UPDATE s.t SET code = 'b'", "DELETE FROM s.t"});
  ASSERT_TRUE(reader->awaitEvents(4));
  EXPECT_EQ(reader->texts(), (Texts{"update s.t (1, a, 2)", "erase s.t (-, a, -) ->", "insert s.t (1, b, 2)",
                                    "erase s.t (-, b, -) ->"}));
}

TEST_F(StreamChanges, WithoutIdentityAreRefusedByTheServerAndNamedBefore) {
  db().execute({"CREATE TABLE s.t (id int PRIMARY KEY)", "ALTER TABLE s.t REPLICA IDENTITY NOTHING"});
  make();
  const auto issues = source->validateTables({"s.t"});
  ASSERT_EQ(issues.size(), 1u);
  EXPECT_EQ(issues[0].code, ErrorCode::noReplicaIdentity);
  EXPECT_NE(issues[0].message.find("ALTER TABLE"), std::string::npos) << issues[0].message;
  reader->start({"s.t"}, reader->baseline({"s.t"}));
  reader->forget();
  db().execute({"INSERT INTO s.t VALUES (1)"});
  EXPECT_THROW(db().execute({"UPDATE s.t SET id = 2"}), Error);
  ASSERT_TRUE(reader->awaitEvents(1));
}

TEST_F(StreamChanges, TruncateSeveralTablesAtOnce) {
  db().execute({"CREATE TABLE s.a (id int PRIMARY KEY)", "CREATE TABLE s.b (id int PRIMARY KEY)",
                "CREATE TABLE s.c (id int PRIMARY KEY)"});
  follow({"s.a", "s.b"});
  db().execute({"TRUNCATE s.a, s.b, s.c"});
  ASSERT_TRUE(reader->awaitEvents(2));
  auto texts = reader->texts();
  std::sort(texts.begin(), texts.end());
  EXPECT_EQ(texts, (Texts{"truncate s.a", "truncate s.b"}));
  EXPECT_TRUE(reader->events()[0].transactionBegin && reader->events()[1].transactionEnd);
}

TEST_F(StreamChanges, OfPartitionsComeUnderTheRoot) {
  db().execute({"CREATE TABLE s.p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id)",
                "CREATE TABLE s.p1 PARTITION OF s.p FOR VALUES FROM (0) TO (10)",
                "CREATE TABLE s.p2 PARTITION OF s.p FOR VALUES FROM (10) TO (20)"});
  follow({"s.p"});
  db().execute({"INSERT INTO s.p VALUES (1, 'a'), (11, 'b')", "UPDATE s.p SET id = 12 WHERE id = 1"});
  ASSERT_TRUE(reader->awaitEvents(4));
  EXPECT_EQ(reader->texts(),
            (Texts{"insert s.p (1, a)", "insert s.p (11, b)", "erase s.p (1, -) ->", "insert s.p (12, a)"}));
}

TEST_F(StreamChanges, OfPartitionsComeUnderTheirOwnNamesIfAsked) {
  db().execute({"CREATE TABLE s.p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id)",
                "CREATE TABLE s.p1 PARTITION OF s.p FOR VALUES FROM (0) TO (10)",
                "CREATE TABLE s.p2 PARTITION OF s.p FOR VALUES FROM (10) TO (20)"});
  SourceOptions options = testSource();
  options.publication.viaPartitionRoot = false;
  follow({"s.p1", "s.p2"}, options);
  db().execute({"INSERT INTO s.p VALUES (1, 'a'), (11, 'b')"});
  ASSERT_TRUE(reader->awaitEvents(2));
  EXPECT_EQ(reader->texts(), (Texts{"insert s.p1 (1, a)", "insert s.p2 (11, b)"}));
}

TEST_F(StreamChanges, HaveNoGeneratedColumns) {
  db().execute({"CREATE TABLE s.t (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED, v int)"});
  follow({"s.t"});
  db().execute({"INSERT INTO s.t (id, v) VALUES (1, 7)"});
  ASSERT_TRUE(reader->awaitEvents(1));
  reader->stop();
  EXPECT_EQ(source->describeTable("s.t")->columns->names(), (Texts{"id", "v"}));
  EXPECT_EQ(reader->texts(), (Texts{"insert s.t (1, 7)"}));
}

TEST_F(StreamChanges, AreFilteredByThePublication) {
  db().execute(
      {"CREATE TABLE s.t (id int PRIMARY KEY, region text, secret text)", "ALTER TABLE s.t REPLICA IDENTITY FULL"});
  SourceOptions options = testSource();
  options.publication.tables["s.t"] = {.rowFilter = "region = 'eu'"};
  follow({"s.t"}, options);
  db().execute({"INSERT INTO s.t VALUES (1, 'eu', 'x'), (2, 'us', 'y')", "UPDATE s.t SET region = 'us' WHERE id = 1",
                "UPDATE s.t SET region = 'eu' WHERE id = 2"});
  ASSERT_TRUE(reader->awaitEvents(3));
  EXPECT_EQ(reader->texts(), (Texts{"insert s.t (1, eu, x)", "erase s.t (1, eu, x) ->", "insert s.t (2, eu, y)"}))
      << "a row that leaves the filter must not stay in the replica";
}

TEST_F(StreamChanges, HaveTheListedColumnsOnly) {
  db().execute({"CREATE TABLE s.t (id int PRIMARY KEY, name text, secret text)"});
  SourceOptions options = testSource();
  options.publication.tables["s.t"] = {.columns = {"id", "name"}};
  follow({"s.t"}, options);
  db().execute({"INSERT INTO s.t VALUES (1, 'a', 'x')"});
  ASSERT_TRUE(reader->awaitEvents(1));
  reader->stop();
  EXPECT_EQ(source->describeTable("s.t")->columns->names(), (Texts{"id", "name"}));
  EXPECT_EQ(reader->texts(), (Texts{"insert s.t (1, a)"}));
}

}  // namespace
}  // namespace tidegate::postgres::detail
