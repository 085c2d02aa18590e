/// Writers that change the source at random, as applications do: small and large transactions, key changes, savepoints,
/// rollbacks and schema changes.
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
struct CheckedTable {
  std::string source;  ///< "public.accounts"
  std::string target;
  std::string columns;
};
const std::vector<CheckedTable>& checkedTables();
/// All tables that are replicated.
const std::vector<std::string>& sourceTables();

/// Makes the tables, with some rows.
void createTables(const QueryFn& admin);

struct WorkloadCounts {
  std::atomic<std::uint64_t> committed{0}, rolledBack{0}, failed{0}, statements{0}, schemaChanges{0};
};

/// Runs writers until stopped. A writer whose server is gone waits and goes on with the next transaction.
class Workload {
 public:
  Workload(std::string url, std::uint64_t seed, std::size_t writers);
  /// Stops.
  ~Workload();
  void stop();
  const WorkloadCounts& counts() const { return counts_; }

 private:
  void write(std::stop_token stop, std::uint64_t seed, bool schemaToo);
  bool transaction(const QueryFn& query, test::Random& random);
  void changeSchema(const QueryFn& query, test::Random& random);

  const std::string url_;
  WorkloadCounts counts_;
  std::vector<std::jthread> threads_;
};

}  // namespace tidegate::chaos
