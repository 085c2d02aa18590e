#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "mysql/binlog_rig.h"
#include "servers/type_table.h"
#include "tidegate/core/value.h"

namespace tidegate::mysql {
namespace {

/// Columns c0, c1, … of the types that docs/types.md names, and what their values read as.
class BinlogTypes : public BinlogTest {
 protected:
  void makeCells(const std::vector<servers::TypeRow>& cells) {
    std::string definitions = "id INT PRIMARY KEY";
    for (std::size_t i = 0; i < cells.size(); ++i) definitions += ", c" + std::to_string(i) + " " + cells[i].declared;
    execute(writer, {"SET SESSION sql_mode = 'ALLOW_INVALID_DATES'", "CREATE TABLE cells (" + definitions + ")"});
  }
  void insertCells(int id, const std::vector<servers::TypeRow>& cells) {
    std::string values = std::to_string(id);
    for (const auto& cell : cells) values += ", " + cell.sql;
    execute(writer, {"INSERT INTO cells VALUES (" + values + ")"});
  }
  static void expectCells(const std::vector<Value>& values, const std::vector<servers::TypeRow>& cells) {
    ASSERT_EQ(values.size(), cells.size() + 1);
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const servers::TypeRow& cell = cells[i];
      if (cell.declared == "POINT") continue;  // a source says geometry as text
      EXPECT_EQ(toString(values[i + 1].kind()), cell.kind) << cell.declared << " " << cell.sql;
      EXPECT_EQ(describe(values[i + 1]), cell.readsAs) << cell.declared << " " << cell.sql;
    }
  }

  /// Those that the server has: MySQL has none of MariaDB's own.
  static std::vector<servers::TypeRow> had(std::vector<servers::TypeRow> cells) {
    if (isMariaDb()) return cells;
    std::erase_if(cells, [](const servers::TypeRow& cell) {
      return cell.declared.starts_with("UUID") || cell.declared.starts_with("INET") ||
             cell.declared.ends_with("COMPRESSED") || cell.declared == "DECIMAL(38,38)";
    });
    return cells;
  }
  static std::vector<const char*> metadata(bool withFull) {
    std::vector<const char*> settings{"MINIMAL"};
    if (isMariaDb()) settings.push_back("NO_LOG");
    if (withFull) settings.push_back("FULL");
    return settings;
  }

  std::vector<servers::TypeRow> documented = servers::mysqlTypeTable();
};

TEST_F(BinlogTypes, ReadAsTheDocumentationSaysInBaselineAndStream) {
  makeCells(documented);
  insertCells(1, documented);
  follow({"binlog_test.cells"});
  ASSERT_EQ(opsOf(events()).substr(0, 32), "baselineBegin read baselineEnd");
  expectCells(events()[1].after, documented);
  insertCells(2, documented);
  execute(writer, {"UPDATE cells SET id = 3 WHERE id = 2", "DELETE FROM cells WHERE id = 1"});
  const auto seen = changes(4);
  ASSERT_EQ(opsOf(seen), "insert erase insert erase");
  expectCells(seen[0].after, documented);
  expectCells(seen[2].after, documented);
  expectCells(seen[3].before, documented);
}

TEST_F(BinlogTypes, AreReadWithoutTheServersMetadataToo) {
  for (const char* setting : metadata(false)) {
    SCOPED_TRACE(setting);
    SetUp();
    execute(writer, {std::string("SET GLOBAL binlog_row_metadata = ") + setting});
    makeCells(documented);
    follow({"binlog_test.cells"});
    insertCells(2, documented);
    expectCells(changes(1).at(0).after, documented);
    reader->stop();
  }
}

const std::vector<servers::TypeRow> kMore{
    {"TINYINT UNSIGNED", "0", "int64", "0"},
    {"YEAR", "0", "int64", "0"},
    {"YEAR", "1901", "int64", "1901"},
    {"YEAR", "2155", "int64", "2155"},
    {"SMALLINT UNSIGNED", "40000", "int64", "40000"},
    {"BIT(9)", "b'100000001'", "int64", "257"},
    {"SMALLINT", "-2", "int64", "-2"},
    {"DECIMAL(65,0)", "99999999999999999999999999999999999999999999999999999999999999999", "decimal",
     "99999999999999999999999999999999999999999999999999999999999999999"},
    {"DECIMAL(38,38)", "0.00000000000000000000000000000000000001", "decimal",
     "0.00000000000000000000000000000000000001"},
    {"DECIMAL(9,4)", "-12345.6789", "decimal", "-12345.6789"},
    {"DECIMAL(10,0)", "0", "decimal", "0"},
    {"DECIMAL(5,2) UNSIGNED", "1.2", "decimal", "1.20"},
    {"DECIMAL(8,2) ZEROFILL", "12.5", "decimal", "12.50"},
    {"DECIMAL(5,5) ZEROFILL", "0.5", "decimal", "0.50000"},
    {"DECIMAL(9,0) ZEROFILL", "0", "decimal", "0"},
    {"FLOAT(8,3) ZEROFILL", "1.5", "double", "1.5"},
    {"BIGINT(20) ZEROFILL", "42", "int64", "42"},
    {"DOUBLE", "-1.7976931348623157e308", "double", "-1.7976931348623157e+308"},
    {"CHAR(3) CHARACTER SET utf8mb3", "'äöü'", "text", "\"äöü\""},
    {"CHAR(255) CHARACTER SET utf8mb4", "REPEAT('ä', 100)", "text", ""},
    {"VARCHAR(300) CHARACTER SET latin1", "'€ äöü'", "text", "\"€ äöü\""},
    {"VARCHAR(20) CHARACTER SET cp1251", "'Привет'", "text", "\"Привет\""},
    {"VARCHAR(20) CHARACTER SET koi8r", "'Привет'", "text", "\"Привет\""},
    {"VARCHAR(20) CHARACTER SET greek", "'αβγ'", "text", "\"αβγ\""},
    {"VARCHAR(20) CHARACTER SET swe7", "'å'", "text", "\"å\""},
    {"VARCHAR(20) CHARACTER SET sjis", "'日本'", "text", "\"日本\""},
    {"VARCHAR(20) CHARACTER SET ujis", "'日本'", "text", "\"日本\""},
    {"VARCHAR(20) CHARACTER SET gbk", "'中文'", "text", "\"中文\""},
    {"VARCHAR(20) CHARACTER SET big5", "'中文'", "text", "\"中文\""},
    {"VARCHAR(20) CHARACTER SET euckr", "'한국'", "text", "\"한국\""},
    {"VARCHAR(20) CHARACTER SET ucs2", "'zoë'", "text", "\"zoë\""},
    {"VARCHAR(20) CHARACTER SET utf16le", "'zoë 🦉'", "text", "\"zoë 🦉\""},
    {"VARCHAR(20) CHARACTER SET utf32", "'zoë 🦉'", "text", "\"zoë 🦉\""},
    {"TEXT CHARACTER SET latin1", "'ß'", "text", "\"ß\""},
    {"ENUM('ä', 'ö') CHARACTER SET latin1", "'ö'", "text", "\"ö\""},
    {"ENUM('it''s', 'b') CHARACTER SET utf16", "'it''s'", "text", "\"it's\""},
    {"SET('a', 'ü') CHARACTER SET latin1", "'a,ü'", "text", "\"a,ü\""},
    {"SET('a', 'b')", "''", "text", "\"\""},
    {"ENUM('a', 'b')", "'nothing of it'", "text", "\"\""},
    {"VARBINARY(300)", "x'00'", "bytes", "0x00"},
    {"BINARY(3)", "x'000000'", "bytes", "0x000000"},
    {"TINYBLOB", "x'ff'", "bytes", "0xff"},
    {"MEDIUMBLOB", "x'ff00'", "bytes", "0xff00"},
    {"LONGBLOB", "x'00'", "bytes", "0x00"},
    {"MEDIUMTEXT", "'m'", "text", "\"m\""},
    {"TEXT COMPRESSED", "REPEAT('abc', 20)", "text",
     "\"abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabc\""},
    {"VARCHAR(500) COMPRESSED", "REPEAT('xyz', 50)", "text", ""},
    {"TEXT COMPRESSED", "'short'", "text", "\"short\""},
    {"BLOB COMPRESSED", "REPEAT(x'00ff', 100)", "bytes", ""},
    {"UUID", "'00000000-0000-0000-0000-000000000000'", "text", "\"00000000-0000-0000-0000-000000000000\""},
    {"UUID", "'ffffffff-ffff-ffff-ffff-ffffffffffff'", "text", "\"ffffffff-ffff-ffff-ffff-ffffffffffff\""},
    {"UUID", "'123e4567-e89b-12d3-a456-426614174000'", "text", "\"123e4567-e89b-12d3-a456-426614174000\""},
    {"UUID", "'018f4e2c-7b6a-7c3d-8e4f-0123456789ab'", "text", "\"018f4e2c-7b6a-7c3d-8e4f-0123456789ab\""},
    {"UUID", "'123e4567-e89b-12d3-2456-426614174000'", "text", "\"123e4567-e89b-12d3-2456-426614174000\""},
    {"UUID", "'123e4567-e89b-92d3-a456-426614174000'", "text", "\"123e4567-e89b-92d3-a456-426614174000\""},
    {"UUID", "'123e4567-e89b-52d3-f456-426614174000'", "text", "\"123e4567-e89b-52d3-f456-426614174000\""},
    {"UUID", "'123e4567-e89b-02d3-a456-426614174000'", "text", "\"123e4567-e89b-02d3-a456-426614174000\""},
    {"INET4", "'192.168.0.1'", "text", "\"192.168.0.1\""},
    {"INET4", "'0.0.0.0'", "text", "\"0.0.0.0\""},
    {"INET6", "'::'", "text", "\"::\""},
    {"INET6", "'::ffff:192.168.0.1'", "text", "\"::ffff:192.168.0.1\""},
    {"INET6", "'fe80::1:0:0:1'", "text", ""},
    {"DATETIME(1)", "'2024-05-01 12:00:00.5'", "timestamp", "2024-05-01T12:00:00.5"},
    {"DATETIME(2)", "'0001-01-01 00:00:00.25'", "timestamp", "0001-01-01T00:00:00.25"},
    {"DATETIME(4)", "'2024-02-30 00:00:00.1234'", "text", "\"2024-02-30 00:00:00.1234\""},
    {"DATETIME(6)", "'0000-00-00 00:00:00'", "text", "\"0000-00-00 00:00:00.000000\""},
    {"TIMESTAMP(3) NULL", "'0000-00-00 00:00:00'", "text", "\"0000-00-00 00:00:00.000\""},
    {"TIMESTAMP(1) NULL", "'1970-01-01 00:00:01.5'", "timestamp", "1970-01-01T00:00:01.5Z"},
    {"TIME(1)", "'-00:00:00.1'", "time", "-00:00:00.1"},
    {"TIME(2)", "'-838:59:58.99'", "time", "-838:59:58.99"},
    {"TIME(3)", "'838:59:59'", "time", "838:59:59"},
    {"TIME(4)", "'-00:00:01.0001'", "time", "-00:00:01.0001"},
    {"POINT", "ST_GeomFromText('POINT(1.5 -2)')", "text", "\"POINT(1.5 -2)\""},
    {"GEOMETRY", "ST_GeomFromText('POLYGON((0 0,4 0,4 4,0 0),(1 1,2 1,2 2,1 1))', 4326)", "text",
     // MySQL takes 4326 as latitude and longitude.
     servers::isMariaDb() ? "\"SRID=4326;POLYGON((0 0,4 0,4 4,0 0),(1 1,2 1,2 2,1 1))\""
                          : "\"SRID=4326;POLYGON((0 0,0 4,4 4,0 0),(1 1,1 2,2 2,1 1))\""},
    {"GEOMETRY", "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))')", "text",
     "\"GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))\""},
    {"MULTIPOLYGON", "ST_GeomFromText('MULTIPOLYGON(((0 0,1 0,1 1,0 0)))')", "text",
     "\"MULTIPOLYGON(((0 0,1 0,1 1,0 0)))\""},
    {"MULTIPOINT", "ST_GeomFromText('MULTIPOINT(0 0,1 1)')", "text", "\"MULTIPOINT(0 0,1 1)\""},
};

TEST_F(BinlogTypes, BaselineAndStreamAgreeOnEveryOtherType) {
  const std::vector<servers::TypeRow> more = had(kMore);
  for (const char* setting : metadata(true)) {
    SCOPED_TRACE(setting);
    SetUp();
    execute(writer, {std::string("SET GLOBAL binlog_row_metadata = ") + setting});
    makeCells(more);
    insertCells(1, more);
    follow({"binlog_test.cells"});
    insertCells(2, more);
    const std::vector<Value> streamed = changes(1).at(0).after, read = events().at(1).after;
    ASSERT_EQ(streamed.size(), more.size() + 1);
    for (std::size_t i = 0; i < more.size(); ++i) {
      SCOPED_TRACE(more[i].declared + " " + more[i].sql);
      EXPECT_TRUE(streamed[i + 1] == read[i + 1]) << describe(streamed[i + 1]) << " and " << describe(read[i + 1]);
      EXPECT_EQ(toString(streamed[i + 1].kind()), more[i].kind);
      if (more[i].readsAs.empty()) continue;
      EXPECT_EQ(describe(read[i + 1]), more[i].readsAs);
    }
    reader->stop();
  }
}

}  // namespace
}  // namespace tidegate::mysql
