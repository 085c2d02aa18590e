/// What is Postgres's own about its sink: types, targets that are there already, baselines by COPY, soft deletion.
#include <gtest/gtest.h>

#include "postgres/sink_target.h"
#include "servers/doc_table.h"
#include "servers/sink_rig.h"
#include "tidegate/source/polling_source.h"

namespace tidegate::servers {
namespace {

using contract::column;
using contract::shapeOf;

class PostgresSinkTest : public SinkRig<PostgresTarget> {};

TEST_F(PostgresSinkTest, GivesEachKindTheColumnTypeThatTheDocumentationSays) {
  for (const auto& row : docTable("types.md", "Into PostgreSQL", "| Kind | Source type | Column |")) {
    SCOPED_TRACE(row[0] + " " + row[1]);
    execute(admin, {"DROP TABLE IF EXISTS typed"});
    ColumnSchema value{.name = "value", .kind = kindOf(row[0]), .sourceType = row[1]};
    sink->prepareTable(shapeOf("typed", {column("id", ValueKind::int64, false), value}, {"id"}));
    sink->commit("");
    EXPECT_EQ(
        askText("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'typed'::regclass AND "
                "attname = 'value'"),
        row[2]);
  }
}

TEST_F(PostgresSinkTest, MakesKeysAndNotNull) {
  prepare(shapeOf("made",
                  {column("b", ValueKind::text, false), column("a", ValueKind::text), column("n", ValueKind::json)},
                  {"a", "b"}));
  EXPECT_EQ(
      ask("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'made'::regclass AND contype = 'p'"),
      "\"PRIMARY KEY (a, b)\"");
  EXPECT_EQ(ask("SELECT string_agg(attname, ',' ORDER BY attname) FROM pg_attribute WHERE attrelid = 'made'::regclass "
                "AND attnum > 0 AND attnotnull"),
            "\"a,b\"");
}

TEST_F(PostgresSinkTest, AColumnOfAnyKindKeepsTheKindOfEachValue) {
  const Shape t = shapeOf("any", {column("id", ValueKind::int64, false), column("v", ValueKind::null)}, {"id"});
  prepare(t);
  std::vector<contract::Values> rows;
  Uuid uuid;
  uuid.octets[3] = 7;
  for (const Value& v : std::vector<Value>{true, 42, std::uint64_t{1} << 63, 1.0, 0.5, "text", "$date:2024-01-01",
                                           Date{5}, Decimal{"1.50"}, Bytes{"\x01\xff"}, Time{5}, Timestamp::utc(7),
                                           Timestamp::local(7), uuid, Json{"{\"a\": 1}"}, nullptr}) {
    rows.push_back({static_cast<std::int64_t>(rows.size()), v});
    insert(t, rows.back());
  }
  commit();
  expectExactly(t, rows);
}

TEST_F(PostgresSinkTest, TimestampsOfAColumnWithoutASourceTypeKeepTheirZone) {
  const Shape t = shapeOf("times", {column("id", ValueKind::int64, false), column("at", ValueKind::timestamp)}, {"id"});
  prepare(t);
  const std::vector<contract::Values> rows = {{1, Timestamp::utc(1)},
                                              {2, Timestamp::local(1)},
                                              {3, Timestamp{Timestamp::kInfinity, true}},
                                              {4, Timestamp{Timestamp::kMinusInfinity, false}}};
  for (const auto& row : rows) insert(t, row);
  commit();
  expectExactly(t, rows);
}

TEST_F(PostgresSinkTest, APolledTimestampStaysATimestamp) {
  execute(admin, {"DROP TABLE IF EXISTS polled, polled_copy",
                  "CREATE TABLE polled (id int PRIMARY KEY, zoned timestamptz, wall timestamp)",
                  "INSERT INTO polled VALUES (1, '2024-05-01 12:00+02', '2024-05-01 12:00')"});
  PollingSource source(
      {.name = "shop",
       .query = admin,
       .tables = {{.table = "polled_copy", .query = "SELECT * FROM polled", .strategy = DiffStrategy{}}}});
  source.init({.name = "shop"});
  prepare(source.describeTable("polled_copy"));
  commit();
  const auto typeOf = [&](const std::string& name) {
    return askText(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'polled_copy'::regclass "
        "AND attname = '" +
        name + "'");
  };
  EXPECT_EQ(typeOf("zoned"), "timestamp with time zone");
  EXPECT_EQ(typeOf("wall"), "timestamp without time zone");
}

TEST_F(PostgresSinkTest, AValueThatDoesNotFitIsRefusedByColumnAndKey) {
  const Shape t = shapeOf("picky",
                          {column("id", ValueKind::int64, false),
                           column("text", ValueKind::text),
                           column("day", ValueKind::date),
                           {.name = "at", .kind = ValueKind::timestamp, .sourceType = "timestamp with time zone"}},
                          {"id"});
  prepare(t);
  const auto refused = [&](contract::Values row) {
    insert(t, std::move(row));
    const Error e = errorOf([&] { flush(); });
    batch.clear();
    EXPECT_EQ(e.code(), ErrorCode::typeUnsupported) << e.what();
    EXPECT_EQ(e.retry(), Retry::never);
    EXPECT_NE(e.message().find("\"picky\""), std::string::npos) << e.what();
    EXPECT_NE(e.message().find("77"), std::string::npos) << e.what();
    return e.message();
  };
  EXPECT_NE(refused({77, std::string("a\0b", 3), nullptr, nullptr}).find("\"text\""), std::string::npos);
  EXPECT_NE(refused({77, "a", Date{-3'000'000}, nullptr}).find("\"day\""), std::string::npos);
  EXPECT_NE(refused({77, "a", nullptr, Timestamp::local(0)}).find("\"at\""), std::string::npos);
  EXPECT_NE(refused({77, 5, nullptr, nullptr}).find("\"text\""), std::string::npos);
  insert(t, {78, "fits", Date{1}, Timestamp::utc(1)});
  commit();
  expectExactly(t, {{78, "fits", Date{1}, Timestamp::utc(1)}});
}

TEST_F(PostgresSinkTest, AnExistingTableOfNarrowerTypesIsUsed) {
  execute(admin,
          {"CREATE TYPE mood AS ENUM ('sad', 'glad')",
           "CREATE TABLE there (id integer PRIMARY KEY, name varchar(5), mood mood, price numeric(10,2), doc jsonb, "
           "note text DEFAULT 'mine', kept timestamptz DEFAULT now())"});
  const Shape t = shapeOf("there",
                          {column("id", ValueKind::int64, false),
                           column("name", ValueKind::text),
                           column("mood", ValueKind::text),
                           {.name = "price", .kind = ValueKind::decimal, .sourceType = "numeric(8,2)"},
                           column("doc", ValueKind::json)},
                          {"id"});
  prepare(t);
  begin(t);
  read(t, {1, "ada", "glad", Decimal{"1.50"}, Json{"{}"}});
  read(t, {2, "bob", "sad", nullptr, nullptr});
  end(t);
  update(t, {2, "Bob", nullptr, Decimal{"2.25"}, nullptr}, {2, 4});
  commit();
  expectExactly(t, {{1, "ada", "glad", Decimal{"1.50"}, Json{"{}"}}, {2, "Bob", "sad", Decimal{"2.25"}, nullptr}});
  EXPECT_EQ(ask("SELECT count(*) FROM there WHERE note = 'mine' AND kept IS NOT NULL"), "2");
  insert(t, {3, "too long a name", "sad", nullptr, nullptr});
  const Error e = errorOf([&] { commit(); });
  EXPECT_EQ(e.retry(), Retry::never) << e.what();
  EXPECT_NE(e.message().find("character varying(5)"), std::string::npos) << e.what();
}

TEST_F(PostgresSinkTest, AnExistingTableThatCannotHoldTheRowsIsRefusedWithTheStatementThatMendsIt) {
  execute(admin, {"CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"});
  const Shape t = shapeOf(
      "there",
      {column("id", ValueKind::text, false), {.name = "price", .kind = ValueKind::decimal, .sourceType = "numeric"}},
      {"id"});
  const std::vector<std::array<std::string, 2>> cases = {
      {"id text PRIMARY KEY, price numeric(10,2)", "ALTER COLUMN \"price\" TYPE numeric"},
      {"id text PRIMARY KEY, price real", "ALTER COLUMN \"price\" TYPE numeric"},
      {"id text PRIMARY KEY, price numeric NOT NULL", "ALTER COLUMN \"price\" DROP NOT NULL"},
      {"id text PRIMARY KEY, price numeric, other text NOT NULL", "ALTER COLUMN \"other\" DROP NOT NULL"},
      {"id text, price numeric", "ADD UNIQUE (\"id\")"},
      {"id text UNIQUE DEFERRABLE, price numeric", "ADD UNIQUE (\"id\")"},
      {"id text COLLATE loose PRIMARY KEY, price numeric", "COLLATE \"C\""},
      {"id text PRIMARY KEY, price numeric GENERATED ALWAYS AS (1) STORED", "DROP EXPRESSION"},
  };
  for (const auto& [columns, remedy] : cases) {
    SCOPED_TRACE(columns);
    execute(admin, {"DROP TABLE IF EXISTS there", "CREATE TABLE there (" + columns + ")"});
    const Error e = errorOf([&] { sink->prepareTable(t); });
    EXPECT_EQ(e.code(), ErrorCode::invalidConfig);
    EXPECT_EQ(e.retry(), Retry::afterOperator);
    EXPECT_NE(e.message().find("ALTER TABLE \"there\" "), std::string::npos) << e.what();
    EXPECT_NE(e.message().find(remedy), std::string::npos) << e.what();
  }
  execute(admin, {"DROP TABLE there", "CREATE VIEW there AS SELECT 'a'::text AS id, 1::numeric AS price"});
  EXPECT_EQ(errorOf([&] { sink->prepareTable(t); }).code(), ErrorCode::invalidConfig);
}

TEST_F(PostgresSinkTest, ATargetMayNameASchemaWhichIsThenMade) {
  const Shape t = shapeOf("sink_other.Things", {column("id", ValueKind::int64, false)}, {"id"});
  execute(admin, {"DROP SCHEMA IF EXISTS sink_other CASCADE"});
  prepare(t);
  insert(t, {1});
  commit();
  EXPECT_EQ(ask("SELECT id FROM sink_other.\"Things\""), "1");
  execute(admin, {"DROP SCHEMA sink_other CASCADE"});
  const Shape longName = shapeOf(std::string(64, 'x'), {column("id", ValueKind::int64, false)}, {"id"});
  EXPECT_EQ(errorOf([&] { sink->prepareTable(longName); }).code(), ErrorCode::invalidConfig);
}

TEST_F(PostgresSinkTest, ABaselineIntoAnEmptyTableKeepsTheLastOfRowsWithOneKey) {
  const Shape t = things("first"), other = things("second");
  prepare(t);
  prepare(other);
  begin(t);
  begin(other);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 50; ++i) {
      read(t, {i, "round " + std::to_string(round)});
      if (i % 10 == 0) read(other, {i * 100 + round, "other"});
    }
    flush();
  }
  end(t);
  end(other);
  commit();
  EXPECT_EQ(ask("SELECT count(*) FROM first WHERE name = 'round 2'"), "50");
  EXPECT_EQ(ask("SELECT count(*) FROM first"), "50");
  EXPECT_EQ(ask("SELECT count(*) FROM second"), "15");
}

TEST_F(PostgresSinkTest, ALargeBaselineIsCopiedInPiecesAndSurvivesAConflictInOne) {
  const Shape t = things("large");
  prepare(t);
  begin(t);
  const std::string filler(500, 'x');
  for (int i = 0; i < 60'000; ++i) {  // more than three pieces
    read(t, {i, filler});
    if (batch.size() == 5'000) flush();
  }
  commit();
  read(t, {59'999, "again"});
  for (int i = 60'000; i < 60'010; ++i) read(t, {i, "new"});
  end(t);
  commit();
  EXPECT_EQ(ask("SELECT count(*) FROM large"), "60010");
  EXPECT_EQ(ask("SELECT name FROM large WHERE id = 59999"), "\"again\"");
  EXPECT_EQ(ask("SELECT count(*) FROM sink_books.baselines"), "0");
}

TEST_F(PostgresSinkTest, KeysThatAreOneNumberAreOneRow) {
  const Shape t = shapeOf("numbers", {column("n", ValueKind::decimal, false), column("v", ValueKind::int64)}, {"n"});
  prepare(t);
  insert(t, {Decimal{"1.5"}, 1});
  insert(t, {Decimal{"1.500"}, 2});
  insert(t, {Decimal{"-0.0"}, 3});
  insert(t, {Decimal{"0"}, 4});
  insert(t, {Decimal{"10000"}, 5});
  insert(t, {Decimal{"0.00010"}, 6});
  commit();
  EXPECT_EQ(ask("SELECT string_agg(v::text, ',' ORDER BY v) FROM numbers"), "\"2,4,5,6\"");
}

TEST_F(PostgresSinkTest, DecimalsArriveDigitForDigit) {
  const Shape t = shapeOf("decimals", {column("id", ValueKind::int64, false), column("n", ValueKind::decimal)}, {"id"});
  prepare(t);
  std::vector<contract::Values> rows;
  for (const char* text : {"0",
                           "0.0",
                           "1",
                           "-1",
                           "1.50",
                           "9999",
                           "10000",
                           "10001",
                           "99999999",
                           "0.1",
                           "0.0001",
                           "0.00001",
                           "123456789012345678901234567890.000100000000000000000000000001",
                           "-0.5",
                           "12340000",
                           "0.1000",
                           "NaN",
                           "Infinity",
                           "-Infinity",
                           "40000.0000"}) {
    rows.push_back({static_cast<std::int64_t>(rows.size()), Decimal{text}});
    insert(t, rows.back());
  }
  commit();
  expectExactly(t, rows);
}

/// PostgreSQL keeps the plan of a prepared statement; that of an empty table may be one that takes an hour for a large.
TEST_F(PostgresSinkTest, RowsAreLookedUpByTheirKeyThoughTheTableWasEmptyWhenTheStatementWasPlanned) {
  const Shape t = shapeOf("grown",
                          {column("a", ValueKind::int64, false), column("b", ValueKind::text, false),
                           column("large", ValueKind::text), column("n", ValueKind::int64)},
                          {"a", "b"});
  constexpr std::int64_t kRows = 3'000;
  const auto key = [](std::int64_t n) { return contract::Values{n, "row " + std::to_string(n)}; };
  const auto patch = [&](std::int64_t n) { update(t, {n, "row " + std::to_string(n), nullptr, n + 1}, {2}); };
  prepare(t);
  execute(admin, {"ALTER TABLE grown SET (autovacuum_enabled = off)", "VACUUM ANALYZE grown"});
  patch(0);
  erase(t, key(1));
  commit();
  for (std::int64_t n = 0; n < kRows; ++n) insert(t, {n, "row " + std::to_string(n), "text", n});
  commit();
  for (std::int64_t n = 0; n < kRows; ++n) patch(n);
  commit();
  EXPECT_EQ(ask("SELECT count(*) FROM grown WHERE n = a + 1 AND large = 'text'"), std::to_string(kRows));
  for (std::int64_t n = 0; n < kRows; ++n) erase(t, key(n));
  commit();
  EXPECT_EQ(ask("SELECT count(*) FROM grown"), "0");
  sink.reset();  // a session tells what it did at its end
  const auto lookUps = [&] {
    return std::stoll(ask("SELECT idx_scan FROM pg_stat_user_tables WHERE relname = 'grown'"));
  };
  EXPECT_TRUE(eventually([&] { return lookUps() >= 3 * kRows; })) << lookUps();
}

TEST_F(PostgresSinkTest, SoftDeletionMarksRowsAndAnInsertTakesTheMarkAway) {
  options.softDeleteColumn = "erased at";
  reopen();
  const Shape t = things("soft");
  prepare(t);
  for (int i = 1; i <= 4; ++i) insert(t, {i, "a"});
  commit();
  erase(t, {1});
  erase(t, {2});
  commit();
  const std::string marked = "SELECT string_agg(id::text, ',' ORDER BY id) FROM soft WHERE \"erased at\" IS NOT NULL";
  EXPECT_EQ(ask(marked), "\"1,2\"");
  insert(t, {1, "back"});
  update(t, {2, nullptr}, {1});  // a row that is not there
  commit();
  EXPECT_EQ(ask(marked), "\"2\"");
  expectExactly(t, {{1, "back"}, {3, "a"}, {4, "a"}});
  begin(t);
  read(t, {3, "read"});
  end(t);
  commit();
  EXPECT_EQ(ask(marked), "\"1,2,4\"");
  truncate(t);
  commit();
  EXPECT_EQ(ask("SELECT count(*) FROM soft WHERE \"erased at\" IS NOT NULL"), "4");
  expectExactly(t, {});
}

TEST_F(PostgresSinkTest, ColumnsThatChangePlacesByNameKeepTheirValues) {
  const Shape t = shapeOf(
      "swap", {column("id", ValueKind::int64, false), column("a", ValueKind::text), column("b", ValueKind::text)},
      {"id"});
  const Shape swapped = shapeOf(
      "swap", {column("id", ValueKind::int64, false), column("b", ValueKind::text), column("a", ValueKind::text)},
      {"id"});
  prepare(t);
  insert(t, {1, "was a", "was b"});
  changeSchema(t, swapped, {{"a", "b"}, {"b", "a"}});
  commit();
  expectExactly(swapped, {{1, "was a", "was b"}});
}

TEST_F(PostgresSinkTest, ABooleanThatBecomesANumberKeepsItsValue) {
  const Shape t = shapeOf("wider", {column("id", ValueKind::int64, false), column("n", ValueKind::boolean)}, {"id"});
  const Shape after = shapeOf("wider", {column("id", ValueKind::int64, false), column("n", ValueKind::int64)}, {"id"});
  prepare(t);
  insert(t, {1, true});
  changeSchema(t, after);
  insert(after, {2, 1'000'000});
  commit();
  expectExactly(after, {{1, 1}, {2, 1'000'000}});
}

TEST_F(PostgresSinkTest, ARenamedKeyIsFollowedAndAnotherKeyIsRefused) {
  const Shape t = things("keys");
  const Shape renamed =
      shapeOf("keys", {column("number", ValueKind::int64, false), column("name", ValueKind::text)}, {"number"});
  const Shape other =
      shapeOf("keys", {column("number", ValueKind::int64, false), column("name", ValueKind::text)}, {"name"});
  prepare(t);
  insert(t, {1, "a"});
  changeSchema(t, renamed, {{"id", "number"}});
  update(renamed, {1, "b"});
  commit();
  expectExactly(renamed, {{1, "b"}});
  changeSchema(renamed, other);
  const Error e = errorOf([&] { flush(); });
  EXPECT_EQ(e.code(), ErrorCode::invalidConfig);
  EXPECT_NE(e.message().find("DROP TABLE \"keys\""), std::string::npos) << e.what();
}

TEST_F(PostgresSinkTest, ACrashAfterASchemaChangeLeavesTheOldColumns) {
  const Shape t = things("crashed");
  const Shape changed = shapeOf(
      "crashed",
      {column("id", ValueKind::int64, false), column("title", ValueKind::text), column("more", ValueKind::date)},
      {"id"});
  prepare(t);
  insert(t, {1, "a"});
  commit("before");
  changeSchema(t, changed, {{"name", "title"}});
  insert(changed, {2, "b", Date{1}});
  flush();
  EXPECT_EQ(reopen(), "before");
  expectExactly(t, {{1, "a"}});
}

}  // namespace
}  // namespace tidegate::servers
