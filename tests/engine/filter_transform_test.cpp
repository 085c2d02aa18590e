#include <gtest/gtest.h>

#include "engine/detail/compiled_filter.h"
#include "engine/detail/compiled_transform.h"
#include "tidegate/core/error.h"

namespace tidegate {
namespace {

using detail::CompiledFilter;
using detail::EventRow;
using detail::Verdict;

const TableSchema kSchema{.table = "public.orders",
                          .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                                      {.name = "region", .kind = ValueKind::text},
                                      {.name = "total", .kind = ValueKind::decimal},
                                      {.name = "paid", .kind = ValueKind::boolean},
                                      {.name = "at", .kind = ValueKind::timestamp}},
                          .primaryKey = {"id"}};

Verdict judge(const Filter& filter, const std::vector<Value>& row, const std::vector<std::uint32_t>& missing = {}) {
  return CompiledFilter(filter, kSchema).judge({row, missing});
}
std::vector<Value> row(Value region, Value total) { return {1, std::move(region), std::move(total), true, nullptr}; }

std::string refusal(const Filter& filter) {
  try {
    filter.check(kSchema);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalidConfig);
    return e.message();
  }
  return "";
}

TEST(Filter, EqualsComparesByValueAcrossKindsOfNumbers) {
  EXPECT_EQ(judge(Filter::equals("total", 5), row("eu", Decimal{"5.00"})), Verdict::yes);
  EXPECT_EQ(judge(Filter::equals("total", 5), row("eu", Decimal{"5.01"})), Verdict::no);
}

TEST(Filter, NullMatchesNothingNotEvenNotEqual) {
  EXPECT_EQ(judge(Filter::equals("region", "eu"), row(nullptr, 1)), Verdict::no);
  EXPECT_EQ(judge(Filter::compare("total", Comparison::ne, 5), row("eu", nullptr)), Verdict::no);
}

TEST(Filter, EachComparisonIsThatOfItsValues) {
  const auto at = [](Comparison c, const char* total) {
    return judge(Filter::compare("total", c, 5), row("", Decimal{total}));
  };
  const std::tuple<Comparison, Verdict, Verdict, Verdict> all[] = {
      {Comparison::lt, Verdict::yes, Verdict::no, Verdict::no},
      {Comparison::le, Verdict::yes, Verdict::yes, Verdict::no},
      {Comparison::eq, Verdict::no, Verdict::yes, Verdict::no},
      {Comparison::ne, Verdict::yes, Verdict::no, Verdict::yes},
      {Comparison::ge, Verdict::no, Verdict::yes, Verdict::yes},
      {Comparison::gt, Verdict::no, Verdict::no, Verdict::yes}};
  for (const auto& [comparison, less, same, more] : all) {
    EXPECT_EQ(at(comparison, "4.9"), less);
    EXPECT_EQ(at(comparison, "5.0"), same);
    EXPECT_EQ(at(comparison, "5.1"), more);
  }
}

TEST(Filter, PrefixAndRegexJudgeText) {
  EXPECT_EQ(judge(Filter::prefix("region", "eu-"), row("eu-west", 1)), Verdict::yes);
  EXPECT_EQ(judge(Filter::prefix("region", "eu-"), row("us-east", 1)), Verdict::no);
  EXPECT_EQ(judge(Filter::regex("region", "^(eu|us)-w"), row("us-west", 1)), Verdict::yes);
  EXPECT_EQ(judge(Filter::regex("region", "^(eu|us)-w"), row("us-east", 1)), Verdict::no);
}

TEST(Filter, ARegexBearsLongTextAndLeavesTheLongestUnmatched) {
  EXPECT_EQ(judge(Filter::regex("region", "(a|b)*c$"), row(std::string(2'000, 'a') + "c", 1)), Verdict::yes);
  EXPECT_EQ(judge(Filter::regex("region", "a"), row(std::string(100'000, 'a'), 1)), Verdict::no);
}

TEST(Filter, AllAndAnyKnowWhatIsUnknown) {
  const Filter region = Filter::equals("region", "eu");
  const Filter total = Filter::compare("total", Comparison::ge, 5);
  const std::vector<std::uint32_t> noRegion{1};
  EXPECT_EQ(judge(Filter::all({region, total}), row(nullptr, 5), noRegion), Verdict::unknown);
  EXPECT_EQ(judge(Filter::all({region, total}), row(nullptr, 4), noRegion), Verdict::no);
  EXPECT_EQ(judge(Filter::any({region, total}), row(nullptr, 5), noRegion), Verdict::yes);
  EXPECT_EQ(judge(Filter::any({region, total}), row(nullptr, 4), noRegion), Verdict::unknown);
  EXPECT_EQ(judge(Filter::any({Filter::all({region, total}), Filter::equals("paid", true)}), row("us", 4)),
            Verdict::yes);
  EXPECT_EQ(judge(Filter::all({}), row("us", 4)), Verdict::yes);
  EXPECT_EQ(judge(Filter::any({}), row("us", 4)), Verdict::no);
}

TEST(Filter, NamesItsColumnsOnce) {
  const Filter f =
      Filter::all({Filter::equals("a", 1), Filter::any({Filter::prefix("b", "x"), Filter::equals("a", 2)})});
  EXPECT_EQ(f.columns(), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(Filter().matchesEverything());
  EXPECT_FALSE(f.matchesEverything());
}

TEST(Filter, IsCheckedAgainstTheSchema) {
  EXPECT_EQ(refusal(Filter::equals("region", "eu")), "");
  EXPECT_EQ(refusal(Filter::compare("at", Comparison::ge, "2024-01-01")), "");
  EXPECT_NE(refusal(Filter::equals("nowhere", 1)).find("\"nowhere\""), std::string::npos);
  EXPECT_NE(refusal(Filter::equals("region", 1)).find("text"), std::string::npos);
  EXPECT_NE(refusal(Filter::prefix("total", "1")).find("decimal"), std::string::npos);
  EXPECT_NE(refusal(Filter::compare("paid", Comparison::lt, true)).find("equals"), std::string::npos);
  EXPECT_NE(refusal(Filter::equals("region", nullptr)).find("null"), std::string::npos);
  EXPECT_THROW(Filter::regex("region", "("), Error);
}

TEST(Transform, StepsRunInOrderOnTheResultOfTheOneBefore) {
  const auto schema = transformedSchema(
      kSchema,
      {Transform::rename("id", "order_id"), Transform::drop({"paid", "at"}), Transform::addConstant("paid", "yes"),
       Transform::map("total", ValueKind::text, [](const Value& v) { return Value(describe(v)); }),
       Transform::addTimestamp("synced_at")});
  EXPECT_EQ(schema.primaryKey, std::vector<std::string>{"order_id"});
  std::vector<std::string> names;
  for (const auto& column : schema.columns) names.push_back(column.name + ":" + std::string(toString(column.kind)));
  EXPECT_EQ(names, (std::vector<std::string>{"order_id:int64", "region:text", "total:text", "paid:text",
                                             "synced_at:timestamp"}));
}

TEST(Transform, RefusesWhatDoesNotFit) {
  const auto refused = [](std::vector<Transform> steps) {
    try {
      transformedSchema(kSchema, steps);
    } catch (const Error& e) {
      return e.code() == ErrorCode::invalidConfig;
    }
    return false;
  };
  EXPECT_TRUE(refused({Transform::drop({"id"})}));
  EXPECT_TRUE(refused({Transform::drop({"nowhere"})}));
  EXPECT_TRUE(refused({Transform::rename("region", "total")}));
  EXPECT_TRUE(refused({Transform::rename("nowhere", "x")}));
  EXPECT_TRUE(refused({Transform::addConstant("id", 1)}));
  EXPECT_TRUE(refused({Transform::addTimestamp("at")}));
  EXPECT_TRUE(refused({Transform::map("region", ValueKind::text, nullptr)}));
  EXPECT_TRUE(refused({Transform::drop({"region"}), Transform::rename("region", "r")}));
}

TEST(Transform, MissingColumnsStayMissingAndAreNotMapped) {
  int calls = 0;
  const detail::CompiledTransform transform(kSchema, {Transform::drop({"region"}), Transform::addTimestamp("seen"),
                                                      Transform::map("total", ValueKind::decimal, [&](const Value& v) {
                                                        ++calls;
                                                        return v;
                                                      })});
  std::vector<Value> out;
  std::vector<std::uint32_t> missing;
  const std::vector<Value> given{1, "eu", nullptr, true, nullptr};
  const std::vector<std::uint32_t> unknown{2};
  transform.apply({given, unknown}, 5, out, missing);
  EXPECT_EQ(missing, std::vector<std::uint32_t>{1});
  EXPECT_EQ(calls, 0);
  EXPECT_TRUE(out == (std::vector<Value>{1, nullptr, true, nullptr, Timestamp::utc(5)}));
  transform.apply({given, {}}, std::nullopt, out, missing);
  EXPECT_EQ(missing, std::vector<std::uint32_t>{4}) << "an image of the past has no time of applying";
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace tidegate
