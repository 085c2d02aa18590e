// The shop: a database that knows nothing of Tidegate. Two tables, filled at the start, then changed by the workload.
#pragma once

#include <atomic>
#include <cstddef>
#include <random>
#include <string>

#include "tidegate/core/query.h"

namespace quickstart {

/// `users` has an `updated_at` and is soft-deleted; `audit_log` has neither, and its old entries are removed for good.
/// @thread One at a time.
class Shop {
 public:
  /// @param tablePrefix goes before both table names, so that a server's own `users` is never touched.
  Shop(tidegate::QueryFn writer, const std::string& tablePrefix);

  /// Makes both tables anew with `rows` rows in each. Stops early where `stop` becomes true.
  void create(std::size_t rows, const std::atomic<bool>& stop);
  /// A few changes of every kind. @return how many rows changed.
  std::size_t change();

  const std::string& users() const { return users_; }
  const std::string& auditLog() const { return auditLog_; }

 private:
  void insertUsers(std::size_t count);
  void insertAuditEntries(std::size_t count);
  std::int64_t anyOf(std::int64_t count) {
    return 1 + static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(count));
  }

  const tidegate::QueryFn db_;
  const std::string users_, auditLog_;
  const std::string now_;  ///< the database's own clock, in SQL
  std::mt19937_64 random_{1};
  std::int64_t lastUser_ = 0;
  std::int64_t lastEntry_ = 0;
  std::int64_t firstEntry_ = 1;  ///< older entries are gone
};

}  // namespace quickstart
