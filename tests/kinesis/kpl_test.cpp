#include "kinesis/detail/kpl.h"

#include <gtest/gtest.h>

#include "kinesis/kpl_rig.h"
#include "tidegate/core/error.h"

namespace tidegate::kinesis::detail {
namespace {

using testing::aggregated;

TEST(AggregatedRecord, GivesItsPartsInTheirOrder) {
  const std::string record = aggregated({{"a", "one"}, {"b", "", "12345"}, {"a", "three"}});
  ASSERT_TRUE(isAggregated(record));
  const auto parts = partsOf(record);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].data, "one");
  EXPECT_EQ(parts[0].partitionKey, "a");
  EXPECT_EQ(parts[1].data, "");
  EXPECT_EQ(parts[1].explicitHashKey, "12345");
  EXPECT_EQ(parts[2].data, "three");
}

TEST(AggregatedRecord, IsNoneWhereItsChecksumDoesNotHold) {
  std::string record = aggregated({{"a", "one"}});
  record.back() ^= 1;
  EXPECT_FALSE(isAggregated(record));
  EXPECT_FALSE(isAggregated(""));
  EXPECT_FALSE(isAggregated("\xF3\x89\x9A\xC2"));
  EXPECT_FALSE(isAggregated("{\"table\":\"t\"}"));
}

TEST(AggregatedRecord, IsRefusedWhereItsChecksumHoldsAndItsMessageDoesNot) {
  using namespace testing;
  const std::vector<std::string> malformed{
      delimited(1, "a") + delimited(3, varint(8) + varint(1) + delimited(3, "x")),  // a key that is not in its table
      delimited(3, delimited(3, "x")),                                              // no key
      delimited(1, "a") + delimited(3, varint(8) + varint(0)),                      // no data
      varint(1 << 3 | 2) + varint(100) + "short",
      "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
      varint(3 << 3 | 3),  // a wire type of old
      varint(2)};          // field 0
  for (const std::string& message : malformed) {
    ASSERT_TRUE(isAggregated(sealed(message)));
    EXPECT_THROW(partsOf(sealed(message)), Error);
  }
}

TEST(AggregatedRecord, PartsOfOtherShardsAreKnown) {
  const HashRange low{"0", "170141183460469231731687303715884105727"};
  const HashRange high{"170141183460469231731687303715884105728", "340282366920938463463374607431768211455"};
  const std::string record =
      aggregated({{"x", "", "0"}, {"x", "", "340282366920938463463374607431768211455"}, {"a", ""}});
  const auto parts = partsOf(record);
  EXPECT_TRUE(belongs(parts[0], low));
  EXPECT_FALSE(belongs(parts[0], high));
  EXPECT_FALSE(belongs(parts[1], low));
  EXPECT_TRUE(belongs(parts[1], high));
  // MD5 of "a" is 0cc175b9…: in the lower half.
  EXPECT_TRUE(belongs(parts[2], low));
  EXPECT_FALSE(belongs(parts[2], high));
  EXPECT_TRUE(belongs(parts[1], {})) << "a range that is not known takes all";
}

}  // namespace
}  // namespace tidegate::kinesis::detail
