#include "postgres/detail/catalogue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "link.h"

namespace tidegate::postgres::detail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class Catalogue : public testing::Test {
 protected:
  TestLink db;

  void SetUp() override {
    db.execute({"DROP PUBLICATION IF EXISTS catalogue_pub", "DROP SCHEMA IF EXISTS catalogue_test CASCADE",
                "CREATE SCHEMA catalogue_test", "SET search_path = catalogue_test, public"});
  }
  void TearDown() override { db.execute({"DROP PUBLICATION IF EXISTS catalogue_pub"}); }

  std::vector<TableIssue> issues(const std::string& table, const PublicationUse& use) {
    return issuesOf(table, readTableFacts(db.raw(), table, use.managed ? "" : use.name), use);
  }
  std::vector<TableIssue> issues(const std::string& table) { return issues(table, {.name = "p", .managed = true}); }
  /// Of the only issue.
  std::string message(const std::string& table, ErrorCode code, const PublicationUse& use, bool fatal = true) {
    const auto found = issues(table, use);
    EXPECT_EQ(found.size(), 1u);
    if (found.size() != 1) return "";
    EXPECT_EQ(found[0].code, code);
    EXPECT_EQ(found[0].fatal, fatal);
    EXPECT_EQ(found[0].table, table);
    return found[0].message;
  }
  std::string message(const std::string& table, ErrorCode code, bool fatal = true) {
    return message(table, code, {.name = "p", .managed = true}, fatal);
  }
};

TEST(TableNames, AreReadAsTheyAreWritten) {
  EXPECT_EQ(parseTableName("users"), (TableName{"", "users"}));
  EXPECT_EQ(parseTableName("public.Users"), (TableName{"public", "Users"}));
  EXPECT_EQ(parseTableName(R"("a.b"."c""d")"), (TableName{"a.b", "c\"d"}));
  EXPECT_EQ(fullNameOf("a.b", "c\"d"), R"("a.b"."c""d")");
  EXPECT_EQ(fullNameOf("public", "Users"), "public.Users");
  for (const char* bad : {"", ".", "a.", ".a", "a.b.c", "\"a", "\"\"", "a\"b", "\"a\"b"}) {
    EXPECT_THROW(parseTableName(bad), Error) << bad;
  }
}

TEST_F(Catalogue, GivesTheShapeOfATable) {
  db.execute({"CREATE DOMAIN small AS integer CHECK (VALUE < 100)", "CREATE DOMAIN smaller AS small",
              "CREATE TABLE \"Odd.Name\" (b smaller NOT NULL, \"A\" text, n numeric(10,2), gone int, tags text[], "
              "twice integer GENERATED ALWAYS AS (b * 2) STORED, at timestamptz(3), PRIMARY KEY (\"A\", b))",
              "ALTER TABLE \"Odd.Name\" DROP COLUMN gone"});
  const TableFacts facts = requireTable(db.raw(), "\"Odd.Name\"");
  const Shape shape = shapeOf(facts);
  EXPECT_EQ(shape->schema.table, "catalogue_test.\"Odd.Name\"");
  EXPECT_THAT(shape->columns->names(), ElementsAre("b", "A", "n", "tags", "at"));
  EXPECT_THAT(shape->schema.primaryKey, ElementsAre("A", "b"));
  EXPECT_THAT(shape->key, ElementsAre(1u, 0u));
  const auto& columns = shape->schema.columns;
  EXPECT_TRUE((columns[0] == ColumnSchema{"b", ValueKind::int64, false, "smaller"}));
  EXPECT_TRUE((columns[1] == ColumnSchema{"A", ValueKind::text, false, "text"}));
  EXPECT_TRUE((columns[2] == ColumnSchema{"n", ValueKind::decimal, true, "numeric(10,2)"}));
  EXPECT_TRUE((columns[3] == ColumnSchema{"tags", ValueKind::text, true, "text[]"}));
  EXPECT_TRUE((columns[4] == ColumnSchema{"at", ValueKind::timestamp, true, "timestamp(3) with time zone"}));
  EXPECT_EQ(requireTable(db.raw(), facts.fullName()).oid, facts.oid);
  EXPECT_THAT(issues("\"Odd.Name\""), IsEmpty());
}

TEST_F(Catalogue, FindsATableBySearchPathAndSaysWhichItFound) {
  db.execute({"CREATE SCHEMA IF NOT EXISTS catalogue_other", "DROP TABLE IF EXISTS catalogue_other.both",
              "CREATE TABLE catalogue_other.both (id int)", "CREATE TABLE catalogue_test.both (id int)"});
  EXPECT_EQ(requireTable(db.raw(), "both").fullName(), "catalogue_test.both");
  db.execute({"SET search_path = catalogue_other, catalogue_test"});
  EXPECT_EQ(requireTable(db.raw(), "both").fullName(), "catalogue_other.both");
  EXPECT_EQ(requireTable(db.raw(), "catalogue_test.both").fullName(), "catalogue_test.both");
  db.execute({"SET search_path = catalogue_test", "DROP SCHEMA catalogue_other CASCADE"});
}

TEST_F(Catalogue, SaysThatATableIsMissing) {
  EXPECT_THAT(message("nowhere", ErrorCode::tableNotFound), HasSubstr("\"nowhere\""));
  EXPECT_EQ(servers::errorOf([&] { requireTable(db.raw(), "public.nowhere"); }).code(), ErrorCode::tableNotFound);
}

TEST_F(Catalogue, TakesTheKeyFromTheReplicaIdentity) {
  db.execute(
      {"CREATE TABLE t (id int PRIMARY KEY, code text NOT NULL, v text)", "CREATE UNIQUE INDEX t_code ON t (code)"});
  const auto keyWith = [&](const std::string& identity) {
    db.execute({"ALTER TABLE t REPLICA IDENTITY " + identity});
    return shapeOf(requireTable(db.raw(), "t"))->schema.primaryKey;
  };
  EXPECT_THAT(keyWith("DEFAULT"), ElementsAre("id"));
  EXPECT_THAT(keyWith("USING INDEX t_code"), ElementsAre("code"));
  EXPECT_THAT(keyWith("FULL"), ElementsAre("id"));
  EXPECT_THAT(keyWith("NOTHING"), ElementsAre("id"));
}

/// Each remedy is run, and then there is no issue left.
TEST_F(Catalogue, MendsAReplicaIdentityWithTheStatementInItsMessage) {
  db.execute({"CREATE TABLE t (id int PRIMARY KEY)", "ALTER TABLE t REPLICA IDENTITY NOTHING"});
  std::string text = message("t", ErrorCode::noReplicaIdentity);
  EXPECT_THAT(text, HasSubstr("REPLICA IDENTITY NOTHING"));
  db.execute({text.substr(text.find("ALTER TABLE"))});
  EXPECT_THAT(issues("t"), IsEmpty());

  db.execute({"CREATE TABLE keyless (a int)"});
  EXPECT_THAT(message("keyless", ErrorCode::noReplicaIdentity),
              HasSubstr("ALTER TABLE \"catalogue_test\".\"keyless\" REPLICA IDENTITY FULL"));
  db.execute({"ALTER TABLE keyless REPLICA IDENTITY FULL"});
  EXPECT_THAT(message("keyless", ErrorCode::noReplicaIdentity, false), HasSubstr("no primary key"));

  db.execute({"CREATE TABLE indexed (a int NOT NULL, b int)", "CREATE UNIQUE INDEX indexed_a ON indexed (a)",
              "ALTER TABLE indexed REPLICA IDENTITY USING INDEX indexed_a"});
  EXPECT_THAT(issues("indexed"), IsEmpty());
  db.execute({"DROP INDEX indexed_a"});
  EXPECT_THAT(message("indexed", ErrorCode::noReplicaIdentity), HasSubstr("gone or invalid"));
}

TEST_F(Catalogue, SaysWhatPostgresDoesNotLog) {
  db.execute({"CREATE TABLE t (id int PRIMARY KEY)", "CREATE VIEW seen AS SELECT * FROM t",
              "CREATE UNLOGGED TABLE fast (id int PRIMARY KEY)"});
  EXPECT_THAT(message("seen", ErrorCode::typeUnsupported), HasSubstr("is a view"));
  const std::string text = message("fast", ErrorCode::typeUnsupported);
  db.execute({text.substr(text.find("ALTER TABLE"))});
  EXPECT_THAT(issues("fast"), IsEmpty());
}

TEST_F(Catalogue, SaysThatTheRoleMayNotRead) {
  db.execute({"DROP ROLE IF EXISTS catalogue_reader", "CREATE ROLE catalogue_reader",
              "CREATE TABLE t (id int PRIMARY KEY, secret text)", "SET ROLE catalogue_reader"});
  EXPECT_THAT(message("catalogue_test.t", ErrorCode::permissionDenied),
              HasSubstr("GRANT SELECT ON \"catalogue_test\".\"t\""));
  db.execute({"RESET ROLE", "GRANT USAGE ON SCHEMA catalogue_test TO catalogue_reader",
              "GRANT SELECT ON t TO catalogue_reader", "SET ROLE catalogue_reader"});
  EXPECT_THAT(issues("t"), IsEmpty());
  db.execute({"RESET ROLE", "ALTER TABLE t ENABLE ROW LEVEL SECURITY", "SET ROLE catalogue_reader"});
  EXPECT_THAT(message("t", ErrorCode::permissionDenied), HasSubstr("BYPASSRLS"));
  db.execute({"RESET ROLE", "DROP OWNED BY catalogue_reader", "DROP ROLE catalogue_reader"});
}

TEST_F(Catalogue, SaysWhatAPublicationLacks) {
  const PublicationUse use{.name = "catalogue_pub"};
  db.execute({"CREATE TABLE t (id int PRIMARY KEY, v text, w text)"});
  EXPECT_THAT(message("t", ErrorCode::slotInvalid, use), HasSubstr("CREATE PUBLICATION \"catalogue_pub\""));
  db.execute({"CREATE PUBLICATION catalogue_pub"});
  std::string text = message("t", ErrorCode::slotInvalid, use);
  db.execute({text.substr(text.find("ALTER PUBLICATION"))});
  EXPECT_THAT(issues("t", use), IsEmpty());
  db.execute({"ALTER PUBLICATION catalogue_pub SET (publish = 'insert, update')"});
  text = message("t", ErrorCode::slotInvalid, use, false);
  db.execute({text.substr(text.find("ALTER PUBLICATION"))});
  EXPECT_THAT(issues("t", use), IsEmpty());
}

TEST_F(Catalogue, FollowsColumnListsAndRowFilters) {
  const PublicationUse use{.name = "catalogue_pub"};
  db.execute({"CREATE TABLE t (id int PRIMARY KEY, v text, w text)",
              "CREATE PUBLICATION catalogue_pub FOR TABLE t (id, w) WHERE (id > 10)"});
  const TableFacts facts = requireTable(db.raw(), "t", "catalogue_pub");
  EXPECT_THAT(shapeOf(facts)->columns->names(), ElementsAre("id", "w"));
  EXPECT_EQ(facts.publication.rowFilter, "(id > 10)");
  EXPECT_THAT(issues("t", use), IsEmpty());
  db.execute({"ALTER PUBLICATION catalogue_pub SET TABLE t (v)"});
  EXPECT_THAT(message("t", ErrorCode::noReplicaIdentity, use), HasSubstr("leaves out \"id\""));
  EXPECT_THAT(requireTable(db.raw(), "t", "catalogue_pub").key(), IsEmpty());
}

TEST_F(Catalogue, KnowsPartitionsBothWays) {
  const PublicationUse use{.name = "catalogue_pub"};
  db.execute({"CREATE TABLE whole (id int, part int, PRIMARY KEY (id, part)) PARTITION BY LIST (part)",
              "CREATE TABLE part1 PARTITION OF whole FOR VALUES IN (1)",
              "CREATE TABLE part2 PARTITION OF whole FOR VALUES IN (2) PARTITION BY LIST (id)",
              "CREATE TABLE part2a PARTITION OF part2 DEFAULT", "CREATE PUBLICATION catalogue_pub FOR TABLE whole"});
  const TableFacts facts = requireTable(db.raw(), "whole", "catalogue_pub");
  EXPECT_EQ(facts.kind, 'p');
  EXPECT_THAT(facts.leaves, UnorderedElementsAre("catalogue_test.part1", "catalogue_test.part2a"));
  EXPECT_EQ(requireTable(db.raw(), "part2a").root, "catalogue_test.whole");
  EXPECT_THAT(message("whole", ErrorCode::slotInvalid, use), HasSubstr("catalogue_test.part1, catalogue_test.part2a"));
  EXPECT_THAT(issues("part1", use), IsEmpty());
  const std::string text = message("whole", ErrorCode::slotInvalid, use);
  db.execute({text.substr(text.find("ALTER PUBLICATION"))});
  EXPECT_THAT(issues("whole", use), IsEmpty());
  EXPECT_THAT(message("part1", ErrorCode::slotInvalid, use), HasSubstr("under the name of \"catalogue_test.whole\""));
  db.execute({"ALTER TABLE part2a REPLICA IDENTITY NOTHING"});
  EXPECT_THAT(message("whole", ErrorCode::noReplicaIdentity, use), HasSubstr("catalogue_test.part2a"));
}

TEST_F(Catalogue, EstimatesHowManyRowsATableHas) {
  db.execute({"CREATE TABLE t (id int PRIMARY KEY, v text)",
              "INSERT INTO t SELECT n, repeat('x', 60) FROM generate_series(1, 20000) n"});
  EXPECT_GT(requireTable(db.raw(), "t").estimatedRows, 5'000) << "never analysed";
  db.execute({"ANALYZE t"});
  const TableFacts facts = requireTable(db.raw(), "t");
  EXPECT_GT(facts.estimatedRows, 19'000);
  EXPECT_LT(facts.estimatedRows, 21'000);
  EXPECT_GT(facts.bytes, 1'000'000);
  db.execute({"TRUNCATE t"});
  EXPECT_NE(requireTable(db.raw(), "t").file, facts.file);
}

TEST_F(Catalogue, DescribesTypesThatOnlyAStreamKnows) {
  db.execute({"CREATE DOMAIN amount AS numeric(8,2)"});
  const unsigned oid = static_cast<unsigned>(std::stoul(db.ask("SELECT 'amount'::regtype::oid")));
  const auto types = describeTypes(db.raw(), {{oid, -1}, {4'000'000'000u, -1}, {1043, 14}});
  EXPECT_EQ(types[0].baseOid, 1700u);
  EXPECT_EQ(types[0].name, "amount");
  EXPECT_EQ(types[1].baseOid, 25u);
  EXPECT_EQ(types[1].name, "type 4000000000");
  EXPECT_EQ(types[2].name, "character varying(10)");
}

}  // namespace
}  // namespace tidegate::postgres::detail
