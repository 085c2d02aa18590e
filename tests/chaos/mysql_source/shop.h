/// Writers that change a MariaDB database at random, as applications do: small and large transactions, key changes,
/// savepoints, rollbacks, XA, small row images, truncates and schema changes.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "support/property.h"
#include "tidegate/core/query.h"

namespace tidegate::chaos {

/// What an independent check compares: columns that every database writes alike.
struct ShopTable {
  std::string name;  ///< in the database "shop", and in the sinks
  std::string columns;
};
const std::vector<ShopTable>& shopTables();

/// Makes the database with its tables and some rows.
void createShop(const QueryFn& admin);

struct ShopCounts {
  std::atomic<std::uint64_t> committed{0}, rolledBack{0}, failed{0}, xa{0}, schemaChanges{0};
};

/// Runs writers until stopped. A writer whose server is gone waits and goes on with the next transaction.
class ShopWriters {
 public:
  ShopWriters(std::string url, std::uint64_t seed, std::size_t writers);
  /// Stops.
  ~ShopWriters() { stop(); }
  void stop();
  const ShopCounts& counts() const { return counts_; }

 private:
  void write(std::stop_token stop, std::uint64_t seed, bool schemaToo);
  bool transaction(const QueryFn& query, test::Random& random);
  void xaTransaction(const QueryFn& query, test::Random& random, const std::string& name);
  void changeSchema(const QueryFn& query, test::Random& random);

  const std::string url_;
  ShopCounts counts_;
  std::vector<std::jthread> threads_;
};

}  // namespace tidegate::chaos
