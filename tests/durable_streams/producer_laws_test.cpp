/// Exactly once, in order, whatever the network does; a producer that was replaced writes nothing more.
#include <gtest/gtest.h>

#include <algorithm>
#include <list>

#include "durable_streams/core_rig.h"
#include "support/property.h"

namespace tidegate::durable_streams {
namespace {

using detail::ProducerCore;
using detail::ProducerSend;
using std::chrono::milliseconds;
using namespace durable_streams::test;
using tidegate::test::forEachSeed;
using tidegate::test::ManualClock;
using tidegate::test::Random;

constexpr const char* kType = "application/json";

struct Chances {
  unsigned lostBefore = 5;
  unsigned lostAfter = 5;
  unsigned twice = 5;
  unsigned refused = 5;
};

/// A network on which requests overtake each other, get lost before or after they are done, and arrive twice.
class Network {
 public:
  Network(ModelStreams& streams, Random& random, Chances chances)
      : streams_(streams), random_(random), chances_(chances) {}

  void send(std::size_t owner, const ProducerSend& what) {
    Flight flight{.owner = owner, .batch = what.batch, .request = requestOf(what, "p", kType)};
    flight.lost = random_.chance(chances_.lostBefore);
    flights_.push_back(flight);
    if (random_.chance(chances_.twice)) {
      flight.echo = true;
      flights_.push_back(flight);
    }
  }
  bool empty() const { return flights_.empty(); }

  /// One thing happens to one request, picked at random.
  void step(std::vector<std::optional<ProducerCore>>& producers, Clock::Micros now) {
    auto at = std::next(flights_.begin(), static_cast<std::ptrdiff_t>(random_.index(flights_.size())));
    if (!at->answer && !at->lost) {
      at->answer = random_.chance(chances_.refused) ? refusal() : streams_.handle(at->request);
      return;
    }
    const Flight flight = *at;
    flights_.erase(at);
    std::optional<ProducerCore>& owner = producers[flight.owner];
    if (!owner || flight.echo) return;  // dead, or a copy of which its sender knows nothing
    if (flight.lost) {
      owner->failed(flight.batch, broken(random_.chance(70)), now);
    } else if (random_.chance(chances_.lostAfter)) {
      owner->failed(flight.batch, broken(true), now);
    } else {
      owner->answered(flight.batch, *flight.answer, now);
    }
  }

 private:
  struct Flight {
    std::size_t owner = 0;
    std::uint64_t batch = 0;
    http::Request request{};
    std::optional<http::Response> answer{};
    bool lost = false;
    bool echo = false;
  };

  http::Response refusal() {
    static constexpr int kStatuses[] = {429, 500, 502, 503, 504};
    return answerOf(random_.pick(kStatuses));
  }

  ModelStreams& streams_;
  Random& random_;
  Chances chances_;
  std::list<Flight> flights_;
};

void create(ModelStreams& streams) {
  http::Request put;
  put.method = "PUT";
  put.path = "/stream";
  put.headers.set("content-type", kType);
  streams.handle(put);
}

ProducerOptions someOptions(Random& random, std::uint64_t epoch) {
  return {.id = "p",
          .epoch = epoch,
          .maxBatchBytes = 1 + random.index(12),
          .maxInFlight = 1 + random.index(8),
          .linger = milliseconds(random.index(3))};
}

/// Runs producers over the network in virtual time.
struct World {
  explicit World(std::uint64_t seed, Chances chances = {}) : random(seed), network(streams, random, chances) {
    create(streams);
  }

  ManualClock clock;
  Random random;
  ModelStreams streams;
  Network network;
  std::vector<std::optional<ProducerCore>> producers;

  std::size_t start(ProducerOptions options) {
    producers.emplace_back(makeCore(std::move(options), clock, 1000, random.bits() | 1));
    producers.back()->setJson(true);
    return producers.size() - 1;
  }
  void sendDue(std::size_t which) {
    if (!producers[which]) return;
    while (auto due = producers[which]->nextSend(clock.steadyNow())) network.send(which, *due);
  }
  void step() {
    for (std::size_t i = 0; i < producers.size(); ++i) sendDue(i);
    if (network.empty() || random.chance(20)) {
      clock.advance(milliseconds(random.between(1, 200)));
    } else {
      network.step(producers, clock.steadyNow());
    }
  }
  /// Until everything that a producer took is acknowledged, or it ended.
  void flush(std::size_t which) {
    producers[which]->setFlushing(true);
    for (int i = 0; !producers[which]->idle() && !producers[which]->finalFailure(); ++i) {
      ASSERT_LT(i, 200'000) << "the producer does not come to an end";
      step();
    }
    producers[which]->setFlushing(false);
  }
  const std::vector<std::string>& stored() { return streams.find("/stream")->messages; }
};

TEST(ProducerLaws, EveryMessageIsAppendedExactlyOnceAndInOrder) {
  forEachSeed(400, [](std::uint64_t seed) {
    World world(seed, {.lostBefore = static_cast<unsigned>(seed % 30),
                       .lostAfter = static_cast<unsigned>(seed / 3 % 30),
                       .twice = static_cast<unsigned>(seed / 7 % 30),
                       .refused = static_cast<unsigned>(seed / 11 % 30)});
    const std::size_t producer = world.start(someOptions(world.random, 0));
    std::vector<std::string> sent;
    for (int i = 0; i < 60; ++i) {
      sent.push_back(std::to_string(i));
      world.producers[producer]->add(sent.back(), world.clock.steadyNow());
      for (auto steps = world.random.below(4); steps > 0; --steps) world.step();
    }
    world.flush(producer);
    ASSERT_EQ(world.producers[producer]->finalFailure(), std::nullopt);
    EXPECT_EQ(world.stored(), sent);
    EXPECT_EQ(world.producers[producer]->stats().acknowledged, sent.size());
    std::uint64_t next = 0;
    for (const Receipt& receipt : world.producers[producer]->takeReceipts()) {
      EXPECT_EQ(receipt.first, next);
      next += receipt.count;
    }
    EXPECT_EQ(next, sent.size());
  });
}

/// The rule that docs/durable-streams-client.md gives for a restart: a marker under a higher epoch first, then what the
/// stream lacks in front of it.
void restartedWriter(World& world, std::uint64_t epoch, const std::vector<std::string>& all, bool dies) {
  const std::size_t producer = world.start(someOptions(world.random, epoch));
  const auto add = [&](const std::string& message) {
    world.producers[producer]->add(message, world.clock.steadyNow());
  };
  add("\"marker\"");
  world.flush(producer);
  ASSERT_EQ(world.producers[producer]->finalFailure(), std::nullopt);
  std::size_t next = 0;
  for (const auto& message : world.stored()) next += message != "\"marker\"";
  const std::size_t until = dies ? next + world.random.index(all.size() - next + 1) : all.size();
  for (; next < until; ++next) {
    add(all[next]);
    for (auto steps = world.random.below(3); steps > 0; --steps) world.step();
  }
  if (dies) {
    world.producers[producer].reset();  // its requests are still under way
  } else {
    world.flush(producer);
    ASSERT_EQ(world.producers[producer]->finalFailure(), std::nullopt);
  }
}

TEST(ProducerLaws, RestartsWithHigherEpochsLoseNothingAndRepeatNothing) {
  forEachSeed(300, [](std::uint64_t seed) {
    World world(seed, {.lostBefore = 8, .lostAfter = 8, .twice = 8, .refused = 8});
    std::vector<std::string> all;
    for (int i = 0; i < 50; ++i) all.push_back(std::to_string(i));
    for (std::uint64_t life = 0; life < 5; ++life) {
      restartedWriter(world, life, all, life < 4);
      if (::testing::Test::HasFatalFailure()) return;
    }
    for (int i = 0; !world.network.empty() && i < 10'000; ++i)
      world.network.step(world.producers, world.clock.steadyNow());
    std::vector<std::string> stored;
    for (const auto& message : world.stored()) {
      if (message != "\"marker\"") stored.push_back(message);
    }
    EXPECT_EQ(stored, all);
  });
}

TEST(ProducerLaws, AZombieIsFencedAndWritesNothingMore) {
  forEachSeed(300, [](std::uint64_t seed) {
    World world(seed);
    const std::size_t zombie = world.start(someOptions(world.random, 3));
    world.producers[zombie]->add("\"old\"", world.clock.steadyNow());
    world.flush(zombie);
    const std::size_t heir = world.start(someOptions(world.random, 4));
    world.producers[heir]->add("\"new\"", world.clock.steadyNow());
    world.flush(heir);
    for (int i = 0; i < 10; ++i) world.producers[zombie]->add("\"late\"", world.clock.steadyNow());
    world.flush(zombie);
    ASSERT_TRUE(world.producers[zombie]->finalFailure());
    EXPECT_EQ(world.producers[zombie]->finalFailure()->code(), ErrorCode::fenced);
    EXPECT_EQ(world.stored(), (std::vector<std::string>{"\"old\"", "\"new\""}));
    EXPECT_EQ(world.producers[zombie]->unacknowledged().size(), 10u);
  });
}

TEST(ProducerLaws, AClaimNeverRepeatsWhatItMayHaveAppended) {
  forEachSeed(400, [](std::uint64_t seed) {
    // Nothing arrives twice here: a copy that was done before the claim, and unknown to its sender, would be repeated.
    World world(seed, {.lostBefore = 10, .lostAfter = 10, .twice = 0, .refused = 10});
    std::vector<std::string> sent;
    const auto options = [&] {
      ProducerOptions some = someOptions(world.random, 0);
      some.epoch = std::nullopt;
      some.claim = Claim::always;
      return some;
    };
    const std::size_t a = world.start(options());
    world.clock.advance(milliseconds(1));
    const std::size_t b = world.start(options());
    for (int i = 0; i < 30; ++i) {
      const std::size_t who = world.random.chance(50) ? a : b;
      sent.push_back((who == a ? "1" : "2") + std::to_string(100 + i));
      world.producers[who]->add(sent.back(), world.clock.steadyNow());
      for (auto steps = world.random.below(10); steps > 0; --steps) world.step();
    }
    for (const std::size_t who : {a, b}) world.flush(who);
    // Each may have given up, saying so; but nothing stands there twice, and what was acknowledged stands there.
    std::vector<std::string> stored = world.stored();
    std::sort(stored.begin(), stored.end());
    EXPECT_EQ(std::adjacent_find(stored.begin(), stored.end()), stored.end());
    for (const std::size_t who : {a, b}) {
      const auto& producer = *world.producers[who];
      const auto failure = producer.finalFailure();
      EXPECT_TRUE(!failure || failure->retry() == Retry::outcomeUnknown);
      const auto open = producer.unacknowledged();
      for (const auto& message : sent) {
        if ((message[0] == '1') != (who == a)) continue;
        const bool missing = std::find(open.begin(), open.end(), message) != open.end();
        EXPECT_TRUE(missing || std::binary_search(stored.begin(), stored.end(), message)) << message;
      }
    }
  });
}

}  // namespace
}  // namespace tidegate::durable_streams
