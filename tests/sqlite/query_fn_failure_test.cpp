#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stop_token>
#include <thread>

#include "sqlite/temp_database.h"
#include "tidegate/core/error.h"
#include "tidegate/sqlite/query_fn.h"

namespace tidegate::sqlite {
namespace {

using namespace std::chrono_literals;
using testing::PlainDb;
using testing::TempDir;

constexpr const char* kEndless =
    "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

std::string drain(const QueryFn& query, const Query& q) {
  ResultSet result = query(q);
  std::vector<Value> row;
  std::string last;
  while (result.next(row)) last = row.empty() ? "" : describe(row[0]);
  return last;
}

Error failureOf(const QueryFn& query, const Query& q) {
  try {
    drain(query, q);
  } catch (const Error& e) {
    return e;
  }
  return {ErrorCode::internal, Retry::never, "it did not fail"};
}

/// Without root's right to read everything, as long as it lives.
class Unprivileged {
 public:
  Unprivileged() : before_(::geteuid()) {
    if (before_ == 0) changed_ = ::seteuid(65534) == 0;
  }
  ~Unprivileged() {
    if (changed_ && ::seteuid(before_) != 0) std::abort();
  }
  Unprivileged(const Unprivileged&) = delete;
  Unprivileged& operator=(const Unprivileged&) = delete;

 private:
  uid_t before_;
  bool changed_ = false;
};

class SqliteQueryFailure : public ::testing::Test {
 protected:
  TempDir dir;
  std::string path = dir / "source.db";
};

TEST_F(SqliteQueryFailure, AnEndlessQueryIsStoppedByItsToken) {
  PlainDb(path).exec("CREATE TABLE t(v)");
  const QueryFn query = queryFn({.path = path, .statementTimeout = 0ms});
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  const Error e = failureOf(query, {.sql = kEndless, .stop = stop.get_token()});
  EXPECT_EQ(e.code(), ErrorCode::queryCancelled) << e.what();
  EXPECT_EQ(e.retry(), Retry::later);
  EXPECT_EQ(drain(query, {.sql = "SELECT 1"}), "1");
}

TEST_F(SqliteQueryFailure, AnEndlessQueryRunsIntoItsTimeout) {
  PlainDb(path).exec("CREATE TABLE t(v)");
  const QueryFn query = queryFn({.path = path, .statementTimeout = 30ms});
  const Error e = failureOf(query, {.sql = kEndless});
  EXPECT_EQ(e.code(), ErrorCode::queryCancelled);
  EXPECT_NE(e.message().find("timeout"), std::string::npos) << e.what();
  const QueryFn patient = queryFn({.path = path, .statementTimeout = 0ms});
  EXPECT_EQ(failureOf(patient, {.sql = kEndless, .timeout = 30ms}).code(), ErrorCode::queryCancelled);
  EXPECT_EQ(drain(query, {.sql = "SELECT 1"}), "1");
}

TEST_F(SqliteQueryFailure, AStopBetweenRowsEndsTheResult) {
  PlainDb(path).exec("CREATE TABLE t(v); INSERT INTO t VALUES (1),(2),(3)");
  const QueryFn query = queryFn({.path = path});
  std::stop_source stop;
  ResultSet result = query({.sql = "SELECT v FROM t", .stop = stop.get_token()});
  std::vector<Value> row;
  ASSERT_TRUE(result.next(row));
  stop.request_stop();
  EXPECT_THROW(result.next(row), Error);
  EXPECT_FALSE(result.next(row));
}

TEST_F(SqliteQueryFailure, ALockedDatabaseIsWaitedForAndThenReported) {
  PlainDb other(path);
  other.exec("CREATE TABLE t(v); INSERT INTO t VALUES (5); BEGIN EXCLUSIVE");
  const QueryFn query = queryFn({.path = path, .busyTimeout = 30ms});
  const Error e = failureOf(query, {.sql = "SELECT v FROM t"});
  EXPECT_EQ(e.code(), ErrorCode::queryFailed) << e.what();
  EXPECT_EQ(e.retry(), Retry::later);
  EXPECT_NE(e.message().find("locked"), std::string::npos) << e.what();
  other.exec("COMMIT");
  EXPECT_EQ(drain(query, {.sql = "SELECT v FROM t"}), "5");
}

TEST_F(SqliteQueryFailure, WaitingForALockIsStoppedByTheToken) {
  PlainDb other(path);
  other.exec("CREATE TABLE t(v); BEGIN EXCLUSIVE");
  const QueryFn query = queryFn({.path = path, .busyTimeout = std::chrono::hours(1), .statementTimeout = 0ms});
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  EXPECT_EQ(failureOf(query, {.sql = "SELECT v FROM t", .stop = stop.get_token()}).code(), ErrorCode::queryCancelled);
  EXPECT_EQ(failureOf(query, {.sql = "SELECT v FROM t", .timeout = 20ms}).code(), ErrorCode::queryCancelled);
}

TEST_F(SqliteQueryFailure, AMissingFileIsNamedAndFoundByALaterQuery) {
  const QueryFn query = queryFn({.path = path});
  const Error e = failureOf(query, {.sql = "SELECT v FROM t"});
  EXPECT_EQ(e.code(), ErrorCode::connectionFailed);
  EXPECT_EQ(e.retry(), Retry::later);
  EXPECT_NE(e.message().find("no such file"), std::string::npos) << e.what();
  EXPECT_NE(e.message().find("source.db"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(path));
  PlainDb(path).exec("CREATE TABLE t(v); INSERT INTO t VALUES (9)");
  EXPECT_EQ(drain(query, {.sql = "SELECT v FROM t"}), "9");
}

TEST_F(SqliteQueryFailure, AFileOfAnotherKindIsNamed) {
  std::ofstream(path) << std::string(5000, 'x');
  const QueryFn query = queryFn({.path = path});
  const Error e = failureOf(query, {.sql = "SELECT 1 FROM sqlite_master"});
  EXPECT_EQ(e.code(), ErrorCode::connectionFailed);
  EXPECT_EQ(e.retry(), Retry::afterOperator);
  EXPECT_NE(e.message().find("not a SQLite database"), std::string::npos) << e.what();
  std::filesystem::remove(path);
  PlainDb(path).exec("CREATE TABLE t(v); INSERT INTO t VALUES (9)");
  EXPECT_EQ(drain(query, {.sql = "SELECT v FROM t"}), "9");
}

TEST_F(SqliteQueryFailure, AFolderIsNotADatabase) {
  std::filesystem::create_directory(path);
  EXPECT_EQ(failureOf(queryFn({.path = path}), {.sql = "SELECT 1"}).code(), ErrorCode::connectionFailed);
}

TEST_F(SqliteQueryFailure, AFileItMayNotReadIsNamed) {
  PlainDb(path).exec("CREATE TABLE t(v)");
  ASSERT_EQ(::chmod((dir / "").c_str(), 0755), 0);
  ASSERT_EQ(::chmod(path.c_str(), 0), 0);
  const Unprivileged user;
  const Error e = failureOf(queryFn({.path = path}), {.sql = "SELECT v FROM t"});
  EXPECT_EQ(e.code(), ErrorCode::permissionDenied) << e.what();
  EXPECT_EQ(e.retry(), Retry::afterOperator);
}

TEST_F(SqliteQueryFailure, AReadOnlySourceIsNeverWritten) {
  PlainDb db(path);
  db.exec("CREATE TABLE t(v)");
  const Error e = failureOf(queryFn({.path = path}), {.sql = "INSERT INTO t VALUES (1)"});
  EXPECT_EQ(e.code(), ErrorCode::permissionDenied) << e.what();
  EXPECT_EQ(db.text("SELECT count(*) FROM t"), "0");
}

TEST_F(SqliteQueryFailure, AReplacedFileIsOpenedAnew) {
  PlainDb(path).exec("CREATE TABLE t(v); INSERT INTO t VALUES ('old')");
  const QueryFn query = queryFn({.path = path});
  EXPECT_EQ(drain(query, {.sql = "SELECT v FROM t"}), "\"old\"");
  PlainDb(dir / "new.db").exec("CREATE TABLE t(v); INSERT INTO t VALUES ('new')");
  ResultSet running = query({.sql = "SELECT v FROM t"});
  std::filesystem::rename(dir / "new.db", path);
  EXPECT_EQ(drain(query, {.sql = "SELECT v FROM t"}), "\"new\"");
  std::vector<Value> row;
  ASSERT_TRUE(running.next(row));  // a result that was under way reads on from the file it began with
  EXPECT_TRUE(row.at(0) == Value("old"));
  std::filesystem::remove(path);
  EXPECT_EQ(failureOf(query, {.sql = "SELECT v FROM t"}).code(), ErrorCode::connectionFailed);
}

TEST_F(SqliteQueryFailure, ATableOrColumnThatIsGoneIsNamedAndFoundWhenItIsBack) {
  PlainDb db(path);
  db.exec("CREATE TABLE t(v); INSERT INTO t VALUES (1)");
  const QueryFn query = queryFn({.path = path});
  EXPECT_EQ(drain(query, {.sql = "SELECT v FROM t"}), "1");
  db.exec("DROP TABLE t");
  const Error table = failureOf(query, {.sql = "SELECT v FROM t"});
  EXPECT_EQ(table.code(), ErrorCode::tableNotFound);
  EXPECT_NE(table.message().find("no such table: t"), std::string::npos) << table.what();
  db.exec("CREATE TABLE t(w)");
  const Error column = failureOf(query, {.sql = "SELECT v FROM t"});
  EXPECT_EQ(column.code(), ErrorCode::columnNotFound);
  EXPECT_NE(column.message().find("no such column: v"), std::string::npos) << column.what();
  db.exec("ALTER TABLE t RENAME COLUMN w TO v; INSERT INTO t VALUES (2)");
  EXPECT_EQ(drain(query, {.sql = "SELECT v FROM t"}), "2");
}

TEST_F(SqliteQueryFailure, ASyntaxErrorIsTheCallersToMend) {
  PlainDb(path).exec("CREATE TABLE t(v)");
  const Error e = failureOf(queryFn({.path = path}), {.sql = "SELEKT 1"});
  EXPECT_EQ(e.code(), ErrorCode::queryFailed);
  EXPECT_EQ(e.retry(), Retry::never);
}

TEST_F(SqliteQueryFailure, AFailureHalfWayIsReportedAndTheNextQueryWorks) {
  PlainDb(path).exec("CREATE TABLE t(v); INSERT INTO t VALUES ('1'),('2'),('{')");
  const QueryFn query = queryFn({.path = path});
  ResultSet result = query({.sql = "SELECT json(v) FROM t"});
  std::vector<Value> row;
  ASSERT_TRUE(result.next(row));
  ASSERT_TRUE(result.next(row));
  EXPECT_THROW(result.next(row), Error);
  EXPECT_EQ(drain(query, {.sql = "SELECT count(*) FROM t"}), "3");
}

TEST_F(SqliteQueryFailure, ADuplicateColumnNameIsRefusedAndLeavesNoLock) {
  PlainDb db(path);
  db.exec("CREATE TABLE t(v); INSERT INTO t VALUES (1)");
  const QueryFn query = queryFn({.path = path});
  EXPECT_EQ(failureOf(query, {.sql = "SELECT v, v FROM t"}).code(), ErrorCode::invalidArgument);
  EXPECT_NO_THROW(db.exec("DROP TABLE t"));
}

}  // namespace
}  // namespace tidegate::sqlite
