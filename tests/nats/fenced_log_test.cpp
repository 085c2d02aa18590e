/// A real server, and a relay between it and the writer that is cut while messages and answers are on their way.
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "nats/detail/fenced_log.h"
#include "nats/nats_rig.h"
#include "support/property.h"
#include "support/tcp_proxy.h"

namespace tidegate::nats::detail {
namespace {

class FencedLogTest : public ::testing::Test {
 protected:
  void SetUp() override { makeStream(); }
  void makeStream() {
    stream = testing::freshName("F");
    StreamSpec spec{.name = stream, .subjects = {"f." + stream}};
    spec.options.storage = Storage::memory;
    servers.js().ensure(spec);
  }
  std::vector<OutMessage> messages(std::size_t count, const std::string& writer, bool ids = false) {
    std::vector<OutMessage> made;
    for (std::size_t i = 0; i < count; ++i) {
      const std::string name = writer + "." + std::to_string(i);
      made.push_back({.subject = "f." + stream, .mark = name, .id = ids ? name : "", .body = name});
    }
    return made;
  }
  std::vector<std::string> bodies() {
    std::vector<std::string> all;
    for (std::uint64_t i = 1; i <= servers.js().info(stream).lastSequence; ++i) {
      all.push_back(servers.js().get(stream, i)->body);
    }
    return all;
  }
  static std::vector<std::string> bodiesOf(const std::vector<OutMessage>& of) {
    std::vector<std::string> all;
    for (const OutMessage& message : of) all.push_back(message.body);
    return all;
  }

  testing::Servers servers;
  std::string stream;
};

TEST_F(FencedLogTest, AppendsInOrderInAnyWindow) {
  for (const std::size_t window : {1u, 2u, 7u, 5'000u}) {
    makeStream();
    FencedLog log(servers.js(), stream, {.windowMessages = window}, 0);
    std::vector<OutMessage> some = messages(500, "a");
    std::vector<Place> places;
    log.append(some, places, Order::free, {});
    ASSERT_EQ(places.size(), 500u);
    for (std::size_t i = 0; i < places.size(); ++i) EXPECT_EQ(places[i].sequence, i + 1);
    EXPECT_EQ(bodies(), bodiesOf(some));
    EXPECT_EQ(log.last(), 500u);
  }
}

TEST_F(FencedLogTest, SomebodyElsesMessageEndsIt) {
  FencedLog one(servers.js(), stream, {}, 0), other(servers.js(), stream, {}, 0);
  std::vector<OutMessage> first = messages(10, "one"), second = messages(10, "other");
  std::vector<Place> places;
  one.append(first, places, Order::free, {});
  try {
    other.append(second, places, Order::free, {});
    FAIL() << "two writers";
  } catch (const ForeignWrite& by) {
    EXPECT_EQ(by.sequence, 1u);
    EXPECT_EQ(by.mark, "one.0");
  }
  EXPECT_EQ(bodies(), bodiesOf(first));
  other.setLast(10);
  other.append(second, places, Order::free, {});
  EXPECT_EQ(places.front().sequence, 11u);
}

TEST_F(FencedLogTest, ARepetitionKeepsItsPlaceAndWhatFollowsGoesOn) {
  FencedLog log(servers.js(), stream, {}, 0);
  std::vector<OutMessage> all = messages(20, "a", true), some(all.begin(), all.begin() + 8);
  std::vector<Place> places;
  log.append(some, places, Order::free, {});
  std::size_t judgedAtEnd = 0;
  log.append(all, places, Order::chained, {},
             [&](std::size_t, const std::vector<Place>&, std::size_t settled, OutMessage&) { judgedAtEnd = settled; });
  ASSERT_EQ(places.size(), 20u);
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(places[i].sequence, i + 1);
    EXPECT_EQ(places[i].duplicate, i < 8);
  }
  EXPECT_GE(judgedAtEnd, 8u) << "repetitions are certain before anything new is sent";
  EXPECT_EQ(bodies(), bodiesOf(all));
}

TEST_F(FencedLogTest, ConnectionsThatBreakAtAnyMomentNeitherLoseNorRepeat) {
  test::forEachSeed(6, [&](std::uint64_t seed) {
    test::Random random(seed);
    makeStream();
    test::TcpProxy proxy(testing::portOf(testing::serverUrls().front()));
    ConnectOptions options{.servers = {"nats://127.0.0.1:" + std::to_string(proxy.port())}};
    options.requestTimeout = std::chrono::milliseconds(300);
    Connection connection(options);
    JetStream js(connection);
    FencedLog log(js, stream, {.windowMessages = 64}, 0);
    const bool ids = random.chance(50);
    std::atomic<bool> done{false};
    std::thread cutting([&] {
      for (int i = 0; i < 5 && !done.load(); ++i) {
        const std::uint64_t from = proxy.relayed(), more = 2'000 + random.below(20'000);
        while (!done.load() && proxy.relayed() < from + more) std::this_thread::yield();
        proxy.cut();
      }
    });
    std::vector<OutMessage> some = messages(1'000, "a" + std::to_string(seed), ids);
    std::vector<Place> places;
    try {
      log.append(some, places, Order::free, {});
    } catch (...) {
      done.store(true);
      cutting.join();
      throw;
    }
    done.store(true);
    cutting.join();
    ASSERT_EQ(places.size(), some.size());
    for (std::size_t i = 0; i < places.size(); ++i) ASSERT_EQ(places[i].sequence, i + 1);
    ASSERT_EQ(bodies(), bodiesOf(some));
  });
}

TEST_F(FencedLogTest, RepeatedMessagesAreFoundWhereTheyStandAndNewOnesFollow) {
  std::vector<OutMessage> some = messages(5'000, "a", true);
  std::vector<Place> first, again;
  {
    std::vector<OutMessage> begun(some.begin(), some.begin() + 3'000);
    FencedLog(servers.js(), stream, {}, 0).append(begun, first, Order::free, {});
  }
  FencedLog(servers.js(), stream, {}, 3'000).append(some, again, Order::free, {});
  ASSERT_EQ(again.size(), some.size());
  for (std::size_t i = 0; i < again.size(); ++i) {
    ASSERT_EQ(again[i].sequence, i + 1);
    ASSERT_EQ(again[i].duplicate, i < 3'000);
  }
  EXPECT_EQ(bodies(), bodiesOf(some));
}

TEST_F(FencedLogTest, WhereNobodyIsResponsibleItTriesAgainAndThenNobodyKnows) {
  ConnectOptions options = testing::serverOptions();
  options.retryFor = std::chrono::milliseconds(300);
  Connection connection(options);
  JetStream js(connection);
  FencedLog log(js, stream, {}, 0);
  std::vector<OutMessage> some = messages(1, "a");
  some.front().subject = "nobody.listens." + stream;
  std::vector<Place> places;
  try {
    log.append(some, places, Order::single, {});
    FAIL() << "appended to nothing";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::connectionFailed) << e.what();
    // A try before may have reached a server that died: who promises that nothing was written must know it.
    EXPECT_EQ(e.retry(), Retry::outcomeUnknown) << e.what();
    EXPECT_NE(e.message().find("does not get on"), std::string::npos) << e.what();
  }
}

TEST_F(FencedLogTest, ARefusalThatRepeatingCannotHelpIsSaid) {
  servers.js().remove(stream);
  StreamSpec spec{.name = stream, .subjects = {"f." + stream}, .discardNew = true};
  spec.options.storage = Storage::memory;
  spec.options.maxBytes = 1'000;
  servers.js().ensure(spec);
  FencedLog log(servers.js(), stream, {}, 0);
  std::vector<OutMessage> some = messages(100, "a");
  std::vector<Place> places;
  try {
    log.append(some, places, Order::free, {});
    FAIL() << "the stream is full";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::queryFailed) << e.what();
    EXPECT_EQ(e.retry(), Retry::afterOperator);
    EXPECT_NE(e.message().find(stream), std::string::npos);
  }
}

TEST(NatsAnswers, AreReadInEveryForm) {
  EXPECT_EQ(parseAck(R"({"stream":"S", "seq":7})").sequence, 7u);
  EXPECT_TRUE(parseAck(R"({"stream":"S", "seq":2,"duplicate": true})").duplicate);
  EXPECT_EQ(parseAck(R"({"stream":"S","domain":"x","seq":9})").sequence, 9u);
  const PublishAck refused = parseAck(
      R"({"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 3"},"stream":"S","seq":0})");
  EXPECT_EQ(refused.sequence, 0u);
  EXPECT_EQ(refused.error.errorCode, kWrongLastSequence);
  EXPECT_THROW(parseAck("{}"), Error);
  EXPECT_THROW(parseAck("not JSON"), Error);
}

}  // namespace
}  // namespace tidegate::nats::detail
