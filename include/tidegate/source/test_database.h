/// A database in memory that keeps a log, for tests: what a TestSource reads.
///
///     auto db = std::make_shared<TestDatabase>();
///     db->createTable({.table = "users", .columns = {{.name = "id", .kind = ValueKind::int64}, {.name = "name"}},
///                      .primaryKey = {"id"}});
///     db->insert("users", {1, "Ada"});
///     db->commit([](TestTransaction& t) { t.update("users", {1, "Ada L."}).insert("users", {2, "Bob"}); });
///
/// It outlives the sources on it, so a test "restarts the process" by making a new TestSource.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tidegate/core/clock.h"
#include "tidegate/core/error.h"
#include "tidegate/core/schema.h"
#include "tidegate/core/value.h"
#include "tidegate/source/change_event.h"

namespace tidegate {

/// What the log holds of a row's old state (Postgres: replica identity).
enum class BeforeImage {
  full,  ///< every column
  key,   ///< of erases the key columns; of updates nothing
  none   ///< of erases the key columns where there is a key (or nothing could be erased); of updates nothing
};

/// What an ALTER TABLE does: gives the table another schema.
struct TestAlter {
  TableSchema schema{};                                        ///< the new one; `schema.table` names the table
  std::vector<std::pair<std::string, std::string>> renamed{};  ///< columns, from and to
  /// Values that rows get in columns that are new, by column; null where none is given.
  std::vector<std::pair<std::string, Value>> defaults{};
};

/// What one transaction does, in order. Rows are values in the order of the table's columns; keys are values in the
/// order of its key columns; the key of a table without one is the whole row.
/// @thread One at a time.
class TestTransaction {
 public:
  TestTransaction& insert(std::string table, std::vector<Value> row);
  /// Replaces the row that has the same key.
  TestTransaction& update(std::string table, std::vector<Value> row);
  /// Replaces the row with `key` by one that may have another key: the log then has an erase and an insert.
  TestTransaction& rekey(std::string table, std::vector<Value> key, std::vector<Value> row);
  /// Sets some columns. The log marks the other columns outside the key as unchanged (as Postgres does large ones).
  TestTransaction& updateColumns(std::string table, std::vector<Value> key,
                                 std::vector<std::pair<std::string, Value>> columns);
  TestTransaction& erase(std::string table, std::vector<Value> key);
  TestTransaction& truncate(std::string table);
  TestTransaction& alter(TestAlter alter);

 private:
  friend class TestDatabase;
  struct Step;
  std::vector<std::shared_ptr<const Step>> steps_;
};

/// @thread Any.
class TestDatabase {
 public:
  /// @param clock of commit times; null: the system's.
  explicit TestDatabase(const Clock* clock = nullptr, BeforeImage images = BeforeImage::full);
  ~TestDatabase();
  TestDatabase(const TestDatabase&) = delete;
  TestDatabase& operator=(const TestDatabase&) = delete;

  /// Not in the log. A table without a primary key takes any row. @throws Error{invalidArgument} if it is there.
  void createTable(TableSchema schema);
  /// Not in the log either.
  void dropTable(const std::string& table);

  /// Makes a transaction and commits it: all of it or nothing. One that does nothing leaves no trace.
  /// @throws Error{tableNotFound, invalidArgument} for a row that is there already, or is not, or does not fit.
  void commit(const std::function<void(TestTransaction&)>& make);
  // One-step transactions.
  void insert(std::string table, std::vector<Value> row);
  void update(std::string table, std::vector<Value> row);
  void erase(std::string table, std::vector<Value> key);

  /// The rows now, by key.
  std::vector<std::vector<Value>> rows(const std::string& table) const;
  /// How many transactions were committed.
  std::uint64_t commits() const;
  /// Forgets the log up to now: who has not read it has lost its place.
  void loseLog();
  /// What `validateTables` says of a table; of the source itself where no table is named.
  void setIssue(const std::string& table, ErrorCode code, bool fatal);

 private:
  friend class TestSource;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidegate
