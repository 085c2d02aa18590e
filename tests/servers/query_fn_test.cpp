/// What both drivers promise of values, names and errors.
#include "servers/server_test.h"

namespace tidegate::servers {
namespace {

class ServerQueryFn : public ServerTest {};
TIDEGATE_FOR_BOTH_SERVERS(ServerQueryFn);

const std::vector<std::string> kHostile{"",
                                        " ",
                                        "'",
                                        "''",
                                        "\"",
                                        "`",
                                        "\\",
                                        "\\'",
                                        "'; DROP TABLE hostile; --",
                                        "\"; DROP TABLE hostile; --",
                                        "$1",
                                        "?",
                                        "%s%n",
                                        "${x}",
                                        "/* */",
                                        "-- ",
                                        "#",
                                        "\n\r\t",
                                        "zo\u00eb \U0001F989",
                                        "\u202e\ufeff",
                                        "NULL",
                                        "0x41",
                                        "{\"a\":1}",
                                        std::string(70'000, '\'')};

TEST_P(ServerQueryFn, HostileValuesAreStoredAndFoundAsTheyAre) {
  execute(admin, {"DROP TABLE IF EXISTS hostile",
                  server.isPostgres() ? "CREATE TABLE hostile (id integer, v text, b bytea)"
                                      : "CREATE TABLE hostile (id INT, v LONGTEXT COLLATE utf8mb4_bin, b LONGBLOB)"});
  std::vector<std::string> hostile = kHostile;
  if (!server.isPostgres()) hostile.push_back(std::string("a\0b'\0", 5));
  for (std::size_t i = 0; i < hostile.size(); ++i) {
    readAll(
        admin,
        Query{"INSERT INTO hostile VALUES (" + server.mark(1) + ", " + server.mark(2) + ", " + server.mark(3) + ")",
              {Value(static_cast<int>(i)), Value(hostile[i]), Value(Bytes{hostile[i] + std::string("\0\xff", 2)})}});
  }
  for (const bool wholeResult : {false, true}) {
    const Rows rows =
        readAll(admin, Query{.sql = "SELECT id, v, b FROM hostile ORDER BY id", .wholeResult = wholeResult});
    ASSERT_EQ(rows.size(), hostile.size());
    for (std::size_t i = 0; i < hostile.size(); ++i) {
      EXPECT_TRUE(rows[i][1] == Value(hostile[i])) << i;
      EXPECT_TRUE(rows[i][2] == Value(Bytes{hostile[i] + std::string("\0\xff", 2)})) << i;
    }
  }
  for (const std::string& value : hostile) {
    const Rows found =
        readAll(admin, Query{"SELECT v FROM hostile WHERE v = " + server.mark(1) + " ORDER BY id", {Value(value)}});
    EXPECT_FALSE(found.empty()) << value.substr(0, 80);
  }
}

TEST_P(ServerQueryFn, HostileNamesAreQuoted) {
  for (const std::string name :
       {"order", "a b", "quote\"d", "back`tick", "semi;colon", "'); DROP TABLE x; --", "zo\u00eb"}) {
    SCOPED_TRACE(name);
    const std::string table = server.quoted("t " + name), column = server.quoted(name);
    execute(admin, {"DROP TABLE IF EXISTS " + table, "CREATE TABLE " + table + " (" + column + " VARCHAR(20))",
                    "INSERT INTO " + table + " VALUES ('kept')"});
    for (const bool wholeResult : {false, true}) {
      ResultSet result = admin(Query{.sql = "SELECT " + column + " FROM " + table, .wholeResult = wholeResult});
      EXPECT_EQ((*result.columns())[0], name);
      std::vector<Value> row;
      ASSERT_TRUE(result.next(row));
      EXPECT_TRUE(row[0] == Value("kept"));
    }
    execute(admin, {"DROP TABLE " + table});
  }
}

TEST_P(ServerQueryFn, TextThatIsNotUtf8IsRefusedAsAParameter) {
  execute(admin, {"DROP TABLE IF EXISTS utf8only", "CREATE TABLE utf8only (v VARCHAR(20))"});
  const std::string sql = "INSERT INTO utf8only VALUES (" + server.mark(1) + ")";
  EXPECT_EQ(errorOf([&] {
              readAll(admin, Query{sql, {Value(std::string("a\xff\xfe"))}});
            }).code(),
            ErrorCode::queryFailed);
  EXPECT_TRUE(readAll(admin, "SELECT v FROM utf8only").empty());
}

TEST_P(ServerQueryFn, ASecondStatementCannotBeSmuggledIn) {
  execute(admin, {"DROP TABLE IF EXISTS victim", "CREATE TABLE victim (v INT)"});
  for (const bool wholeResult : {false, true}) {
    EXPECT_EQ(errorOf([&] {
                readAll(admin, Query{.sql = "SELECT 1 AS n; DROP TABLE victim", .wholeResult = wholeResult});
              }).code(),
              ErrorCode::queryFailed);
  }
  EXPECT_TRUE(readAll(admin, "SELECT v FROM victim").empty());
}

TEST_P(ServerQueryFn, CannotWriteUnlessAllowed) {
  execute(admin, {"DROP TABLE IF EXISTS guarded", "CREATE TABLE guarded (v INT)"});
  const QueryFn reader = server.connect();
  const Error e = errorOf([&] { execute(reader, {"INSERT INTO guarded VALUES (1)"}); });
  EXPECT_EQ(e.code(), ErrorCode::permissionDenied);
  EXPECT_NE(e.message().find("readOnly"), std::string::npos) << e.what();
  EXPECT_TRUE(readAll(admin, "SELECT v FROM guarded").empty());
}

TEST_P(ServerQueryFn, MissingThingsAreNamed) {
  execute(admin, {"DROP TABLE IF EXISTS here", "CREATE TABLE here (v INT)"});
  for (const bool wholeResult : {false, true}) {
    const Error table =
        errorOf([&] { readAll(admin, Query{.sql = "SELECT v FROM not_there", .wholeResult = wholeResult}); });
    EXPECT_EQ(table.code(), ErrorCode::tableNotFound);
    EXPECT_EQ(table.retry(), Retry::afterOperator);
    EXPECT_NE(table.message().find("not_there"), std::string::npos) << table.what();
    const Error column =
        errorOf([&] { readAll(admin, Query{.sql = "SELECT no_such FROM here", .wholeResult = wholeResult}); });
    EXPECT_EQ(column.code(), ErrorCode::columnNotFound);
    EXPECT_NE(column.message().find("no_such"), std::string::npos) << column.what();
    EXPECT_EQ(errorOf([&] { readAll(admin, Query{.sql = "SELEC 1", .wholeResult = wholeResult}); }).retry(),
              Retry::never);
    EXPECT_EQ(readAll(admin, Query{.sql = server.numbers(3), .wholeResult = wholeResult}).size(), 3u);
  }
}

TEST_P(ServerQueryFn, ColumnsThatShareANameAreRefusedWithTheRemedy) {
  for (const bool wholeResult : {false, true}) {
    const Error e = errorOf([&] { readAll(admin, Query{.sql = "SELECT 1 AS n, 2 AS n", .wholeResult = wholeResult}); });
    EXPECT_EQ(e.code(), ErrorCode::queryFailed);
    EXPECT_NE(e.message().find("AS name"), std::string::npos) << e.what();
    EXPECT_EQ(readAll(admin, server.numbers(2)).size(), 2u);
  }
}

TEST_P(ServerQueryFn, WhatIsNotGrantedIsDenied) {
  const std::string user = "limited";
  execute(admin, {"DROP TABLE IF EXISTS secret_table", "CREATE TABLE secret_table (v INT)"});
  if (server.isPostgres()) {
    execute(admin, {"DROP ROLE IF EXISTS limited", "CREATE ROLE limited LOGIN PASSWORD 'limited-pw'"});
  } else {
    execute(admin, {"DROP USER IF EXISTS limited@localhost", "CREATE USER limited@localhost IDENTIFIED BY 'limited-pw'",
                    "CREATE TABLE IF NOT EXISTS victim (v INT)", "GRANT SELECT ON tidegate.victim TO limited@localhost",
                    "GRANT CREATE TEMPORARY TABLES ON tidegate.* TO limited@localhost"});
  }
  const QueryFn limited = server.connect({.user = user, .password = "limited-pw"});
  const Error e = errorOf([&] { readAll(limited, "SELECT v FROM secret_table"); });
  EXPECT_EQ(e.code(), ErrorCode::permissionDenied);
  EXPECT_NE(e.message().find("secret_table"), std::string::npos) << e.what();
}

TEST_P(ServerQueryFn, StreamsAndPagesReadTheSame) {
  const std::string sql = server.numbers(25'000);
  EXPECT_TRUE(readAll(admin, Query{.sql = sql, .wholeResult = true}) == readAll(admin, sql));
  EXPECT_EQ(readAll(admin, sql).size(), 25'000u);
}

TEST_P(ServerQueryFn, AnEmptyResultHasItsColumns) {
  for (const bool wholeResult : {false, true}) {
    ResultSet result =
        admin(Query{.sql = "SELECT n AS first, n AS second FROM (" + server.numbers(2) + ") AS t WHERE n > 5",
                    .wholeResult = wholeResult});
    EXPECT_EQ(result.columns()->names(), (std::vector<std::string>{"first", "second"}));
    std::vector<Value> row;
    EXPECT_FALSE(result.next(row));
    EXPECT_FALSE(result.next(row));
    EXPECT_EQ(result.columns()->size(), 2u) << "the columns stay when the rows are at their end";
  }
}

}  // namespace
}  // namespace tidegate::servers
