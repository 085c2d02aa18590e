#include <gmock/gmock.h>

#include "source/source_rig.h"

namespace tidegate::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

IngestSourceConfig good() {
  return {
      .name = "shop",
      .query = QueryFn(Dialect::postgres, [](const Query&) { return resultOf({"id"}, {}); }),
      .tables = {{.table = "users", .query = "SELECT * FROM users", .strategy = CursorStrategy{.cursorColumn = "c"}}}};
}

std::string complaint(const IngestSourceConfig& config) {
  try {
    validate(config);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalidConfig);
    return e.message();
  }
  return {};
}

TEST(IngestConfig, DefaultsAreThoseOfTheReference) {
  const IngestSourceConfig config = good();
  EXPECT_EQ(config.interval, std::chrono::seconds(10));
  EXPECT_EQ(CursorStrategy{}.lookback, std::chrono::seconds(5));
  EXPECT_EQ(DiffStrategy{}.warnRows, 50'000u);
  EXPECT_EQ(config.tables[0].rowIdColumns, std::vector<std::string>{"id"});
  EXPECT_EQ(complaint(config), "");
}

TEST(IngestConfig, EveryFaultNamesSourceTableAndField) {
  IngestSourceConfig c = good();
  c.tables[0].query = "SELECT 1; DROP TABLE users";
  EXPECT_THAT(complaint(c), AllOf(HasSubstr("source \"shop\", table \"users\""), HasSubstr("query")));
  c = good();
  c.tables[0].strategy = CursorStrategy{};
  EXPECT_THAT(complaint(c), HasSubstr("strategy.cursorColumn is empty"));
  c = good();
  c.tables[0].strategy = CursorStrategy{.cursorColumn = "c", .pageRows = 0};
  EXPECT_THAT(complaint(c), HasSubstr("strategy.pageRows"));
  c = good();
  c.tables[0].strategy = DiffStrategy{.maxDeleteFraction = 1.5};
  EXPECT_THAT(complaint(c), HasSubstr("strategy.maxDeleteFraction"));
  c = good();
  c.tables[0].rowIdColumns = {"a", "a"};
  EXPECT_THAT(complaint(c), HasSubstr("names \"a\" twice"));
  c = good();
  c.tables.push_back(c.tables[0]);
  EXPECT_THAT(complaint(c), HasSubstr("appears twice"));
  c = good();
  c.interval = std::chrono::milliseconds(-1);
  EXPECT_THAT(complaint(c), HasSubstr("interval"));
  c = good();
  c.query = {};
  EXPECT_THAT(complaint(c), HasSubstr("query is empty"));
  c = good();
  c.name = std::string("a\0b", 3);
  EXPECT_THAT(complaint(c), HasSubstr("name"));
}

TEST(IngestConfig, RowIdsOfOneColumnArePlainAndOfSeveralAJsonArray) {
  EXPECT_EQ(rowIdOf({7}), "7");
  EXPECT_EQ(rowIdOf({"a\"b"}), "a\"b");
  EXPECT_EQ(rowIdOf({Date{0}}), "1970-01-01");
  EXPECT_EQ(rowIdOf({Decimal{"12345678901234567890"}}), "12345678901234567890");
  EXPECT_EQ(rowIdOf({std::uint64_t{18446744073709551615ULL}}), "18446744073709551615");
  EXPECT_EQ(rowIdOf({"eu", 7}), "[\"eu\",7]");
  EXPECT_NE(rowIdOf({"a:b", "c"}), rowIdOf({"a", "b:c"}));
  EXPECT_THROW(rowIdOf({"eu", nullptr}), Error);
  EXPECT_THROW(rowIdOf({}), Error);
}

}  // namespace
}  // namespace tidegate::test
