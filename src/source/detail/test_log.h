/// The tables and the log behind a TestDatabase.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "tidegate/core/clock.h"
#include "tidegate/source/sync_source.h"
#include "tidegate/source/test_database.h"

namespace tidegate {

struct TestTransaction::Step {
  enum class Kind { insert, update, rekey, updateColumns, erase, truncate, alter };
  Kind kind = Kind::insert;
  std::string table{};
  std::vector<Value> key{}, row{};
  std::vector<std::pair<std::string, Value>> columns{};
  TestAlter alter{};
};

namespace detail {

/// A place in the log: everything before transaction `number` and the first `ordinal` events of it lie behind.
struct TestPlace {
  std::uint64_t number = 1;
  std::uint32_t ordinal = 0;
  auto operator<=>(const TestPlace&) const = default;
};

/// One committed transaction; events without positions and borders, which depend on who reads.
struct TestCommit {
  std::uint64_t number = 0;
  std::int64_t micros = 0;
  std::vector<ChangeEvent> events{};
  std::uint64_t bytesBefore = 0, bytes = 0;  ///< of log
};

struct TestTable {
  Shape shape;
  std::map<std::string, std::vector<Value>> rows{};  ///< by key; of a table without one by a running number
};

/// A table as it was at one place of the log.
struct TestPicture {
  Shape shape;
  std::vector<std::vector<Value>> rows{};
};

}  // namespace detail

/// @thread Any.
struct TestDatabase::Impl {
  using Step = TestTransaction::Step;
  using Place = detail::TestPlace;
  using CommitPtr = std::shared_ptr<const detail::TestCommit>;

  Impl(const Clock& c, BeforeImage i) : clock(c), images(i) {}

  void commit(const std::vector<std::shared_ptr<const Step>>& steps);
  /// The transaction, or null if it is not there yet. @throws Error{positionLost} if it is no longer.
  CommitPtr read(std::uint64_t number) const;
  Place end() const;
  /// @throws Error{tableNotFound}
  Shape shapeOf(const std::string& table) const;
  /// All tables at one place, which is `at`.
  std::vector<detail::TestPicture> pictures(const std::vector<std::string>& tables, Place& at) const;
  /// Octets of log after a place, and when the first transaction after it was committed (0: none was).
  std::uint64_t bytesAfter(Place place) const;
  std::int64_t nextCommitMicros(Place place) const;

  /// Changes with every commit and every `wake`.
  std::uint64_t version() const;
  void wake();
  /// Until the version is another one, or stopped, or the time is up.
  void waitForChange(std::uint64_t seen, std::stop_token stop) const;
  bool waitForChange(std::uint64_t seen, std::chrono::steady_clock::time_point deadline) const;

  const Clock& clock;
  const BeforeImage images;

  mutable std::mutex mutex;
  mutable std::condition_variable_any changed;
  // guarded by mutex
  std::map<std::string, detail::TestTable> tables;
  std::deque<CommitPtr> log;  ///< transactions firstKept .. firstKept + size - 1
  std::uint64_t firstKept = 1;
  std::uint64_t totalBytes = 0;
  std::uint64_t rowNumber = 0;  ///< for tables without key
  std::uint64_t versionNumber = 0;
  std::map<std::string, TableIssue> issues;
  std::map<std::string, Position> acked;  ///< by slot

 private:
  class Work;
};

}  // namespace tidegate
