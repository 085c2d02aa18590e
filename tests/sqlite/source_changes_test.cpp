// Changes of every kind, as other connections make them.
#include <gtest/gtest.h>

#include "sqlite/source_support.h"

namespace tidegate::sqlite {
namespace {

using testing::PlainDb;
using testing::SourceRig;

TEST(SqliteSource, TellsInsertsUpdatesAndErases) {
  SourceRig rig;
  rig.writer.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'one')");
  rig.follow({"t"});
  rig.writer.exec(
      "INSERT INTO t VALUES (2, 'two'); UPDATE t SET v = 'ONE' WHERE id = 1; DELETE FROM t WHERE id = 2;"
      "INSERT INTO t(v) VALUES ('auto')");
  rig.awaitRows("t");
  EXPECT_EQ(rig.ops("t"), "baselineBegin read baselineEnd insert update erase insert");
}

TEST(SqliteSource, AKeyThatChangesIsAnEraseAndAnInsert) {
  SourceRig rig;
  rig.writer.exec("CREATE TABLE t(a TEXT, b INT, v, PRIMARY KEY(b, a)); INSERT INTO t VALUES ('x', 1, 'v')");
  rig.follow({"t"});
  const std::size_t before = rig.count();
  rig.writer.exec("UPDATE t SET b = 2");
  rig.awaitRows("t");
  EXPECT_EQ(rig.ops("t", before), "erase insert");
  rig.writer.exec("UPDATE t SET b = b, v = 'w'");
  rig.awaitRows("t");
  EXPECT_EQ(rig.ops("t", before), "erase insert update");
}

TEST(SqliteSource, ARowThatReplaceRemovesIsErased) {
  for (const char* recursive : {"OFF", "ON"}) {
    SCOPED_TRACE(recursive);
    SourceRig rig;
    rig.writer.exec(std::string("PRAGMA recursive_triggers = ") + recursive);
    rig.writer.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT UNIQUE, a INT, b INT, UNIQUE(a, b));"
        "INSERT INTO t VALUES (1, 'one', 1, 1), (2, 'two', 2, 2), (3, 'three', 3, 3), (4, 'four', 4, 4)");
    rig.follow({"t"});
    rig.writer.exec("INSERT OR REPLACE INTO t VALUES (9, 'one', 2, 2)");          // takes two rows away
    rig.writer.exec("INSERT OR REPLACE INTO t(u, a, b) VALUES ('three', 7, 7)");  // its id comes later
    rig.writer.exec("UPDATE OR REPLACE t SET u = 'four' WHERE id = 9");
    rig.writer.exec("REPLACE INTO t VALUES (9, 'nine', 9, 9)");
    rig.writer.exec("UPDATE OR REPLACE t SET id = 9 WHERE a = 7");
    rig.awaitRows("t");
  }
}

TEST(SqliteSource, AReplacedRowOfTheSameKeyIsAnUpdate) {
  SourceRig rig;
  rig.writer.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'a')");
  rig.follow({"t"});
  const std::size_t before = rig.count();
  rig.writer.exec("INSERT OR REPLACE INTO t VALUES (1, 'b')");
  rig.writer.exec("INSERT OR REPLACE INTO t VALUES (2, 'c')");
  rig.awaitRows("t");
  EXPECT_EQ(rig.ops("t", before), "update insert");
}

TEST(SqliteSource, WhatComesToNothingLeavesNothingBehind) {
  SourceRig rig;
  rig.writer.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT UNIQUE); INSERT INTO t VALUES (1, 'a'), (2, 'b')");
  rig.follow({"t"});
  rig.writer.exec("INSERT OR IGNORE INTO t VALUES (1, 'z'), (5, 'a'), (6, 'b')");
  rig.writer.exec("INSERT INTO t VALUES (1, 'y') ON CONFLICT DO NOTHING");
  rig.writer.exec("DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (3, 'c')");
  rig.writer.exec(
      "INSERT OR IGNORE INTO t VALUES (7, 'b'); UPDATE t SET id = 20 WHERE id = 2; INSERT INTO t VALUES (2, 'd')");
  rig.writer.exec("INSERT OR IGNORE INTO t VALUES (8, 'd'); INSERT INTO t VALUES (9, 'e')");
  rig.writer.exec("INSERT INTO t VALUES (2, 'up') ON CONFLICT(id) DO UPDATE SET u = excluded.u");
  EXPECT_THROW(rig.writer.exec("INSERT OR FAIL INTO t VALUES (11, 'f'), (12, 'c')"), std::runtime_error);
  EXPECT_THROW(rig.writer.exec("INSERT OR ABORT INTO t VALUES (13, 'g'), (14, 'c')"), std::runtime_error);
  rig.awaitRows("t");
}

TEST(SqliteSource, KeysThatAreEqualToTheIndexAndNotToUsAreTold) {
  SourceRig rig;
  rig.writer.exec(
      "CREATE TABLE folded(k TEXT COLLATE NOCASE PRIMARY KEY, v); INSERT INTO folded VALUES ('a', 1), ('b', 2);"
      "CREATE TABLE loose(k PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO loose VALUES (1, 'int'), ('1', 'text'), (x'31', "
      "'blob')");
  rig.follow({"folded", "loose"});
  rig.writer.exec("INSERT OR REPLACE INTO folded VALUES ('A', 10); UPDATE folded SET k = 'B' WHERE k = 'b'");
  rig.writer.exec("INSERT OR REPLACE INTO loose VALUES (1.0, 'real'); UPDATE loose SET k = 2 WHERE k = '1'");
  rig.awaitRows("folded");
  rig.awaitRows("loose");
}

TEST(SqliteSource, EveryStorageClassComesExactlyWhateverTheColumnSays) {
  SourceRig rig;
  const char* values =
      "(1, NULL, 9223372036854775807, -9223372036854775808, 'text'), (2, 9e999, -9e999, 0.1, 1e308),"
      "(3, x'', x'00ff', '', CAST(x'610062' AS TEXT)), (4, CAST(x'ff' AS TEXT), 'forty-two', '007', -0.0),"
      "(5, 5e-324, 9007199254740993, 1.0, 2), (6, '{\"b\": [1]}', 1, 0, 'zoë 🦉')";
  rig.writer.exec(
      "CREATE TABLE plain(id INTEGER PRIMARY KEY, a, b INTEGER, c TEXT, d REAL);"
      "CREATE TABLE other(id INTEGER PRIMARY KEY, a JSON, b BOOLEAN, c NUMERIC, d BLOB)");
  rig.writer.exec(std::string("INSERT INTO plain VALUES ") + values);
  rig.follow({"plain", "other"});
  rig.writer.exec(std::string("INSERT INTO other VALUES ") + values);
  rig.writer.exec("UPDATE plain SET a = d, d = a, b = c");
  rig.awaitRows("plain");
  rig.awaitRows("other");
}

TEST(SqliteSource, GeneratedColumnsAndHostileNamesAreColumnsAsOthers) {
  SourceRig rig;
  rig.writer.exec(
      "CREATE TABLE \"o'dd \"\"t\"(\"id\" INTEGER PRIMARY KEY, \"a.b\" INT, \"select\" AS (\"a.b\" * 2) UNIQUE, "
      "\"k0\" TEXT AS ('s' || \"a.b\") STORED, t)");
  const std::string table = "o'dd \"t";
  rig.follow({table});
  rig.writer.exec("INSERT INTO \"o'dd \"\"t\"(id, \"a.b\", t) VALUES (1, 10, 'x'), (2, 20, 'y')");
  rig.writer.exec("UPDATE \"o'dd \"\"t\" SET \"a.b\" = 11 WHERE id = 1");
  rig.writer.exec("UPDATE OR REPLACE \"o'dd \"\"t\" SET \"a.b\" = 20 WHERE id = 1");
  rig.writer.exec("INSERT OR REPLACE INTO \"o'dd \"\"t\"(id, \"a.b\", t) VALUES (3, 20, 'z')");
  rig.awaitRows(table, "SELECT * FROM \"o'dd \"\"t\"");
}

TEST(SqliteSource, ADeleteOfEverythingErasesEachRow) {
  SourceRig rig;
  rig.writer.exec("CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)");
  rig.follow({"t"});
  const std::size_t before = rig.count();
  rig.writer.exec("DELETE FROM t");
  rig.awaitRows("t");
  EXPECT_EQ(rig.ops("t", before), "erase erase erase");
}

TEST(SqliteSource, WhatIsRolledBackNeverComes) {
  SourceRig rig;
  rig.writer.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  rig.follow({"t"});
  rig.writer.exec(
      "BEGIN; INSERT INTO t VALUES (1, 'kept'); SAVEPOINT s; INSERT INTO t VALUES (2, 'undone');"
      "UPDATE t SET v = 'undone' WHERE id = 1; ROLLBACK TO s; INSERT INTO t VALUES (3, 'kept'); COMMIT");
  rig.writer.exec("BEGIN; DELETE FROM t; ROLLBACK; INSERT INTO t VALUES (4, 'last')");
  rig.awaitRows("t");
  EXPECT_EQ(rig.ops("t"), "baselineBegin baselineEnd insert insert insert");
}

TEST(SqliteSource, ForeignKeyActionsAreTold) {
  SourceRig rig;
  rig.writer.exec(
      "PRAGMA foreign_keys = ON; CREATE TABLE p(id INTEGER PRIMARY KEY, v);"
      "CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE);"
      "INSERT INTO p VALUES (1, 'a'), (2, 'b'), (3, 'c'); INSERT INTO c VALUES (10, 1), (20, 2), (30, 3)");
  rig.follow({"p", "c"});
  rig.writer.exec(
      "DELETE FROM p WHERE id = 1; UPDATE p SET id = 22 WHERE id = 2; INSERT OR REPLACE INTO p VALUES (3, 'd')");
  rig.awaitRows("p");
  rig.awaitRows("c");
}

TEST(SqliteSource, AWriterThatAttachesTheDatabaseIsSeen) {
  SourceRig rig;
  rig.writer.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, v UNIQUE); INSERT INTO t VALUES (1, 'x')");
  rig.follow({"t"});
  PlainDb other(rig.folder / "other.db");
  other.exec("PRAGMA trusted_schema = OFF; CREATE TABLE t(id, v); ATTACH '" + rig.path() + "' AS shop");
  other.exec("INSERT OR REPLACE INTO shop.t VALUES (7, 'x'); INSERT INTO t VALUES (8, 'elsewhere')");
  rig.awaitRows("t");
}

TEST(SqliteSource, TriggersOfTheApplicationDoNotHideWhatTheyMakeOfARow) {
  for (const bool afterOurs : {false, true}) {
    SCOPED_TRACE(afterOurs);
    SourceRig rig;
    const std::string own =
        "CREATE TRIGGER touch AFTER UPDATE ON t BEGIN UPDATE t SET n = n + 1 WHERE id = NEW.id; END;"
        "CREATE TRIGGER fill AFTER INSERT ON t BEGIN UPDATE t SET n = 100 WHERE id = NEW.id; "
        "INSERT OR REPLACE INTO t(id, u, n) SELECT NEW.id + 1000, NEW.u || '+', 0 WHERE NEW.id < 1000; END;"
        "CREATE TRIGGER back AFTER DELETE ON t WHEN OLD.id = 3 BEGIN INSERT INTO t VALUES (3, 'again', 0); END";
    rig.writer.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT UNIQUE, n INT)");
    if (!afterOurs) rig.writer.exec(own);
    rig.follow({"t"});
    if (afterOurs) {
      rig.writer.exec(own);
      // Told once the source has taken note: from there on order counts for nothing.
      const auto noted = rig.awaitEvent([](const ChangeEvent& e) { return e.op == ChangeOp::schemaChange; });
      ASSERT_TRUE(noted && noted->schemaChange->rowsChanged) << "what came in between may be out of order";
    }
    rig.writer.exec("INSERT INTO t VALUES (1, 'a', 0), (2, 'b', 0), (3, 'c', 0)");
    rig.writer.exec("UPDATE t SET u = 'B' WHERE id = 2; DELETE FROM t WHERE id = 3; DELETE FROM t WHERE id = 1");
    rig.writer.exec("INSERT OR REPLACE INTO t VALUES (5, 'B', 0)");
    const auto wanted = testing::rowsOf(rig.path(), "SELECT * FROM t");
    EXPECT_TRUE(rig.awaitEvent([&](const ChangeEvent&) { return rig.replica.rows("t") == wanted; }));
    rig.replica.faults.clear();  // a nested change may be told before the one it is nested in: the row is the same
  }
}

TEST(SqliteSource, TheWriterSeesNothingOfTheTriggers) {
  SourceRig rig;
  rig.writer.exec("CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, v UNIQUE)");
  rig.follow({"t"});
  rig.writer.exec("INSERT INTO t(v) VALUES ('a'), ('b')");
  EXPECT_EQ(sqlite3_changes(rig.writer.handle()), 2);
  EXPECT_EQ(sqlite3_last_insert_rowid(rig.writer.handle()), 2);
  EXPECT_EQ(rig.writer.text("INSERT OR REPLACE INTO t(v) VALUES ('b') RETURNING id"), "3");
  rig.writer.exec("DELETE FROM t");
  EXPECT_EQ(sqlite3_changes(rig.writer.handle()), 2);
  rig.awaitRows("t");
}

}  // namespace
}  // namespace tidegate::sqlite
