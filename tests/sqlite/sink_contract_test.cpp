#include "contract/sink_contract.h"

#include "sqlite/sink_target.h"

namespace tidegate::contract {

std::unique_ptr<SinkTarget> softTarget() {
  sqlite::SinkOptions options;
  options.softDeleteColumn = "deleted at";
  return std::make_unique<SqliteTarget>(options);
}

/// Histories have some ten thousand commits, which need no fsync.
std::unique_ptr<SinkTarget> quickTarget() {
  sqlite::SinkOptions options;
  options.synchronous = sqlite::Synchronous::normal;
  return std::make_unique<SqliteTarget>(options);
}

const SinkCase kSqlite{.name = "sqlite", .make = [] { return std::make_unique<SqliteTarget>(); }};
const SinkCase kSoft{.name = "softDelete", .make = softTarget, .can = {.seeds = 50}};
const SinkCase kQuick{.name = "sqlite", .make = quickTarget, .can = {.seeds = 500}};

INSTANTIATE_TEST_SUITE_P(Sqlite, SinkContract, ::testing::Values(kSqlite, kSoft), sinkCaseName);
INSTANTIATE_TEST_SUITE_P(Sqlite, SinkHistories, ::testing::Values(kQuick, kSoft), sinkCaseName);

}  // namespace tidegate::contract
