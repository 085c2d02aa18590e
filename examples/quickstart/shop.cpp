#include "shop.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "sql.h"

namespace quickstart {

using tidegate::Dialect;
using tidegate::Value;

namespace {

constexpr std::array kRegions{"eu", "us", "apac"};
constexpr std::array kActions{"login", "order", "refund", "password change"};
constexpr std::size_t kRowsPerStatement = 500;

/// How a dialect writes "now", to the millisecond at least, in UTC.
std::string nowIn(Dialect dialect) {
  switch (dialect) {
    case Dialect::postgres:
      return "clock_timestamp()";
    case Dialect::mysql:
      return "utc_timestamp(6)";
    case Dialect::sqlite:
      break;
  }
  return "strftime('%Y-%m-%d %H:%M:%f', 'now')";
}

std::string timeTypeIn(Dialect dialect) {
  switch (dialect) {
    case Dialect::postgres:
      return "TIMESTAMPTZ";
    case Dialect::mysql:
      return "DATETIME(6)";
    case Dialect::sqlite:
      break;
  }
  return "TEXT";
}

}  // namespace

Shop::Shop(tidegate::QueryFn writer, const std::string& tablePrefix)
    : db_(std::move(writer)),
      users_(tablePrefix + "users"),
      auditLog_(tablePrefix + "audit_log"),
      now_(nowIn(db_.dialect())) {}

void Shop::create(std::size_t rows, const std::atomic<bool>& stop) {
  // With a write-ahead log, SQLite's readers and its writer do not wait for each other.
  if (db_.dialect() == Dialect::sqlite) execute(db_, "PRAGMA journal_mode = WAL");
  execute(db_, "DROP TABLE IF EXISTS " + users_);
  execute(db_, "DROP TABLE IF EXISTS " + auditLog_);
  execute(db_, "CREATE TABLE " + users_ +
                   " (id BIGINT PRIMARY KEY, name VARCHAR(100), region VARCHAR(10), points BIGINT,"
                   " deleted SMALLINT, updated_at " +
                   timeTypeIn(db_.dialect()) + ")");
  execute(db_, "CREATE INDEX " + users_ + "_by_time ON " + users_ + " (updated_at, id)");
  execute(db_, "CREATE TABLE " + auditLog_ +
                   " (id BIGINT PRIMARY KEY, user_id BIGINT, region VARCHAR(10), action VARCHAR(100),"
                   " severity SMALLINT)");
  for (std::size_t done = 0; done < rows && !stop; done += kRowsPerStatement) {
    insertUsers(std::min(kRowsPerStatement, rows - done));
    insertAuditEntries(std::min(kRowsPerStatement, rows - done));
  }
}

std::size_t Shop::change() {
  const Value user = anyOf(lastUser_), leaving = anyOf(lastUser_), moving = anyOf(lastUser_);
  const Value region = kRegions[random_() % kRegions.size()];
  const auto mark = [&](std::size_t i) { return tidegate::placeholder(db_.dialect(), i); };
  const std::string touch = ", updated_at = " + now_ + " WHERE id = ";

  insertUsers(2);
  execute(db_, "UPDATE " + users_ + " SET points = points + 10" + touch + mark(1), {user});
  execute(db_, "UPDATE " + users_ + " SET region = " + mark(1) + touch + mark(2), {region, moving});
  execute(db_, "UPDATE " + users_ + " SET deleted = 1" + touch + mark(1), {leaving});  // a cursor sees no hard delete

  insertAuditEntries(4);
  const std::int64_t entry = firstEntry_ + anyOf(lastEntry_ - firstEntry_);
  execute(db_, "UPDATE " + auditLog_ + " SET severity = 4 - severity WHERE id = " + mark(1), {entry});
  firstEntry_ += 3;
  execute(db_, "DELETE FROM " + auditLog_ + " WHERE id < " + mark(1), {firstEntry_});
  return 2 + 3 + 4 + 1 + 3;
}

void Shop::insertUsers(std::size_t count) {
  std::string rows;
  std::vector<Value> params;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t id = ++lastUser_;
    std::string values = placeholders(db_.dialect(), params.size() + 1, 5);
    values.back() = ',';
    rows += (i ? ", " : "") + values + " " + now_ + ")";
    for (Value& v : std::array<Value, 5>{id, "user " + std::to_string(id), kRegions[random_() % kRegions.size()],
                                         anyOf(1000), 0}) {
      params.push_back(std::move(v));
    }
  }
  execute(db_, "INSERT INTO " + users_ + " (id, name, region, points, deleted, updated_at) VALUES " + rows, params);
}

void Shop::insertAuditEntries(std::size_t count) {
  std::string rows;
  std::vector<Value> params;
  for (std::size_t i = 0; i < count; ++i) {
    rows += (i ? ", " : "") + placeholders(db_.dialect(), params.size() + 1, 5);
    for (Value& v : std::array<Value, 5>{++lastEntry_, anyOf(lastUser_), kRegions[random_() % kRegions.size()],
                                         kActions[random_() % kActions.size()], anyOf(3)}) {
      params.push_back(std::move(v));
    }
  }
  execute(db_, "INSERT INTO " + auditLog_ + " (id, user_id, region, action, severity) VALUES " + rows, params);
}

}  // namespace quickstart
