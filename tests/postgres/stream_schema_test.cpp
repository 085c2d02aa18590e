#include "postgres/stream_support.h"

namespace tidegate::postgres::detail {
namespace {

using Texts = std::vector<std::string>;

class StreamSchemas : public StreamTest {
 protected:
  void SetUp() override {
    StreamTest::SetUp();
    db().execute({"CREATE TABLE s.t (id int PRIMARY KEY, a text, b int)", "INSERT INTO s.t VALUES (1, 'x', 1)"});
  }
  static SourceOptions onlyTheStream() {
    SourceOptions options = testSource();
    options.monitorInterval = std::chrono::hours(1);  // nobody looks at the catalogue meanwhile
    return options;
  }
  /// What the statement does to the stream's idea of the table, told with the next row.
  std::shared_ptr<const SchemaChange> changeBy(const std::string& alter, const std::string& insert) {
    const std::size_t before = reader->events().size();
    db().execute({alter, insert});
    if (!reader->awaitEvents(before + 2)) {
      ADD_FAILURE() << reader->error() << "; state " << toString(source->state()) << "; got "
                    << testing::PrintToString(reader->texts());
      return std::make_shared<SchemaChange>();
    }
    const ChangeEvent event = reader->events()[before];
    EXPECT_EQ(event.op, ChangeOp::schemaChange);
    EXPECT_TRUE(event.transactionBegin);
    shape = event.shape;
    EXPECT_EQ(reader->events()[before + 1].shape, shape) << "rows that follow have the new shape";
    return event.schemaChange;
  }
  Shape shape;
};

TEST_F(StreamSchemas, AnAddedColumnIsTold) {
  follow({"s.t"}, onlyTheStream());
  const auto change = changeBy("ALTER TABLE s.t ADD c numeric", "INSERT INTO s.t VALUES (2, 'y', 2, 2.5)");
  ASSERT_TRUE(change->before);
  EXPECT_EQ(change->before->columns->names(), (Texts{"id", "a", "b"}));
  EXPECT_EQ(shape->columns->names(), (Texts{"id", "a", "b", "c"}));
  EXPECT_EQ(shape->schema.columns[3].kind, ValueKind::decimal);
  EXPECT_EQ(shape->schema.primaryKey, (Texts{"id"}));
  EXPECT_FALSE(change->rowsChanged) << "older rows have null in it, as a column without rows does";
  EXPECT_TRUE(change->renamed.empty());
}

TEST_F(StreamSchemas, AColumnAddedWithADefaultNeedsANewBaseline) {
  follow({"s.t"}, onlyTheStream());
  EXPECT_TRUE(changeBy("ALTER TABLE s.t ADD c int DEFAULT 7", "INSERT INTO s.t VALUES (2, 'y', 2)")->rowsChanged);
  EXPECT_TRUE(
      changeBy("ALTER TABLE s.t ADD d float DEFAULT random()", "INSERT INTO s.t VALUES (3, 'y', 2)")->rowsChanged);
}

TEST_F(StreamSchemas, ADroppedColumnIsTold) {
  follow({"s.t"}, onlyTheStream());
  const auto change = changeBy("ALTER TABLE s.t DROP a", "INSERT INTO s.t VALUES (2, 2)");
  EXPECT_EQ(shape->columns->names(), (Texts{"id", "b"}));
  EXPECT_FALSE(change->rowsChanged);
}

TEST_F(StreamSchemas, ARenamedColumnIsNoDropAndAdd) {
  follow({"s.t"}, onlyTheStream());
  const auto change = changeBy("ALTER TABLE s.t RENAME a TO z", "INSERT INTO s.t VALUES (2, 'y', 2)");
  EXPECT_EQ(change->renamed, (std::vector<std::pair<std::string, std::string>>{{"a", "z"}}));
  EXPECT_FALSE(change->rowsChanged);
  EXPECT_EQ(reader->texts().back(), "insert s.t (2, y, 2)");
}

TEST_F(StreamSchemas, ARetypedColumnNeedsANewBaseline) {
  follow({"s.t"}, onlyTheStream());
  const auto change =
      changeBy("ALTER TABLE s.t ALTER b TYPE text USING 'n' || b", "INSERT INTO s.t VALUES (2, 'y', 'm')");
  EXPECT_TRUE(change->rowsChanged);
  EXPECT_EQ(shape->schema.columns[2].kind, ValueKind::text);
  EXPECT_EQ(reader->texts().back(), "insert s.t (2, y, m)");
}

TEST_F(StreamSchemas, AColumnDroppedAndAddedAgainIsAnotherOne) {
  follow({"s.t"}, onlyTheStream());
  const auto change = changeBy("ALTER TABLE s.t DROP b, ADD b int DEFAULT 9", "INSERT INTO s.t VALUES (2, 'y', 2)");
  EXPECT_TRUE(change->rowsChanged);
}

TEST_F(StreamSchemas, AnEmptyColumnInPlaceOfADroppedOneNeedsANewBaseline) {
  follow({"s.t"}, onlyTheStream());
  const auto change = changeBy("ALTER TABLE s.t DROP b, ADD b int", "INSERT INTO s.t VALUES (2, 'y', 2)");
  EXPECT_TRUE(change->rowsChanged) << "targets know columns by name: row 1 would keep its old value";
}

TEST_F(StreamSchemas, AColumnUnderTheNameOfARenamedOneNeedsNothing) {
  follow({"s.t"}, onlyTheStream());
  db().execute({"ALTER TABLE s.t RENAME b TO c"});
  const auto change = changeBy("ALTER TABLE s.t ADD b int", "INSERT INTO s.t VALUES (2, 'y', 2, 3)");
  EXPECT_EQ(change->renamed, (std::vector<std::pair<std::string, std::string>>{{"b", "c"}}));
  EXPECT_FALSE(change->rowsChanged);
}

TEST_F(StreamSchemas, ALongerTextNeedsNothing) {
  db().execute({"ALTER TABLE s.t ALTER a TYPE varchar(10)"});
  follow({"s.t"}, onlyTheStream());
  EXPECT_FALSE(changeBy("ALTER TABLE s.t ALTER a TYPE varchar(20)", "INSERT INTO s.t VALUES (2, 'y', 2)")->rowsChanged);
}

TEST_F(StreamSchemas, RowsFromBeforeTheChangeStillHaveTheirOldShape) {
  make(onlyTheStream());
  const Position at = reader->baseline({"s.t"});
  Shape last = reader->events()[0].shape;
  reader->forget();
  db().execute({"INSERT INTO s.t VALUES (2, 'y', 2)", "ALTER TABLE s.t ADD c int",
                "INSERT INTO s.t VALUES (3, 'z', 3, 3)", "ALTER TABLE s.t DROP a", "INSERT INTO s.t VALUES (4, 4, 4)"});
  reader->start({"s.t"}, at);
  ASSERT_TRUE(reader->await(
      [&] { return !reader->held().empty() && eventText(reader->held().back()) == "insert s.t (4, 4, 4)"; }));
  Texts rows;
  for (const std::string& text : reader->texts()) {
    if (text.find("insert") == 0) rows.push_back(text);
  }
  EXPECT_EQ(rows, (Texts{"insert s.t (2, y, 2)", "insert s.t (3, z, 3, 3)", "insert s.t (4, 4, 4)"}));
  const auto events = reader->events();
  for (const ChangeEvent& event : events) {
    if (event.op == ChangeOp::schemaChange) last = event.shape;
    EXPECT_TRUE(event.op != ChangeOp::insert || event.shape == last) << "each change of shape is told before its rows";
  }
}

TEST_F(StreamSchemas, ASchemaChangeWithinATransactionStandsInItsPlace) {
  follow({"s.t"}, onlyTheStream());
  db().execute({"BEGIN", "INSERT INTO s.t VALUES (2, 'y', 2)", "ALTER TABLE s.t ADD c int",
                "INSERT INTO s.t VALUES (3, 'z', 3, 3)", "COMMIT"});
  ASSERT_TRUE(reader->awaitEvents(3));
  EXPECT_EQ(reader->texts(), (Texts{"insert s.t (2, y, 2)", "schemaChange s.t", "insert s.t (3, z, 3, 3)"}));
}

TEST_F(StreamSchemas, ARenamedTableKeepsItsNameInTheStream) {
  follow({"s.t"}, onlyTheStream());
  db().execute({"ALTER TABLE s.t RENAME TO u", "INSERT INTO s.u VALUES (2, 'y', 2)"});
  ASSERT_TRUE(reader->awaitEvents(1)) << reader->error();
  EXPECT_EQ(reader->texts(), (Texts{"insert s.t (2, y, 2)"}));
  EXPECT_TRUE(servers::eventually([&] { return warned("s.u"); }));
}

TEST_F(StreamSchemas, ATableThatNobodyWritesToIsLookedAt) {
  follow({"s.t"});
  db().execute({"ALTER TABLE s.t ADD c int DEFAULT 7"});
  ASSERT_TRUE(reader->awaitEvents(1)) << "its rows have values that no other event would bring";
  const ChangeEvent event = reader->events()[0];
  EXPECT_EQ(event.op, ChangeOp::schemaChange);
  EXPECT_TRUE(event.transactionBegin && event.transactionEnd);
  EXPECT_TRUE(event.schemaChange->rowsChanged);
  EXPECT_EQ(event.shape->columns->names(), (Texts{"id", "a", "b", "c"}));
  db().execute({"INSERT INTO s.t VALUES (2, 'y', 2, 2)"});
  ASSERT_TRUE(reader->awaitEvents(2));
  EXPECT_EQ(reader->texts(1), (Texts{"insert s.t (2, y, 2, 2)"})) << "told once";
  EXPECT_TRUE(source->comparePositions(event.position, reader->last()) == std::partial_ordering::less);
}

TEST_F(StreamSchemas, AChangeWhileNobodyStreamedIsTold) {
  follow({"s.t"}, onlyTheStream());
  db().execute({"INSERT INTO s.t VALUES (2, 'y', 2)"});
  ASSERT_TRUE(reader->awaitEvents(1));
  const Position at = reader->last();
  source->ack(at);
  reader->stop();
  ASSERT_TRUE(slotsFree());
  db().execute({"ALTER TABLE s.t ADD c int DEFAULT 7"});
  make();  // another process: it does not know what its readers were told
  reader->start({"s.t"}, at);
  ASSERT_TRUE(reader->awaitEvents(1));
  EXPECT_EQ(reader->events()[0].op, ChangeOp::schemaChange);
  EXPECT_TRUE(reader->events()[0].schemaChange->rowsChanged) << "rows 1 and 2 have a 7 that no event brings";
}

TEST_F(StreamSchemas, ARestartWithoutAChangeTellsNothing) {
  follow({"s.t"}, onlyTheStream());
  db().execute({"INSERT INTO s.t VALUES (2, 'y', 2)"});
  ASSERT_TRUE(reader->awaitEvents(1));
  const Position at = reader->last();
  reader->stop();
  ASSERT_TRUE(slotsFree());
  make();
  reader->start({"s.t"}, at);
  db().execute({"INSERT INTO s.t VALUES (3, 'z', 3)"});
  ASSERT_TRUE(reader->awaitEvents(1));
  EXPECT_EQ(reader->texts(), (Texts{"insert s.t (3, z, 3)"}));
}

TEST_F(StreamSchemas, ATableMadeAnewNeedsANewBaselineAndIsPublishedAgain) {
  follow({"s.t"});
  db().execute(
      {"DROP TABLE s.t", "CREATE TABLE s.t (id int PRIMARY KEY, other text)", "INSERT INTO s.t VALUES (1, 'o')"});
  ASSERT_TRUE(reader->awaitEvents(1)) << reader->error();
  EXPECT_TRUE(reader->events()[0].schemaChange->rowsChanged);
  EXPECT_EQ(reader->events()[0].shape->columns->names(), (Texts{"id", "other"}));
  db().execute({"INSERT INTO s.t VALUES (2, 'p')"});
  ASSERT_TRUE(reader->awaitEvents(2));
  EXPECT_EQ(reader->texts(1), (Texts{"insert s.t (2, p)"}));
}

TEST_F(StreamSchemas, ADroppedTableIsTold) {
  follow({"s.t"});
  db().execute({"DROP TABLE s.t"});
  EXPECT_TRUE(servers::eventually([&] { return warned("s.t was dropped"); }));
}

TEST_F(StreamSchemas, DomainsAndEnumsAreReadAsWhatTheyAre) {
  db().execute({"CREATE DOMAIN s.amount AS numeric(10,2)", "CREATE TYPE s.mood AS ENUM ('sad', 'glad')"});
  follow({"s.t"}, onlyTheStream());
  changeBy("ALTER TABLE s.t ADD m s.mood, ADD d s.amount, ADD l int[]",
           "INSERT INTO s.t VALUES (2, 'y', 2, 'glad', 1.5, '{1,NULL}')");
  EXPECT_EQ(reader->texts().back(), "insert s.t (2, y, 2, glad, 1.50, {1,NULL})");
  EXPECT_EQ(shape->schema.columns[4].kind, ValueKind::decimal);
}

}  // namespace
}  // namespace tidegate::postgres::detail
