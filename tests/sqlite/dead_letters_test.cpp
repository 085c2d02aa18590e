#include "tidegate/sqlite/dead_letters.h"

#include "contract/dead_letters_contract.h"
#include "sqlite/temp_database.h"
#include "tidegate/core/error.h"

namespace tidegate::contract {

DeadLettersCase::Opener sqliteLetters() {
  return [dir = std::make_shared<testing::TempDir>()] { return sqlite::deadLetters(*dir / "letters.db"); };
}
DeadLettersCase::Opener memoryLetters() {
  return [] { return memoryDeadLetters(); };
}

INSTANTIATE_TEST_SUITE_P(Both, DeadLettersContract,
                         ::testing::Values(DeadLettersCase{.name = "sqlite", .make = sqliteLetters},
                                           DeadLettersCase{
                                               .name = "memory", .make = memoryLetters, .survivesRestart = false}),
                         deadLettersCaseName);

TEST(SqliteDeadLetters, RefusesAFileOfSomethingElse) {
  testing::TempDir dir;
  testing::PlainDb(dir / "app.db").exec("CREATE TABLE users(id)");
  EXPECT_THROW(sqlite::deadLetters(dir / "app.db"), Error);
}

}  // namespace tidegate::contract
