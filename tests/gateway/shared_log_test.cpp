#include "tidegate/gateway/shared_log.h"

#include <gtest/gtest.h>

#include "contract/shared_log_contract.h"

namespace tidegate {
namespace {

using contract::SharedLogCase;
using contract::SharedLogContract;

SharedLogCase::Joiner inMemory() {
  return [log = std::make_shared<MemorySharedLog>()] { return log->another(); };
}

INSTANTIATE_TEST_SUITE_P(Memory, SharedLogContract,
                         ::testing::Values(SharedLogCase{.name = "memory", .make = inMemory}),
                         contract::sharedLogCaseName);

TEST(MemorySharedLog, CountsWhatItHoldsAndForgetsWhatIsTrimmed) {
  MemorySharedLog log;
  ASSERT_TRUE(log.append(0, "12345").has_value());
  ASSERT_TRUE(log.append(1, "123").has_value());
  EXPECT_EQ(log.bytes(), 8u);
  log.trim(1);
  EXPECT_EQ(log.bytes(), 3u);
}

}  // namespace
}  // namespace tidegate
