/// The state store against the contract of all state stores, and what a server adds to it.
#include "tidegate/postgres/state_store.h"

#include "contract/state_store_contract.h"
#include "servers/support.h"
#include "tidegate/core/error.h"

namespace tidegate::contract {
namespace {

using servers::environment;
using servers::execute;

QueryFn stateAdmin() { return postgres::queryFn({.url = environment("TIDEGATE_POSTGRES_URL"), .readOnly = false}); }
postgres::StateStoreOptions stateOptions() {
  return {.connect = {.url = environment("TIDEGATE_POSTGRES_URL"), .applicationName = "tidegate-state"},
          .schema = "state test"};
}

StateStoreCase::Opener postgresState() {
  execute(stateAdmin(), {"DROP SCHEMA IF EXISTS \"state test\" CASCADE"});
  return [] { return postgres::stateStore(stateOptions()); };
}

INSTANTIATE_TEST_SUITE_P(Postgres, StateStoreContract,
                         ::testing::Values(StateStoreCase{
                             .name = "postgres", .make = postgresState, .conditional = true}),
                         stateStoreCaseName);

void endSessions() {
  execute(stateAdmin(), {"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
                         "'tidegate-state' AND pid <> pg_backend_pid()"});
}

TEST(PostgresStateStore, GoesOnAfterItsConnectionBroke) {
  const auto store = postgresState()();
  store->put("key", "1");
  endSessions();
  EXPECT_EQ(store->get("key"), "1");
  endSessions();
  store->put("key", "2");
  endSessions();
  EXPECT_TRUE(store->putIf("key", "2", "3"));
  endSessions();
  store->remove("key");
  EXPECT_EQ(store->get("key"), std::nullopt);
}

TEST(PostgresStateStore, SaysWhatIsMissingWhereItMayNotMakeItsTable) {
  execute(stateAdmin(), {"DROP SCHEMA IF EXISTS \"state test\" CASCADE", "DROP ROLE IF EXISTS state_reader",
                         "CREATE ROLE state_reader", "CREATE SCHEMA \"state test\""});
  postgres::StateStoreOptions options = stateOptions();
  options.connect.settings = {{"role", "state_reader"}};
  try {
    postgres::stateStore(options);
    ADD_FAILURE() << "it was made";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::storeUnavailable);
    EXPECT_EQ(e.retry(), Retry::afterOperator);
    EXPECT_NE(e.message().find("GRANT USAGE, CREATE ON SCHEMA \"state test\""), std::string::npos) << e.message();
  }
  execute(stateAdmin(), {"DROP SCHEMA \"state test\" CASCADE", "DROP ROLE state_reader"});
}

TEST(PostgresStateStore, IsRefusedWhereNoServerIs) {
  try {
    postgres::stateStore({.connect = {.host = "127.0.0.1", .port = 1, .user = "x", .database = "x"}});
    ADD_FAILURE() << "it connected";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::storeUnavailable);
    EXPECT_EQ(e.retry(), Retry::later);
  }
}

}  // namespace
}  // namespace tidegate::contract
