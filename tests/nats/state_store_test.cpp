// What the contract suite does not ask of a state store in a bucket.
#include <gtest/gtest.h>

#include <memory>

#include "nats/detail/kv.h"
#include "nats/nats_rig.h"
#include "tidegate/nats/state_store.h"

namespace tidegate::nats {
namespace {

using testing::freshName;
using testing::serverOptions;
using testing::Servers;

StateStoreOptions inBucket(const std::string& bucket, std::uint64_t fence) {
  StateStoreOptions options{.connect = serverOptions(), .bucket = bucket};
  options.stream.storage = Storage::memory;
  options.fence = fence;
  return options;
}

std::uint64_t messagesOf(const std::string& bucket) {
  Servers servers;
  return servers.js().info("KV_" + bucket).messages;
}

TEST(NatsStateStore, KeepsOnlyThePartsOfTheNewestLargeValue) {
  const std::string large(3 << 20, 'x');  // more than one message holds
  for (const std::uint64_t fence : {0ULL, 7ULL}) {
    const std::string bucket = freshName("B");
    const auto store = stateStore(inBucket(bucket, fence));
    store->put("key", large);
    const std::uint64_t once = messagesOf(bucket);
    for (int i = 0; i < 5; ++i) store->put("key", large + std::to_string(i));
    EXPECT_LE(messagesOf(bucket), once + 1) << "fence " << fence;
    EXPECT_EQ(store->get("key"), large + "4");
    store->put("key", "small");
    EXPECT_EQ(messagesOf(bucket), 1U) << "fence " << fence;
    store->put("key", large);
    store->remove("key");
    EXPECT_LE(messagesOf(bucket), 1U) << "fence " << fence << ": at most the marker of what was erased";
  }
}

TEST(NatsStateStore, AWriteThatIsRefusedLeavesNothingBehind) {
  const std::string bucket = freshName("B");
  const auto before = stateStore(inBucket(bucket, 7));
  before->put("key", "of the first owner");
  const auto after = stateStore(inBucket(bucket, 8));
  after->put("key", "of the second");
  try {
    before->put("key", std::string(3 << 20, 'x'));
    FAIL() << "a fenced owner's write was taken";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::fenced) << e.what();
  }
  EXPECT_EQ(messagesOf(bucket), 1U);
  EXPECT_EQ(after->get("key"), "of the second");
}

}  // namespace
}  // namespace tidegate::nats
