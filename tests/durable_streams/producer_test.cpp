/// The producer over HTTP, against our own server and its faults.
#include <gtest/gtest.h>

#include "durable_streams/client_rig.h"
#include "support/property.h"

namespace tidegate::durable_streams {
namespace {

using namespace durable_streams::test;
using std::chrono::milliseconds;
using std::chrono::seconds;
using tidegate::test::forEachSeed;
using tidegate::test::Random;

struct ProducerOverHttp : ClientRig {};

TEST_F(ProducerOverHttp, BatchesWhatComesTogether) {
  DurableStream stream = made("application/json");
  Producer producer = stream.producer({.id = "p", .linger = seconds(60)});
  for (int i = 0; i < 100; ++i) EXPECT_EQ(producer.append(std::to_string(i)), static_cast<std::uint64_t>(i));
  EXPECT_EQ(producer.acknowledged(), 0u);
  producer.flush();
  EXPECT_EQ(producer.acknowledged(), 100u);
  EXPECT_EQ(stored().size(), 100u);
  EXPECT_EQ(producer.stats().requests, 1u);
}

TEST_F(ProducerOverHttp, LearnsTheContentTypeOfAStreamThatItDidNotMake) {
  made("application/json");
  Producer producer = client().stream("/s").producer({.id = "p"});
  producer.append("[1]");
  producer.append("2");
  producer.flush();
  EXPECT_EQ(stored(), (Texts{"[1]", "2"}));
  EXPECT_THROW(producer.append("{"), Error);
  EXPECT_THROW(producer.append(""), Error);
}

TEST_F(ProducerOverHttp, TellsWhatIsDurableInOrder) {
  std::vector<Receipt> receipts;
  Producer producer =
      made().producer({.id = "p", .maxBatchBytes = 1, .linger = milliseconds(0), .onReceipt = [&](const Receipt& r) {
                         receipts.push_back(r);
                       }});
  for (int i = 0; i < 30; ++i) producer.append("x");
  producer.flush();
  std::uint64_t next = 0;
  std::string offset;
  for (const Receipt& receipt : receipts) {
    EXPECT_EQ(receipt.first, next);
    next += receipt.count;
    EXPECT_GT(receipt.offset, offset);
    offset = receipt.offset;
  }
  EXPECT_EQ(next, 30u);
  EXPECT_EQ(offset, ModelStreams::offsetAt(receipts.size()));
}

TEST_F(ProducerOverHttp, SendsSmallBatchesOnceTheyHaveWaited) {
  Producer producer = made().producer({.id = "p", .linger = milliseconds(1)});
  producer.append("a");
  producer.poll(seconds(10));
  EXPECT_EQ(producer.acknowledged(), 1u);
}

TEST_F(ProducerOverHttp, WaitsWhileItsQueueIsFull) {
  DurableStream stream = made();
  Producer producer = stream.producer({.id = "p", .maxBatchBytes = 4, .linger = seconds(60), .maxQueuedBytes = 8});
  for (int i = 0; i < 50; ++i) {
    producer.append("abc");
    EXPECT_LE(producer.stats().queuedBytes, 8u);
  }
  producer.flush();
  EXPECT_EQ(producer.acknowledged(), 50u);
}

TEST_F(ProducerOverHttp, SaysThatItsQueueIsFullToWhoeverWillNotWait) {
  Producer producer = made().producer({.id = "p", .linger = milliseconds(0), .maxQueuedBytes = 4});
  server.inject({.method = "POST", .count = 100, .status = 503, .retryAfter = "1"});
  EXPECT_EQ(producer.tryAppend("abcd"), 0u);
  EXPECT_EQ(producer.tryAppend("e"), std::nullopt);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_THROW(producer.append("e", stop.get_token()), Error);
  EXPECT_THROW(producer.flush(stop.get_token()), Error);
  EXPECT_EQ(producer.unacknowledged(), Texts{"abcd"});
}

TEST_F(ProducerOverHttp, KeepsEverythingWhereItsRetriesAreUsedUp) {
  made();
  Producer producer = client(1).stream("/s").producer({.id = "p", .contentType = "text/plain"});
  server.inject({.method = "POST", .count = 2, .status = 503});
  producer.append("a");
  EXPECT_EQ(thrownBy([&] { producer.flush(); }).failure(), StreamFailure::unavailable);
  EXPECT_EQ(producer.unacknowledged(), Texts{"a"});
  producer.flush();
  EXPECT_EQ(stored(), Texts{"a"});
}

TEST_F(ProducerOverHttp, ClosesOnceWithItsLastMessage) {
  Producer producer = made().producer({.id = "p"});
  producer.append("a");
  server.inject({.method = "POST", .skip = 1, .dropAfter = true});
  const Receipt closed = producer.close("end");
  EXPECT_EQ(closed.offset, ModelStreams::offsetAt(2));
  EXPECT_EQ(producer.close("again").offset, closed.offset);
  EXPECT_EQ(stored(), (Texts{"a", "end"}));
  EXPECT_THROW(producer.append("late"), Error);
}

TEST_F(ProducerOverHttp, LeavesTheStreamOpenWhereItOnlyDetaches) {
  DurableStream stream = made();
  Producer producer = stream.producer({.id = "p"});
  producer.append("a");
  producer.detach();
  producer.detach();
  EXPECT_THROW(producer.append("b"), Error);
  EXPECT_FALSE(stream.head().closed);
  EXPECT_EQ(stored(), Texts{"a"});
}

TEST_F(ProducerOverHttp, IsRefusedByAStreamThatAnotherClosed) {
  DurableStream stream = made();
  stream.close();
  Producer producer = stream.producer({.id = "p"});
  producer.append("a");
  EXPECT_EQ(thrownBy([&] { producer.flush(); }).failure(), StreamFailure::closed);
  EXPECT_EQ(thrownBy([&] { producer.append("b"); }).failure(), StreamFailure::closed);
}

TEST_F(ProducerOverHttp, IsFencedByALaterLife) {
  DurableStream stream = made();
  Producer zombie = stream.producer({.id = "p", .epoch = 1});
  zombie.append("old");
  zombie.flush();
  Producer heir = stream.producer({.id = "p", .epoch = 2});
  heir.append("new");
  heir.flush();
  zombie.append("late");
  const StreamError error = thrownBy([&] { zombie.flush(); });
  EXPECT_EQ(error.code(), ErrorCode::fenced);
  EXPECT_EQ(error.details().epoch, 2u);
  EXPECT_EQ(stored(), (Texts{"old", "new"}));
}

TEST_F(ProducerOverHttp, WritesInEachOfItsLivesWithoutBeingToldAnEpoch) {
  DurableStream stream = made();
  for (const char* life : {"1", "2", "3"}) {
    Producer producer = stream.producer({.id = "p"});
    producer.append(life);
    producer.flush();
  }
  EXPECT_EQ(stored(), (Texts{"1", "2", "3"}));
}

TEST_F(ProducerOverHttp, NoticesThatAnotherLifeUsedItsEpoch) {
  DurableStream stream = made();
  const ProducerOptions same{.id = "p", .epoch = 0, .maxBatchBytes = 1};
  Producer first = stream.producer(same);
  for (const char* m : {"a", "b"}) first.append(m);
  first.flush();
  Producer second = stream.producer(same);
  second.append("c");
  const StreamError error = thrownBy([&] { second.flush(); });
  EXPECT_EQ(error.failure(), StreamFailure::sequenceConflict);
  EXPECT_EQ(second.unacknowledged(), Texts{"c"});
}

TEST_F(ProducerOverHttp, AppendsEverythingOnceUnderRandomFaults) {
  forEachSeed(12, [this](std::uint64_t seed) {
    Random random(seed);
    const std::string path = "/random" + std::to_string(seed);
    DurableStream stream = client(100).stream(path);
    stream.create({.contentType = "application/json"});
    Producer producer = stream.producer({.id = "p",
                                         .maxBatchBytes = 1 + random.index(20),
                                         .maxInFlight = 1 + random.index(8),
                                         .linger = milliseconds(random.index(2))});
    Texts sent;
    for (int i = 0; i < 200; ++i) {
      if (random.chance(15)) {
        Fault fault{.method = "POST", .path = path, .skip = static_cast<unsigned>(random.below(4))};
        switch (random.below(4)) {
          case 0:
            fault.drop = true;
            break;
          case 1:
            fault.dropAfter = true;
            break;
          case 2:
            fault.status = random.chance(50) ? 500 : 503;
            break;
          default:
            fault.delay = milliseconds(random.index(20));
        }
        server.inject(fault);
      }
      sent.push_back(std::to_string(i));
      producer.append(sent.back());
    }
    producer.flush();
    server.clearFaults();
    EXPECT_EQ(stored(path), sent);
    EXPECT_EQ(producer.acknowledged(), sent.size());
  });
}

}  // namespace
}  // namespace tidegate::durable_streams
