// The evaluator against a plain model, over random conditions and rows.
#include <gtest/gtest.h>

#include "electric/where_model.h"
#include "tidegate/core/error.h"
#include "tidegate/electric/where.h"

namespace tidegate::electric::test {
namespace {

Truth truthOf(std::optional<bool> v) { return v ? (*v ? Truth::yes : Truth::no) : Truth::unknown; }

TEST(WhereProperty, RandomConditionsMeanWhatTheModelSays) {
  std::size_t counts[3] = {0, 0, 0};
  tidegate::test::forAllSeeds(800, [&](std::uint64_t seed) {
    tidegate::test::Random random(seed);
    const ModelCondition condition = randomCondition(random, 4);
    const Where where = Where::parse(condition.text, thingsSchema());
    const Where again = Where::parse(where.text(), thingsSchema());
    ASSERT_EQ(again.text(), where.text()) << condition.text;
    for (int i = 0; i < 30; ++i) {
      const ModelRow row = randomRow(random);
      const auto values = row.values(i);
      const Truth expected = truthOf(condition.holds(row));
      ++counts[static_cast<std::size_t>(expected)];
      ASSERT_EQ(where.evaluate(values), expected) << condition.text << "\n" << where.text();
      ASSERT_EQ(again.evaluate(values), expected) << where.text();
    }
  });
  for (const std::size_t count : counts) EXPECT_GT(count, 1'000u) << "every truth is tried";
}

TEST(WhereProperty, ARowThatIsTakenMeetsEveryEqualityThatAnIndexGoesBy) {
  tidegate::test::forEachSeed(500, [](std::uint64_t seed) {
    tidegate::test::Random random(seed);
    const Where where = Where::parse(randomCondition(random, 3).text, thingsSchema());
    for (int i = 0; i < 20; ++i) {
      const auto values = randomRow(random).values(i);
      if (!where.matches(values)) continue;
      for (const WhereEquality& equality : where.equalities()) {
        ASSERT_TRUE(values[equality.column] == equality.value) << where.text();
      }
    }
  });
}

TEST(WhereProperty, CutOrChangedTextsAreTakenOrRefusedAndNothingElse) {
  tidegate::test::forEachSeed(1'000, [](std::uint64_t seed) {
    tidegate::test::Random random(seed);
    std::string text = randomCondition(random, 3, true).text;
    for (std::uint64_t n = 1 + random.below(3); n > 0 && !text.empty(); --n) {
      const std::size_t at = random.index(text.size());
      if (random.chance(50)) {
        text.erase(at, 1 + random.index(3));
      } else {
        text.insert(at, 1, "()'\"=<>,.$- ax1"[random.index(15)]);
      }
    }
    try {
      const Where where = Where::parse(text, thingsSchema());
      ASSERT_EQ(Where::parse(where.text(), thingsSchema()).text(), where.text()) << text;
    } catch (const Error& e) {
      ASSERT_EQ(e.code(), ErrorCode::invalidArgument) << text << ": " << e.what();
      ASSERT_EQ(e.message().find("At location "), 0u) << e.what();
    }
  });
}

}  // namespace
}  // namespace tidegate::electric::test
