#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "mysql/detail/cell_decoder.h"
#include "mysql/detail/geometry_text.h"
#include "mysql/detail/json_binary.h"
#include "mysql/detail/logged_statement.h"
#include "mysql/detail/rows_event.h"
#include "mysql/detail/table_catalogue.h"
#include "mysql/detail/table_map.h"
#include "mysql/octets.h"
#include "support/property.h"
#include "tidegate/core/error.h"

namespace tidegate::mysql::detail {
namespace {

std::string cellOf(const CellPlan& plan, std::string_view hex) {
  const std::string octets = fromHex(hex);
  OctetCursor in(octets, "a cell");
  Value value;
  readCell(in, plan, value);
  EXPECT_TRUE(in.done()) << hex;
  return describe(value);
}

std::string jsonOf(std::string_view hex) {
  std::string text;
  jsonFromBinary(fromHex(hex), text);
  return text;
}

/// What the decoder says of octets that it refuses.
ErrorCode refusalOf(const std::function<void()>& decode) {
  try {
    decode();
  } catch (const Error& e) {
    return e.code();
  }
  return ErrorCode::internal;
}

TEST(BinlogCells, ReadRecordedOctets) {
  EXPECT_EQ(cellOf({.type = WireType::tiny}, "80"), "-128");
  EXPECT_EQ(cellOf({.type = WireType::tiny, .isUnsigned = true}, "80"), "128");
  EXPECT_EQ(cellOf({.type = WireType::int24}, "ffff7f"), "8388607");
  EXPECT_EQ(cellOf({.type = WireType::int24}, "000080"), "-8388608");
  EXPECT_EQ(cellOf({.type = WireType::longLong, .isUnsigned = true}, "ffffffffffffffff"), "18446744073709551615");
  EXPECT_EQ(cellOf({.type = WireType::decimal, .meta = 10 * 256 + 2}, "8000000132"), "1.50");
  EXPECT_EQ(cellOf({.type = WireType::decimal, .meta = 10 * 256 + 2}, "7ffffffffe"), "-0.01");
  EXPECT_EQ(cellOf({.type = WireType::decimal, .meta = 14 * 256 + 4}, "810dfb38d204d2"), "1234567890.1234");
  EXPECT_EQ(cellOf({.type = WireType::decimal, .meta = 14 * 256 + 4}, "7ef204c72dfb2d"), "-1234567890.1234");
  EXPECT_EQ(cellOf({.type = WireType::decimal, .meta = 20 * 256}, "800000000100000005"), "1000000005");
  EXPECT_EQ(cellOf({.type = WireType::decimal, .meta = 20 * 256}, "7ffffffffefffffffa"), "-1000000005");
  EXPECT_EQ(cellOf({.type = WireType::decimal, .meta = 20 * 256}, "800000000000000000"), "0");
  EXPECT_EQ(cellOf({.type = WireType::decimal, .meta = 20 * 256}, "8c0000000000000007"), "12000000000000000007");
  EXPECT_EQ(cellOf({.type = WireType::bit, .meta = 2}, "0aaa"), "2730");
  EXPECT_EQ(cellOf({.type = WireType::year}, "7c"), "2024");
  EXPECT_EQ(cellOf({.type = WireType::date}, "5dd00f"), "2024-02-29");
  EXPECT_EQ(cellOf({.type = WireType::time2}, "7f4ac5"), "-11:20:59") << "negative, without a fraction";
}

TEST(BinlogCells, ReadTheTimesOfOldServers) {
  EXPECT_EQ(cellOf({.type = WireType::timestamp}, "00000000"), "\"0000-00-00 00:00:00\"");
  EXPECT_EQ(cellOf({.type = WireType::timestamp}, "01000000"), "1970-01-01T00:00:01Z");
  EXPECT_EQ(cellOf({.type = WireType::dateTime}, "001ce19b68120000"), "2024-05-01T12:00:00");
  EXPECT_EQ(cellOf({.type = WireType::time}, "590a80"), "-838:59:59");
}

TEST(BinlogCells, LabelsStandForTheirNumbers) {
  const CellPlan size{.type = WireType::enumeration, .meta = 1, .labels = {"small", "large"}};
  EXPECT_EQ(cellOf(size, "02"), "\"large\"");
  EXPECT_EQ(cellOf(size, "00"), "\"\"");
  EXPECT_EQ(refusalOf([&] { cellOf(size, "03"); }), ErrorCode::parseError);
  const CellPlan flags{.type = WireType::set, .meta = 1, .labels = {"a", "b", "c"}};
  EXPECT_EQ(cellOf(flags, "05"), "\"a,c\"");
  EXPECT_EQ(refusalOf([&] { cellOf(flags, "08"); }), ErrorCode::parseError);
}

TEST(BinlogCells, OctetsThatEndTooEarlyAreRefused) {
  for (const WireType type :
       {WireType::tiny, WireType::longLong, WireType::doubling, WireType::date, WireType::dateTime2, WireType::time2,
        WireType::varchar, WireType::blob, WireType::decimal, WireType::bit}) {
    EXPECT_EQ(refusalOf([&] { cellOf({.type = type, .meta = type == WireType::decimal ? 10 * 256U : 2}, ""); }),
              ErrorCode::parseError);
  }
  EXPECT_EQ(refusalOf([] { cellOf({.type = WireType::varchar, .meta = 20}, "0561"); }), ErrorCode::parseError);
  EXPECT_EQ(refusalOf([] { cellOf({.type = WireType::null}, "00"); }), ErrorCode::parseError);
}

TEST(BinlogJson, IsPrintedAsMySqlPrintsIt) {
  EXPECT_EQ(jsonOf(""), "null");
  EXPECT_EQ(jsonOf("0400"), "null");
  EXPECT_EQ(jsonOf("0401"), "true");
  EXPECT_EQ(jsonOf("05ffff"), "-1");
  EXPECT_EQ(jsonOf("06ffff"), "65535");
  EXPECT_EQ(jsonOf("0a ffffffffffffffff"), "18446744073709551615");
  EXPECT_EQ(jsonOf("0b 000000000000f03f"), "1.0");
  EXPECT_EQ(jsonOf("0c 03 616263"), "\"abc\"");
  EXPECT_EQ(jsonOf("0c 02 2261"), "\"\\\"a\"");
  // {"a": 1, "b": [true, "x"]}: two keys, two values, keys' text, then the array.
  EXPECT_EQ(jsonOf("00 0200 2200 1200 0100 1300 0100 05 0100 02 1400 61 62 0200 0e00 04 0100 0c 0a00 0178 00 00"),
            "{\"a\": 1, \"b\": [true, \"x\"]}");
  EXPECT_EQ(jsonOf("00 0000 0400"), "{}");
  EXPECT_EQ(jsonOf("02 0000 0400"), "[]");
}

TEST(BinlogJson, ValuesThatJsonHasNoKindForArePrintedToo) {
  EXPECT_EQ(jsonOf("0f f6 07 0a02 8000000132"), "1.50") << "a decimal";
  // 2024-05-01 12:00:00, packed: ((2024 * 13 + 5) << 5 | 1) << 17 | 12 << 12, then 24 bits of microseconds.
  const std::uint64_t packed = ((((2024ULL * 13 + 5) << 5 | 1) << 17) | (12ULL << 12)) << 24;
  std::string text;
  jsonFromBinary(fromHex("0f 0c 08") + littleOctets(packed, 8), text);
  EXPECT_EQ(text, "\"2024-05-01 12:00:00.000000\"");
  EXPECT_EQ(jsonOf("0f fc 02 00ff"), "\"base64:type252:AP8=\"");
}

TEST(BinlogJson, DocumentsThatHoldThemselvesAreRefused) {
  // An array whose one member is at offset 0 of itself.
  EXPECT_EQ(refusalOf([] { jsonOf("02 0100 0700 02 0000"); }), ErrorCode::parseError);
  EXPECT_EQ(refusalOf([] { jsonOf("02 0100 0700 02 ffff"); }), ErrorCode::parseError);
  EXPECT_EQ(refusalOf([] { jsonOf("02 ffff 0700"); }), ErrorCode::parseError);
  EXPECT_EQ(refusalOf([] { jsonOf("0c 05 61"); }), ErrorCode::parseError);
  EXPECT_EQ(refusalOf([] { jsonOf("0c 01 ff"); }), ErrorCode::parseError);
  EXPECT_EQ(refusalOf([] { jsonOf("0d"); }), ErrorCode::parseError);
}

TEST(BinlogGeometry, IsText) {
  const auto textOf = [](std::string_view hex) {
    std::string text;
    geometryToText(fromHex(hex), text);
    return text;
  };
  EXPECT_EQ(textOf("00000000 01 01000000 000000000000f03f 0000000000000040"), "POINT(1 2)");
  EXPECT_EQ(textOf("e6100000 00 00000001 3ff0000000000000 4000000000000000"), "SRID=4326;POINT(1 2)")
      << "the other order";
  EXPECT_EQ(textOf("00000000 01 07000000 00000000"), "GEOMETRYCOLLECTION EMPTY");
  EXPECT_EQ(refusalOf([&] { textOf("00000000 01 02000000 ffffffff"); }), ErrorCode::parseError);
  EXPECT_EQ(refusalOf([&] { textOf("00000000 01 09000000"); }), ErrorCode::parseError);
  std::string deep = "00000000";
  for (int i = 0; i < 100; ++i) deep += "01 07000000 01000000";
  EXPECT_EQ(refusalOf([&] { textOf(deep); }), ErrorCode::parseError);
}

TEST(BinlogEvents, AChecksumThatIsWrongIsSeen) {
  std::string octets = queryOctets("BEGIN");
  EXPECT_EQ(readEvent(octets, {}).type, EventType::query);
  octets[25] = static_cast<char>(octets[25] ^ 1);
  EXPECT_EQ(refusalOf([&] { readEvent(octets, {}); }), ErrorCode::parseError);
  EXPECT_EQ(refusalOf([&] { readEvent(octets.substr(0, 30), {}); }), ErrorCode::parseError);
}

TEST(BinlogEvents, TableMapsSayWhatTheServerWrites) {
  // Signs, names, key, collation of the text column: what binlog_row_metadata = FULL adds.
  const std::string octets = tableMapOctets(fromHex("01 01 80") + fromHex("02 01 08") + fromHex("04 05 02") + "id" +
                                            fromHex("01") + "a" + fromHex("08 01 00"));
  const TableMap map = readTableMap(readTableMapHead(readEvent(octets, {})), false);
  ASSERT_EQ(map.columns.size(), 2u);
  EXPECT_EQ(map.columns[0].name + map.columns[1].name, "ida");
  EXPECT_TRUE(map.columns[0].isUnsigned && map.saysSigns && map.saysNames);
  EXPECT_EQ(map.columns[1].collation, 8u);
  EXPECT_EQ(map.key, std::vector<std::uint32_t>{0});
}

TEST(BinlogEvents, RowsOfMySqlAreReadByTheirOwnHeader) {
  const std::string octets = insertOctets(42);
  std::string inflated;
  const RowsEvent rows = readRows(readEvent(octets, {}), inflated);
  EXPECT_EQ(rows.table, 7u);
  EXPECT_EQ(rows.kind, RowsKind::write);
  std::vector<CellPlan> plans(2);
  plans[0] = {.type = WireType::longInteger};
  plans[1] = {.type = WireType::varchar, .meta = 20, .meaning = CellMeaning::text, .charset = utf8Charset()};
  OctetCursor in(rows.rows, "a row");
  std::vector<Value> values;
  std::vector<std::uint32_t> absent;
  readImage(in, plans, rows.present, values, absent);
  EXPECT_TRUE(in.done() && absent.empty());
  EXPECT_EQ(describe(values[0]) + describe(values[1]), "42\"a\"");
}

TEST(BinlogRows, AreReadWhateverTheirColumnsAndWhicheverAreThere) {
  test::forEachSeed(500, [](std::uint64_t seed) {
    test::Random random(seed);
    const std::size_t columns = 1 + random.index(17);
    const std::vector<CellPlan> plans(columns, CellPlan{.type = WireType::tiny});
    const unsigned shownPercent = random.chance(50) ? 100 : 70, nullPercent = random.chance(50) ? 0 : 30;
    std::string present((columns + 7) / 8, '\0'), nulls, cells, expected;
    std::vector<std::uint32_t> expectedAbsent;
    std::size_t shown = 0;
    for (std::size_t i = 0; i < columns; ++i) {
      if (!random.chance(shownPercent)) {
        expectedAbsent.push_back(static_cast<std::uint32_t>(i));
        expected += "null ";
        continue;
      }
      present[i / 8] = static_cast<char>(present[i / 8] | 1 << i % 8);
      if (shown % 8 == 0) nulls.push_back('\0');
      const bool isNull = random.chance(nullPercent);
      if (isNull) nulls.back() = static_cast<char>(nulls.back() | 1 << shown % 8);
      if (!isNull) cells.push_back(static_cast<char>(i + 1));
      expected += isNull ? "null " : std::to_string(i + 1) + ' ';
      ++shown;
    }
    // What stands behind the last column says nothing.
    if (columns % 8 != 0 && random.chance(50)) present.back() = static_cast<char>(present.back() | 0xFF << columns % 8);
    const std::string octets = nulls + cells;
    OctetCursor in(octets, "a row");
    std::vector<Value> values;
    std::vector<std::uint32_t> absent;
    readImage(in, plans, present, values, absent);
    std::string read;
    for (const Value& value : values) read += describe(value) + ' ';
    EXPECT_EQ(read, expected);
    EXPECT_EQ(absent, expectedAbsent);
    EXPECT_TRUE(in.done());
  });
}

TEST(BinlogStatements, AreToldApart) {
  const auto kindOf = [](std::string_view text) { return readStatement(text, "d").kind; };
  EXPECT_EQ(kindOf("BEGIN"), StatementKind::begin);
  EXPECT_EQ(kindOf("/* from x */ COMMIT"), StatementKind::commit);
  EXPECT_EQ(kindOf("ROLLBACK"), StatementKind::rollback);
  EXPECT_EQ(kindOf("rollback to `s`"), StatementKind::inTransaction);
  EXPECT_EQ(kindOf("CREATE USER a"), StatementKind::other);
  EXPECT_EQ(kindOf("DROP TEMPORARY TABLE t"), StatementKind::other);
  EXPECT_EQ(kindOf("CREATE TEMPORARY TABLE t (id INT)"), StatementKind::other);
  EXPECT_EQ(kindOf("SET STATEMENT max_statement_time = 1 FOR INSERT INTO t VALUES (1)"), StatementKind::changesRows);
  EXPECT_EQ(kindOf("/*!40000 ALTER TABLE t DISABLE KEYS */"), StatementKind::alterTable);
  EXPECT_EQ(kindOf("XA COMMIT X'61',X'',1"), StatementKind::xaCommit);
  EXPECT_EQ(kindOf(""), StatementKind::other);
  EXPECT_EQ(kindOf("'unended"), StatementKind::other);
}

TEST(BinlogStatements, NameTheirTables) {
  const auto tablesOf = [](std::string_view text) {
    std::string names;
    for (const LoggedTable& table : readStatement(text, "d").tables) names += table.database + "." + table.table + " ";
    return names;
  };
  EXPECT_EQ(tablesOf("TRUNCATE TABLE `a`.`b c`"), "a.b c ");
  EXPECT_EQ(tablesOf("DROP TABLE IF EXISTS t, `x`.`y``z` /* generated by server */"), "d.t x.y`z ");
  EXPECT_EQ(tablesOf("RENAME TABLE a TO b, x.c TO x.d"), "d.a d.b x.c x.d ");
  EXPECT_EQ(tablesOf("ALTER TABLE t ADD COLUMN c INT COMMENT 'RENAME TO q', RENAME TO x.u"), "d.t x.u ");
  EXPECT_EQ(tablesOf("ALTER TABLE t RENAME COLUMN a TO b"), "d.t ");
  EXPECT_EQ(tablesOf("ALTER TABLE t RENAME = u"), "d.t d.u ");
  EXPECT_EQ(tablesOf("CREATE OR REPLACE TABLE x.t (id INT)"), "x.t ");
  EXPECT_TRUE(readStatement("ALTER TABLE t DROP PARTITION p", "d").movesRows);
  EXPECT_TRUE(readStatement("ALTER TABLE t DROP SYSTEM VERSIONING", "d").movesRows);
  EXPECT_FALSE(readStatement("ALTER TABLE t ADD INDEX (a)", "d").movesRows);
  EXPECT_EQ(readStatement("XA START X'61', X'' ,1", "d").xid, "X'61',X'',1");
}

TEST(BinlogStatements, NameTheOtherTableThatAnAlterationTouches) {
  using Other = LoggedStatement::Other;
  const auto otherOf = [](std::string_view text, Other becomes) {
    const LoggedStatement read = readStatement(text, "d");
    EXPECT_TRUE(read.movesRows) << text;
    EXPECT_EQ(read.becomes, becomes) << text;
    return read.other ? read.other->database + "." + read.other->table : std::string("none");
  };
  EXPECT_EQ(otherOf("ALTER TABLE a EXCHANGE PARTITION p WITH TABLE `x`.`y` WITHOUT VALIDATION", Other::rowsChanged),
            "x.y");
  EXPECT_EQ(otherOf("alter table a exchange partition p with table y", Other::rowsChanged), "d.y");
  EXPECT_EQ(otherOf("ALTER TABLE a CONVERT TABLE y TO PARTITION p VALUES LESS THAN (9)", Other::gone), "d.y");
  EXPECT_EQ(otherOf("ALTER TABLE a CONVERT PARTITION p TO TABLE x.y", Other::made), "x.y");
  EXPECT_EQ(otherOf("ALTER IGNORE TABLE a ADD UNIQUE (b)", Other::rowsChanged), "none");
  EXPECT_FALSE(readStatement("ALTER TABLE a CONVERT TO CHARACTER SET utf8mb4", "d").movesRows);
  EXPECT_FALSE(readStatement("ALTER TABLE a EXCHANGE", "d").other);
}

TEST(BinlogStatements, SayWhetherTheyMayMoveColumns) {
  const auto moves = [](const std::string& what) { return readStatement("ALTER TABLE t " + what, "d").movesColumns; };
  for (const char* what : {"MODIFY x INT AFTER y", "CHANGE x y INT", "ADD x INT FIRST", "ADD COLUMN (x INT, y INT)",
                           "DROP x", "COMMENT 'a', DROP COLUMN IF EXISTS x", "RENAME COLUMN x TO y", "ADD `index` INT",
                           "CONVERT TO CHARACTER SET latin1", "ADD INDEX (a), ADD b INT", "ADD SYSTEM VERSIONING"}) {
    EXPECT_TRUE(moves(what)) << what;
  }
  for (const char* what : {"ADD INDEX (x)", "DROP KEY x", "ADD UNIQUE (x)", "DROP PRIMARY KEY", "ENGINE = InnoDB",
                           "ADD CONSTRAINT c CHECK (x > 1)", "COMMENT 'MODIFY x'", "ALTER x DROP DEFAULT",
                           "RENAME INDEX x TO y", "ADD PARTITION (PARTITION p VALUES LESS THAN (1))"}) {
    EXPECT_FALSE(moves(what)) << what;
  }
}

TEST(BinlogStatements, LabelsAreReadFromTheColumnsType) {
  EXPECT_EQ(labelsOf("enum('a','it''s','')"), (std::vector<std::string>{"a", "it's", ""}));
  EXPECT_EQ(labelsOf("int(11)"), std::vector<std::string>{});
}

}  // namespace
}  // namespace tidegate::mysql::detail
