#include "tidegate/sqlite/state_store.h"

#include <barrier>
#include <thread>

#include "contract/state_store_contract.h"
#include "sqlite/temp_database.h"
#include "tidegate/core/error.h"

namespace tidegate::contract {
namespace {

using sqlite::stateStore;
using testing::PlainDb;
using testing::TempDir;

StateStoreCase::Opener sqliteState() {
  return [dir = std::make_shared<TempDir>()] { return stateStore(*dir / "state.db"); };
}
StateStoreCase::Opener memoryState() {
  return [] { return std::make_shared<MemoryStateStore>(); };
}

INSTANTIATE_TEST_SUITE_P(
    Stores, StateStoreContract,
    ::testing::Values(StateStoreCase{.name = "sqlite", .make = sqliteState, .conditional = true},
                      StateStoreCase{
                          .name = "memory", .make = memoryState, .survivesRestart = false, .conditional = true}),
    stateStoreCaseName);

TEST(SqliteStateStore, AFlippedBitIsReportedWithTheKeyAndCanBeRemoved) {
  TempDir dir;
  stateStore(dir / "state.db")->put("poller/shop/users", "cursor");
  PlainDb(dir / "state.db").exec("UPDATE state SET octets = x'63757273FF72'");
  auto store = stateStore(dir / "state.db");
  try {
    store->get("poller/shop/users");
    FAIL() << "a damaged entry was read";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::storeCorrupt);
    EXPECT_NE(e.message().find("poller/shop/users"), std::string::npos) << e.what();
  }
  store->remove("poller/shop/users");
  EXPECT_EQ(store->get("poller/shop/users"), std::nullopt);
}

TEST(SqliteStateStore, TwoStoresOnOneFileSeeEachOther) {
  TempDir dir;
  auto a = stateStore(dir / "state.db");
  auto b = stateStore(dir / "state.db");
  a->put("k", "from a");
  EXPECT_EQ(b->get("k"), "from a");
  b->put("k", "from b");
  EXPECT_EQ(a->get("k"), "from b");
}

TEST(SqliteStateStore, IsMadeByWhoeverIsFirstOfThoseThatOpenItAtOnce) {
  constexpr int kRounds = 40, kOpeners = 6;
  TempDir dir;
  for (int round = 0; round < kRounds; ++round) {
    const std::string file = dir / std::to_string(round);
    std::barrier together(kOpeners);
    std::vector<std::jthread> openers;
    for (int i = 0; i < kOpeners; ++i) {
      openers.emplace_back([&, i] {
        together.arrive_and_wait();
        EXPECT_NO_THROW(stateStore(file)->put(std::to_string(i), "here"));
      });
    }
    openers.clear();
    for (int i = 0; i < kOpeners; ++i) EXPECT_EQ(stateStore(file)->get(std::to_string(i)), "here");
  }
}

TEST(SqliteStateStore, RefusesAFileOfSomethingElse) {
  TempDir dir;
  PlainDb(dir / "app.db").exec("CREATE TABLE users(id)");
  EXPECT_THROW(stateStore(dir / "app.db"), Error);
  EXPECT_EQ(PlainDb(dir / "app.db").text("SELECT count(*) FROM sqlite_master"), "1");
  EXPECT_EQ(PlainDb(dir / "app.db").text("PRAGMA journal_mode"), "delete");
}

}  // namespace
}  // namespace tidegate::contract
