// Enhanced fan-out: what a subscription brings, how it ends, and who else wants it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <set>
#include <thread>

#include "kinesis/event_octets.h"
#include "kinesis/fake_kinesis.h"
#include "kinesis/follower.h"
#include "tidegate/core/error.h"

namespace tidegate::kinesis {
namespace {

using testing::afterRecord;
using testing::begun;
using testing::exceptionMessage;
using testing::FakeKinesis;
using testing::Follower;
using testing::from;

SourceOptions fanned(const FakeKinesis& fake) {
  SourceOptions options = fake.options();
  options.fanOut = {.consumer = "mine", .retryInterval = std::chrono::milliseconds(2)};
  return options;
}
template <class Holds>
bool until(Holds&& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}
std::vector<std::int64_t> upTo(std::int64_t count) {
  std::vector<std::int64_t> ids(static_cast<std::size_t>(count));
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}
Error failureOf(const FakeKinesis& fake, const SourceOptions& options) {
  Follower follower(options, from(begun("s0")));
  (void)fake;
  return follower.awaitFailure();
}
/// One shard, and records 0, 1, 2, … put into it in turns.
struct OneShard {
  OneShard() { fake.addShard("s0"); }
  void put(std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) fake.put("s0", FakeKinesis::insert(next++));
  }
  FakeKinesis fake;
  std::int64_t next = 0;
};

TEST(KinesisFanOut, BringsEachRecordOnceAndAsksForNone) {
  OneShard one;
  one.put(10);
  Follower follower(fanned(one.fake), from(begun("s0")));
  ASSERT_TRUE(follower.awaitIds(10));
  one.put(10);
  ASSERT_TRUE(follower.awaitIds(20));
  follower.stop();
  EXPECT_EQ(follower.ids, upTo(20));
  EXPECT_EQ(one.fake.asked("GetRecords"), 0u);
  EXPECT_EQ(one.fake.asked("GetShardIterator"), 0u);
  EXPECT_EQ(one.fake.asked("SubscribeToShard"), 1u);
}

TEST(KinesisFanOut, RegistersItsConsumerAndWaitsUntilItIsActive) {
  OneShard one;
  one.put(1);
  Follower follower(fanned(one.fake), from(begun("s0")));
  ASSERT_TRUE(follower.awaitIds(1));
  EXPECT_EQ(one.fake.consumers(), std::vector<std::string>{"mine"});
  EXPECT_EQ(one.fake.asked("RegisterStreamConsumer"), 1u);
  EXPECT_GE(one.fake.asked("DescribeStreamConsumer"), 3u);
  follower.stop();
  follower.of().close();
  EXPECT_EQ(one.fake.consumers(), std::vector<std::string>{"mine"}) << "others may go on with it";
}

TEST(KinesisFanOut, UsesAConsumerThatIsThereByNameOrArn) {
  OneShard one;
  const std::string arn = one.fake.addConsumer("mine");
  one.put(1);
  for (const std::string& name : {std::string("mine"), arn}) {
    SourceOptions options = fanned(one.fake);
    options.fanOut.consumer = name;
    options.fanOut.createMissing = false;
    Follower follower(options, from(begun("s0")));
    ASSERT_TRUE(follower.awaitIds(1)) << name;
  }
  EXPECT_EQ(one.fake.asked("RegisterStreamConsumer"), 0u);
}

TEST(KinesisFanOut, RemovesTheConsumerThatItRegisteredWhereItIsTold) {
  OneShard one;
  one.fake.addConsumer("another's");
  one.put(1);
  for (const char* name : {"mine", "another's"}) {
    SourceOptions options = fanned(one.fake);
    options.fanOut.consumer = name;
    options.fanOut.removeOnClose = true;
    Follower follower(options, from(begun("s0")));
    ASSERT_TRUE(follower.awaitIds(1));
    follower.stop();
    follower.of().close();
  }
  EXPECT_EQ(one.fake.consumers(), std::vector<std::string>{"another's"});
}

TEST(KinesisFanOut, SaysWhyThereIsNoConsumer) {
  OneShard one;
  SourceOptions options = fanned(one.fake);
  options.fanOut.createMissing = false;
  Error failure = failureOf(one.fake, options);
  EXPECT_EQ(failure.code(), ErrorCode::tableNotFound) << failure.what();
  EXPECT_EQ(failure.retry(), Retry::afterOperator);
  EXPECT_NE(failure.message().find("no consumer \"mine\""), std::string::npos) << failure.what();

  options = fanned(one.fake);
  options.fanOut.consumer = "arn:aws:kinesis:us-east-1:1:stream/fake/consumer/gone:1";
  failure = failureOf(one.fake, options);
  EXPECT_EQ(failure.code(), ErrorCode::tableNotFound) << failure.what();

  one.fake.setConsumerLimit(0);
  failure = failureOf(one.fake, fanned(one.fake));
  EXPECT_EQ(failure.code(), ErrorCode::backPressure) << failure.what();
  EXPECT_EQ(failure.retry(), Retry::afterOperator);
  EXPECT_NE(failure.message().find("Deregister one"), std::string::npos) << failure.what();

  one.fake.setFault([](const FakeKinesis::Asked& asked) -> std::optional<http::Response> {
    if (asked.action != "RegisterStreamConsumer") return std::nullopt;
    return FakeKinesis::refusal(400, "AccessDeniedException", "may not");
  });
  failure = failureOf(one.fake, fanned(one.fake));
  EXPECT_EQ(failure.code(), ErrorCode::permissionDenied) << failure.what();
  EXPECT_NE(failure.message().find("kinesis:RegisterStreamConsumer"), std::string::npos) << failure.what();
}

TEST(KinesisFanOut, ValidationSaysThatTheConsumerIsMissing) {
  OneShard one;
  SourceOptions options = fanned(one.fake);
  const auto faults = [&] {
    const auto reader = source(options);
    reader->init({});
    const std::vector<TableIssue> issues = reader->validateTables({});
    return std::count_if(issues.begin(), issues.end(), [](const TableIssue& issue) {
      return issue.fatal && issue.message.find("consumer \"mine\"") != std::string::npos;
    });
  };
  EXPECT_EQ(faults(), 0) << "it would be registered";
  options.fanOut.createMissing = false;
  EXPECT_EQ(faults(), 1);
  one.fake.addConsumer("mine");
  EXPECT_EQ(faults(), 0);
  EXPECT_EQ(one.fake.asked("RegisterStreamConsumer"), 0u) << "a check changes nothing";
}

TEST(KinesisFanOut, OptionsThatCannotWorkAreRefused) {
  FakeKinesis fake;
  SourceOptions options = fanned(fake);
  options.fanOut.consumer = "arn:aws:kinesis:us-east-1:1:stream/fake";
  EXPECT_THROW(source(options), Error) << "the stream's ARN is none of a consumer";
  options = fanned(fake);
  options.fanOut.retryInterval = std::chrono::milliseconds(0);
  EXPECT_THROW(source(options), Error);
  options = fanned(fake);
  options.fanOut.removeOnClose = true;
  options.leases.store = std::make_shared<MemoryStateStore>();
  EXPECT_THROW(source(options), Error) << "other workers read with it";
}

TEST(KinesisFanOut, GoesOnWhereASubscriptionExpired) {
  OneShard one;
  one.put(4);
  Follower follower(fanned(one.fake), from(begun("s0")));
  for (std::int64_t round = 1; round <= 10; ++round) {
    ASSERT_TRUE(follower.awaitIds(static_cast<std::size_t>(one.next)));
    one.fake.expireSubscriptions();
    one.put(4);
  }
  ASSERT_TRUE(follower.awaitIds(static_cast<std::size_t>(one.next)));
  follower.stop();
  EXPECT_EQ(follower.ids, upTo(one.next));
  const std::vector<std::string> begins = one.fake.begins();
  EXPECT_EQ(begins.front(), "s0 TRIM_HORIZON");
  ASSERT_GT(begins.size(), 10u);
  for (std::size_t i = 1; i < begins.size(); ++i) EXPECT_EQ(begins[i], "s0 AFTER_SEQUENCE_NUMBER");
}

TEST(KinesisFanOut, ACutWithinAMessageLosesAndRepeatsNothing) {
  OneShard one;
  one.put(4);
  Follower follower(fanned(one.fake), from(begun("s0")));
  for (std::int64_t round = 1; round <= 10; ++round) {
    ASSERT_TRUE(follower.awaitIds(static_cast<std::size_t>(one.next)));
    one.fake.cutSubscriptionsWithinAMessage();
    one.put(4);
  }
  ASSERT_TRUE(follower.awaitIds(static_cast<std::size_t>(one.next)));
  follower.stop();
  EXPECT_EQ(follower.ids, upTo(one.next));
  EXPECT_TRUE(follower.warned("shard \"s0\""));
}

TEST(KinesisFanOut, ADamagedMessageIsAskedForAgain) {
  OneShard one;
  one.put(4);
  Follower follower(fanned(one.fake), from(begun("s0")));
  for (std::int64_t round = 1; round <= 10; ++round) {
    ASSERT_TRUE(follower.awaitIds(static_cast<std::size_t>(one.next)));
    one.fake.damageNextEvent();
    one.put(4);
  }
  ASSERT_TRUE(follower.awaitIds(static_cast<std::size_t>(one.next)));
  follower.stop();
  EXPECT_EQ(follower.ids, upTo(one.next));
  EXPECT_TRUE(follower.warned("the event stream is damaged: the checksum"));
  EXPECT_GT(one.fake.asked("SubscribeToShard"), 10u);
}

TEST(KinesisFanOut, WaitsWhileTheLastSubscriptionStillCounts) {
  std::atomic<int> asked{0};  // outlives the server that counts in it
  OneShard one;
  one.fake.setFault([&](const FakeKinesis::Asked& a) -> std::optional<http::Response> {
    if (a.action != "SubscribeToShard" || ++asked > 40) return std::nullopt;
    return FakeKinesis::refusal(400, "ResourceInUseException", "Another active subscription exists");
  });
  one.put(2);
  SourceOptions options = fanned(one.fake);
  options.backoff.maxRetries = 0;  // it is no failure
  Follower follower(options, from(begun("s0")));
  ASSERT_TRUE(follower.awaitIds(2));
  EXPECT_TRUE(follower.warned("own fanOut.consumer")) << "so many may also be those of another program";
}

TEST(KinesisFanOut, OneWhoseSubscriptionAnotherTookTakesItBack) {
  OneShard one;
  one.put(2);
  Follower first(fanned(one.fake), from(begun("s0")));
  ASSERT_TRUE(first.awaitIds(2));
  Follower second(fanned(one.fake), from(begun("s0")));
  ASSERT_TRUE(second.awaitIds(2));
  ASSERT_TRUE(until([&] { return one.fake.begins().size() >= 6; })) << "each in turn";
  one.put(2);
  ASSERT_TRUE(first.awaitIds(4));
  ASSERT_TRUE(second.awaitIds(4));
  first.stop();
  second.stop();
  EXPECT_EQ(first.ids, upTo(4));
  EXPECT_EQ(second.ids, upTo(4));
}

TEST(KinesisFanOut, WaitsOutThrottlingHoweverLongItLasts) {
  std::atomic<int> asked{0};  // outlives the server that counts in it
  OneShard one;
  one.fake.setFault([&](const FakeKinesis::Asked& a) -> std::optional<http::Response> {
    if (a.action != "SubscribeToShard" || ++asked > 40) return std::nullopt;
    return FakeKinesis::refusal(400, "LimitExceededException", "Rate exceeded");
  });
  one.put(1);
  Follower follower(fanned(one.fake), from(begun("s0")));
  EXPECT_TRUE(follower.awaitIds(1));
}

TEST(KinesisFanOut, AFailureOfTheirsWithinASubscriptionIsTriedAgain) {
  OneShard one;
  one.put(2);
  Follower follower(fanned(one.fake), from(begun("s0")));
  for (const char* type : {"InternalFailureException", "KMSThrottlingException"}) {
    ASSERT_TRUE(follower.awaitIds(static_cast<std::size_t>(one.next)));
    one.fake.sendToSubscriptions(exceptionMessage(type));
    one.put(2);
  }
  ASSERT_TRUE(follower.awaitIds(static_cast<std::size_t>(one.next)));
  follower.stop();
  EXPECT_EQ(follower.ids, upTo(one.next));
}

TEST(KinesisFanOut, AnExceptionThatAnOperatorMustMendEndsTheStream) {
  for (const auto& [type, code] : {std::pair("ResourceNotFoundException", ErrorCode::tableNotFound),
                                   std::pair("KMSDisabledException", ErrorCode::permissionDenied)}) {
    OneShard one;
    one.put(1);
    Follower follower(fanned(one.fake), from(begun("s0")));
    ASSERT_TRUE(follower.awaitIds(1));
    one.fake.sendToSubscriptions(exceptionMessage(type, "why it is so"));
    const Error failure = follower.awaitFailure();
    EXPECT_EQ(failure.code(), code) << failure.what();
    EXPECT_EQ(failure.retry(), Retry::afterOperator);
    EXPECT_NE(failure.message().find("why it is so"), std::string::npos) << failure.what();
    EXPECT_NE(failure.message().find("shard \"s0\""), std::string::npos) << failure.what();
  }
}

TEST(KinesisFanOut, AnEventThatSaysNotWhereToGoOnIsRefused) {
  OneShard one;
  SourceOptions options = fanned(one.fake);
  options.backoff.maxRetries = 0;
  Follower follower(options, from(begun("s0")));
  ASSERT_TRUE(until([&] { return one.fake.subscriptions() == 1; }));
  one.fake.sendToSubscriptions(testing::eventMessage("SubscribeToShardEvent", R"({"Records":[]})"));
  const Error failure = follower.awaitFailure();
  EXPECT_EQ(failure.code(), ErrorCode::parseError) << failure.what();
}

TEST(KinesisFanOut, ReadsParentsBeforeTheirChildren) {
  FakeKinesis fake;
  fake.addShard("s0");
  fake.addShard("s1");
  Follower follower(fanned(fake), from(begun("s0") + ";" + begun("s1")));
  for (int id = 0; id < 20; ++id) fake.put(id % 2 == 0 ? "s0" : "s1", FakeKinesis::insert(id));
  fake.addShard("s2", {"s0"});
  fake.addShard("s3", {"s0"});
  fake.closeShard("s0");
  for (int id = 20; id < 40; ++id) fake.put(id % 2 == 0 ? "s2" : "s3", FakeKinesis::insert(id));
  fake.addShard("s4", {"s1", "s2"});
  fake.closeShard("s1");
  fake.closeShard("s2");
  for (int id = 40; id < 60; ++id) fake.put("s4", FakeKinesis::insert(id));
  ASSERT_TRUE(follower.awaitIds(60));
  follower.stop();
  const auto at = [&](std::int64_t id) { return std::find(follower.ids.begin(), follower.ids.end(), id); };
  EXPECT_EQ(std::set(follower.ids.begin(), follower.ids.end()).size(), 60u);
  EXPECT_EQ(follower.ids.size(), 60u) << "each once";
  for (int parent = 0; parent < 20; parent += 2) EXPECT_LT(at(parent), at(20));
  for (int parent = 1; parent < 20; parent += 2) EXPECT_LT(at(parent), at(40));
  for (int parent = 20; parent < 40; parent += 2) EXPECT_LT(at(parent), at(40));
}

TEST(KinesisFanOut, BeginsAtAPlaceAndSaysWhereItWasTrimmed) {
  OneShard one;
  one.put(5);
  const auto begin = [&](std::chrono::hours ago) { return from(afterRecord("s0", "102", ago)); };
  {
    Follower follower(fanned(one.fake), begin({}));
    ASSERT_TRUE(follower.awaitIds(3));
    follower.stop();
    EXPECT_EQ(follower.ids, (std::vector<std::int64_t>{2, 3, 4}));
    EXPECT_EQ(one.fake.begins().back(), "s0 AT_SEQUENCE_NUMBER") << "that it comes again shows that nothing is gone";
  }
  one.fake.trim("s0", 3);
  Follower follower(fanned(one.fake), begin(std::chrono::hours(25)));
  const Error failure = follower.awaitFailure();
  EXPECT_EQ(failure.code(), ErrorCode::positionLost) << failure.what();
}

TEST(KinesisFanOut, ASlowReaderLeavesWhatItHasNoRoomForWithTheServer) {
  OneShard one;
  one.put(1);
  Follower follower(fanned(one.fake), from(begun("s0")));
  follower.full = true;
  ASSERT_TRUE(until([&] { return follower.refused > 0; }));
  // 20 MB of events without records, of which the kernel's buffers hold some.
  const std::string large = testing::eventMessage(
      "SubscribeToShardEvent", R"({"Records":[],"MillisBehindLatest":0,"ContinuationSequenceNumber":"101","Pad":")" +
                                   std::string(1'000'000, 'x') + "\"}");
  for (int i = 0; i < 20; ++i) one.fake.sendToSubscriptions(large);
  const std::uint64_t before = follower.refused;
  ASSERT_TRUE(until([&] { return follower.refused > before + 100; }));
  EXPECT_GT(one.fake.pending("s0"), 8'000'000u);
  follower.full = false;
  one.put(1);
  ASSERT_TRUE(follower.awaitIds(2));
  follower.stop();
  EXPECT_EQ(follower.ids, upTo(2));
  EXPECT_EQ(one.fake.begins().size(), 1u) << "of one subscription";
}

TEST(KinesisFanOut, OneShardThatWaitsDoesNotHoldUpItsNeighbours) {
  FakeKinesis fake;
  fake.addShard("s0");
  fake.addShard("s1");
  const std::string large(50'000, 'x');
  // One has far more than the reader takes at a time; they are taken in turns.
  for (int id = 0; id < 40; ++id) {
    fake.put("s0", fmt::format(R"({{"table":"t","action":"INSERT","row":{{"id":{},"note":"{}"}}}})", id, large));
  }
  for (int id = 1'000; id < 1'010; ++id) fake.put("s1", FakeKinesis::insert(id));
  Follower follower(fanned(fake), from(begun("s0") + ";" + begun("s1")));
  follower.full = true;
  ASSERT_TRUE(until([&] { return fake.begins().size() == 2; }));
  follower.full = false;
  ASSERT_TRUE(follower.awaitIds(50));
  follower.stop();
  const auto last = std::find(follower.ids.begin(), follower.ids.end(), 1'009);
  EXPECT_LT(last - follower.ids.begin(), 45) << "the small shard waited for the large one";
}

TEST(KinesisFanOut, AStopEndsSubscriptionsThatAreSilentOrHeld) {
  OneShard one;
  one.put(3);
  Follower follower(fanned(one.fake), from(begun("s0")));
  ASSERT_TRUE(follower.awaitIds(3));
  follower.stop();
  ASSERT_TRUE(until([&] { return one.fake.subscriptions() == 0; })) << "the server was told";
  Follower full(fanned(one.fake), from(begun("s0")));
  full.full = true;
  ASSERT_TRUE(until([&] { return one.fake.subscriptions() == 1; }));
  full.stop();
  EXPECT_TRUE(until([&] { return one.fake.subscriptions() == 0; }));
}

TEST(KinesisFanOut, LagIsWhatTheEventsSay) {
  OneShard one;
  one.put(10);
  Follower follower(fanned(one.fake), from(begun("s0")));
  ASSERT_TRUE(follower.awaitIds(10));
  EXPECT_TRUE(until([&] { return follower.of().lag().time == std::chrono::milliseconds(0); }));
  EXPECT_TRUE(until([&] { return follower.of().lag().records == std::uint64_t{0}; }));
  one.fake.sendToSubscriptions(testing::eventMessage(
      "SubscribeToShardEvent", R"({"Records":[],"MillisBehindLatest":5000,"ContinuationSequenceNumber":"110"})"));
  EXPECT_TRUE(until([&] { return follower.of().lag().time == std::chrono::milliseconds(5'000); }));
}

}  // namespace
}  // namespace tidegate::kinesis
