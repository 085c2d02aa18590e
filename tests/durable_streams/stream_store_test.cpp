/// What every store must do, in memory or in files.
#include <gtest/gtest.h>

#include <algorithm>

#include "durable_streams/sim_disk.h"
#include "support/manual_clock.h"
#include "tidegate/durable_streams/file_store.h"

namespace tidegate::durable_streams {
namespace {

using namespace std::chrono_literals;

enum class StoreKind { memory, files };

class DurableStreamStore : public ::testing::TestWithParam<StoreKind> {
 protected:
  DurableStreamStore() {
    if (GetParam() == StoreKind::memory) {
      store = memoryStreamStore({.clock = &clock, .limits = limits()});
    } else {
      files = fileStreamStore(
          {.files = disk.mount(), .clock = &clock, .limits = limits(), .cacheBytes = 1, .ownThread = false});
      store = files;
    }
  }
  static StoreLimits limits() { return {.streams = 20, .producersPerStream = 3, .producerIdle = 60s}; }

  StreamResult wait(const std::function<void(StreamDone)>& begin) {
    StreamResult got;
    int calls = 0;
    begin([&](const StreamResult& result) {
      got = result;
      ++calls;
    });
    if (files) {
      while (files->commit()) {
      }
    }
    EXPECT_EQ(calls, 1);
    return got;
  }
  StreamResult create(const std::string& path, CreateStream request) {
    return wait([&](StreamDone done) { store->create(path, std::move(request), std::move(done)); });
  }
  StreamResult append(const std::string& path, AppendToStream request) {
    if (request.contentType.empty()) request.contentType = "text/plain";
    return wait([&](StreamDone done) { store->append(path, std::move(request), std::move(done)); });
  }
  Verdict add(const std::string& path, const std::string& text) { return append(path, {.body = text}).verdict; }
  StreamResult remove(const std::string& path) {
    return wait([&](StreamDone done) { store->remove(path, std::move(done)); });
  }
  Verdict text(const std::string& path, const std::string& body = {}) {
    return create(path, {.contentType = "text/plain", .body = body}).verdict;
  }
  Verdict fork(const std::string& path, ForkPoint point) {
    return create(path, {.contentType = "text/plain", .fork = std::move(point)}).verdict;
  }
  std::string all(const std::string& path) { return store->read(path, 0, 1 << 20).octets; }

  test::ManualClock clock;
  test::Random random{1};
  testing::SimDisk disk{random};
  std::shared_ptr<StreamStore> store;
  std::shared_ptr<FileStreamStore> files;
};

INSTANTIATE_TEST_SUITE_P(Stores, DurableStreamStore, ::testing::Values(StoreKind::memory, StoreKind::files),
                         [](const auto& which) { return which.param == StoreKind::memory ? "memory" : "files"; });

TEST_P(DurableStreamStore, GivesWhatWasAppendedInOrder) {
  EXPECT_EQ(text("a", "one"), Verdict::done);
  EXPECT_EQ(add("a", "two"), Verdict::done);
  const StreamRead read = store->read("a", 3, 100);
  EXPECT_EQ(read.octets, "two");
  EXPECT_EQ(read.next, 6u);
  EXPECT_TRUE(read.upToDate);
  EXPECT_EQ(all("a"), "onetwo");
}

TEST_P(DurableStreamStore, CutsALargeReadAtTheEndOfAnAppend) {
  text("a");
  for (int i = 0; i < 10; ++i) add("a", "0123456789");
  const StreamRead first = store->read("a", 0, 35);
  EXPECT_EQ(first.next, 30u);
  EXPECT_FALSE(first.upToDate);
  EXPECT_EQ(store->read("a", 30, 1).next, 40u) << "at least one append";
  EXPECT_EQ(store->read("a", 90, 1).upToDate, true);
}

TEST_P(DurableStreamStore, RefusesAPositionInsideAnAppendOrBeyondTheTail) {
  text("a", "12345");
  EXPECT_EQ(store->read("a", 2, 100).verdict, ReadVerdict::badPosition);
  EXPECT_EQ(store->read("a", 6, 100).verdict, ReadVerdict::badPosition);
  EXPECT_EQ(store->read("a", 5, 100).verdict, ReadVerdict::data);
}

TEST_P(DurableStreamStore, CreatesAStreamOnce) {
  EXPECT_EQ(create("a", {.contentType = "text/plain", .ttl = 60s}).verdict, Verdict::done);
  EXPECT_EQ(create("a", {.contentType = "TEXT/plain; charset=utf-8", .ttl = 60s}).verdict, Verdict::unchanged);
  EXPECT_EQ(create("a", {.contentType = "text/plain"}).verdict, Verdict::differs);
  EXPECT_EQ(create("a", {.contentType = "text/html", .ttl = 60s}).verdict, Verdict::differs);
  EXPECT_EQ(create("a", {.contentType = "text/plain", .ttl = 60s, .closed = true}).verdict, Verdict::differs);
}

TEST_P(DurableStreamStore, AStreamMadeAnewIsAnotherStream) {
  text("a", "old");
  const std::uint64_t before = store->head("a").stream.id;
  EXPECT_EQ(remove("a").verdict, Verdict::done);
  EXPECT_EQ(store->head("a").verdict, ReadVerdict::notFound);
  EXPECT_EQ(remove("a").verdict, Verdict::notFound);
  text("a", "new");
  EXPECT_NE(store->head("a").stream.id, before);
  EXPECT_EQ(all("a"), "new");
}

TEST_P(DurableStreamStore, AppliesEachProducersBatchOnce) {
  text("a");
  const auto send = [&](std::uint64_t epoch, std::uint64_t seq) {
    return append(
        "a", {.body = std::to_string(epoch) + std::to_string(seq) + " ", .producer = ProducerStamp{"p", epoch, seq}});
  };
  EXPECT_EQ(send(0, 1).verdict, Verdict::producerGap);
  EXPECT_EQ(send(0, 0).verdict, Verdict::done);
  EXPECT_EQ(send(0, 0).verdict, Verdict::duplicate);
  EXPECT_EQ(send(0, 1).verdict, Verdict::done);
  EXPECT_EQ(send(0, 0).producerSeq, 1u) << "the highest accepted";
  const StreamResult gap = send(0, 5);
  EXPECT_EQ(gap.verdict, Verdict::producerGap);
  EXPECT_EQ(gap.producerSeq, 2u) << "the one expected";
  EXPECT_EQ(send(1, 1).verdict, Verdict::epochNotFromZero);
  EXPECT_EQ(send(1, 0).verdict, Verdict::done);
  const StreamResult stale = send(0, 2);
  EXPECT_EQ(stale.verdict, Verdict::staleEpoch);
  EXPECT_EQ(stale.producerEpoch, 1u);
  EXPECT_EQ(all("a"), "00 01 10 ");
}

TEST_P(DurableStreamStore, ForgetsIdleProducersBeforeItRefusesNewOnes) {
  text("a");
  for (const char* id : {"p", "q", "r"}) {
    EXPECT_EQ(append("a", {.body = "x", .producer = ProducerStamp{id, 0, 0}}).verdict, Verdict::done);
  }
  EXPECT_EQ(append("a", {.body = "x", .producer = ProducerStamp{"s", 0, 0}}).verdict, Verdict::tooMany);
  clock.advance(61s);
  EXPECT_EQ(append("a", {.body = "x", .producer = ProducerStamp{"s", 0, 0}}).verdict, Verdict::done);
}

TEST_P(DurableStreamStore, ARefusedAppendMovesNoProducer) {
  create("j", {.contentType = "application/json"});
  AppendToStream bad{.contentType = "application/json", .body = "{", .producer = ProducerStamp{"p", 0, 0}};
  EXPECT_EQ(append("j", bad).verdict, Verdict::badJson);
  bad.body = "{}";
  EXPECT_EQ(append("j", bad).verdict, Verdict::done);
}

TEST_P(DurableStreamStore, WantsStreamSeqToGrowAsTextDoes) {
  text("a");
  const auto send = [&](const char* seq) { return append("a", {.body = "x", .seq = seq}).verdict; };
  EXPECT_EQ(send("2"), Verdict::done);
  EXPECT_EQ(send("10"), Verdict::seqNotAfter);
  EXPECT_EQ(send("2"), Verdict::seqNotAfter);
  EXPECT_EQ(send("3"), Verdict::done);
}

TEST_P(DurableStreamStore, AClosedStreamTakesNothingMore) {
  text("a", "x");
  EXPECT_EQ(append("a", {.body = "end", .close = true, .producer = ProducerStamp{"p", 0, 0}}).verdict, Verdict::done);
  EXPECT_TRUE(store->head("a").stream.closed);
  EXPECT_EQ(add("a", "y"), Verdict::closed);
  EXPECT_EQ(append("a", {.contentType = "text/html", .body = "y"}).verdict, Verdict::closed) << "before its type";
  EXPECT_EQ(append("a", {.close = true}).verdict, Verdict::unchanged);
  EXPECT_EQ(append("a", {.body = "end", .close = true, .producer = ProducerStamp{"p", 0, 0}}).verdict,
            Verdict::duplicate);
  EXPECT_EQ(append("a", {.close = true, .producer = ProducerStamp{"p", 0, 1}}).verdict, Verdict::closed);
  EXPECT_EQ(all("a"), "xend");
}

TEST_P(DurableStreamStore, AForkHasItsSourcesPastAndItsOwnFuture) {
  text("a", "one");
  add("a", "two");
  EXPECT_EQ(fork("f", {.source = "a", .at = 3}), Verdict::done);
  add("a", "three");
  add("f", "2");
  EXPECT_EQ(all("f"), "one2");
  EXPECT_EQ(all("a"), "onetwothree");
  EXPECT_EQ(store->read("f", 3, 100).octets, "2");
  EXPECT_EQ(fork("f", {.source = "a", .at = 3}), Verdict::unchanged);
  EXPECT_EQ(fork("f", {.source = "a"}), Verdict::unchanged) << "its place was taken when it was made";
  EXPECT_EQ(fork("f", {.source = "a", .at = 0}), Verdict::differs);
}

TEST_P(DurableStreamStore, AForkMayLeaveItsSourceInsideAnAppend) {
  text("a", "hello");
  EXPECT_EQ(fork("f", {.source = "a", .at = 0, .subPosition = 3}), Verdict::done);
  add("f", "p");
  EXPECT_EQ(all("f"), "help");
  EXPECT_EQ(fork("g", {.source = "f", .at = 0, .subPosition = 2}), Verdict::done);
  EXPECT_EQ(all("g"), "he");
  EXPECT_EQ(fork("h", {.source = "f", .at = 0, .subPosition = 4}), Verdict::badSubPosition) << "past the append's end";
  EXPECT_EQ(fork("h", {.source = "a", .subPosition = 1}), Verdict::badSubPosition) << "past the tail";
  EXPECT_EQ(fork("h", {.source = "a", .at = 2}), Verdict::badForkPoint);
  EXPECT_EQ(fork("h", {.source = "a", .at = 6}), Verdict::badForkPoint);
}

TEST_P(DurableStreamStore, AJsonForkCountsMessages) {
  create("j", {.contentType = "application/json", .body = R"([{"a":"},"},{"b":2},3])"});
  EXPECT_EQ(create("f", {.fork = ForkPoint{.source = "j", .at = 0, .subPosition = 2}}).verdict, Verdict::done);
  EXPECT_EQ(all("f"), R"({"a":"},"},{"b":2},)");
  EXPECT_TRUE(store->head("f").stream.json);
  EXPECT_EQ(create("g", {.fork = ForkPoint{.source = "j", .at = 0, .subPosition = 4}}).verdict,
            Verdict::badSubPosition);
}

TEST_P(DurableStreamStore, AForkKnowsNoProducersOfItsSource) {
  text("a");
  append("a", {.body = "x", .seq = "9", .producer = ProducerStamp{"p", 4, 0}});
  fork("f", {.source = "a"});
  EXPECT_EQ(append("f", {.body = "y", .seq = "1", .producer = ProducerStamp{"p", 0, 0}}).verdict, Verdict::done);
  EXPECT_EQ(all("f"), "xy");
}

TEST_P(DurableStreamStore, ADeletedSourceStaysForItsForksAlone) {
  text("a", "A");
  fork("b", {.source = "a"});
  add("b", "B");
  fork("c", {.source = "b"});
  EXPECT_EQ(remove("a").verdict, Verdict::done);
  EXPECT_EQ(remove("b").verdict, Verdict::done);
  EXPECT_EQ(store->head("a").verdict, ReadVerdict::gone);
  EXPECT_EQ(remove("a").verdict, Verdict::gone);
  EXPECT_EQ(add("a", "x"), Verdict::gone);
  EXPECT_EQ(text("a"), Verdict::blocked);
  EXPECT_EQ(fork("d", {.source = "a"}), Verdict::sourceGone);
  EXPECT_EQ(all("c"), "AB");
  EXPECT_EQ(remove("c").verdict, Verdict::done);
  EXPECT_EQ(store->size(), 0u) << "the last fork takes its sources with it";
  EXPECT_EQ(text("a"), Verdict::done);
}

TEST_P(DurableStreamStore, ARefusedForkHoldsNoSource) {
  text("a", "x");
  EXPECT_EQ(create("f", {.contentType = "text/html", .fork = ForkPoint{.source = "a"}}).verdict, Verdict::wrongType);
  create("j", {.contentType = "application/json"});
  EXPECT_EQ(create("g", {.contentType = "application/json", .body = "{", .fork = ForkPoint{.source = "j"}}).verdict,
            Verdict::badJson);
  remove("a");
  remove("j");
  EXPECT_EQ(store->size(), 0u);
  EXPECT_EQ(fork("f", {.source = "a"}), Verdict::noSource);
}

TEST_P(DurableStreamStore, TheTimeToLiveRunsFromTheLastReadOrWrite) {
  create("a", {.contentType = "text/plain", .ttl = 10s});
  clock.advance(9s);
  add("a", "x");
  clock.advance(9s);
  store->read("a", 0, 10);
  clock.advance(9s);
  EXPECT_EQ(store->head("a").verdict, ReadVerdict::data) << "asking for metadata is no read";
  clock.advance(2s);
  EXPECT_EQ(store->head("a").verdict, ReadVerdict::notFound);
  EXPECT_EQ(create("a", {.contentType = "text/html"}).verdict, Verdict::done);
}

TEST_P(DurableStreamStore, AnAbsoluteExpiryIsNotPutOff) {
  create("a", {.contentType = "text/plain", .expiresAt = "soon", .expiresAtTime = clock.wallNow() + 10s});
  clock.advance(9s);
  add("a", "x");
  clock.advance(2s);
  EXPECT_EQ(add("a", "y"), Verdict::notFound);
}

TEST_P(DurableStreamStore, AForkLivesByItsOwnExpiry) {
  create("a", {.contentType = "text/plain", .ttl = 10s, .body = "x"});
  EXPECT_EQ(create("f", {.contentType = "text/plain", .ttl = 100s, .fork = ForkPoint{.source = "a"}}).verdict,
            Verdict::done);
  EXPECT_EQ(create("g", {.contentType = "text/plain", .fork = ForkPoint{.source = "a"}}).verdict, Verdict::done);
  EXPECT_EQ(store->head("g").stream.ttl, 10s) << "inherited";
  clock.advance(11s);
  EXPECT_EQ(store->head("a").verdict, ReadVerdict::gone) << "expired, and kept for its fork";
  EXPECT_EQ(all("f"), "x");
}

TEST_P(DurableStreamStore, SweepsWhatHasExpired) {
  for (const char* path : {"a", "b", "c"}) create(path, {.contentType = "text/plain", .ttl = 10s});
  text("d");
  clock.advance(5s);
  store->read("b", 0, 1);
  clock.advance(6s);
  EXPECT_EQ(store->sweep(), 2u);
  EXPECT_EQ(store->size(), 2u);
  clock.advance(5s);
  EXPECT_EQ(store->sweep(), 1u);
}

TEST_P(DurableStreamStore, AWatchedStreamDoesNotExpireByItsTimeToLive) {
  create("a", {.contentType = "text/plain", .ttl = 10s});
  const std::uint64_t watch = store->watch("a", [] {});
  clock.advance(60s);
  EXPECT_EQ(store->sweep(), 0u);
  EXPECT_EQ(store->head("a").verdict, ReadVerdict::data);
  store->unwatch(watch);
  clock.advance(9s);
  EXPECT_EQ(store->head("a").verdict, ReadVerdict::data);
  clock.advance(2s);
  EXPECT_EQ(store->head("a").verdict, ReadVerdict::notFound);
}

TEST_P(DurableStreamStore, TellsWatchersOfAppendsClosuresAndDeletions) {
  text("a");
  int calls = 0;
  const std::uint64_t watch = store->watch("a", [&] { ++calls; });
  EXPECT_NE(watch, 0u);
  add("a", "x");
  EXPECT_EQ(calls, 1);
  append("a", {.close = true});
  EXPECT_EQ(calls, 2);
  remove("a");
  EXPECT_EQ(calls, 3);
  store->unwatch(watch);
  EXPECT_EQ(store->watch("a", [] {}), 0u);
}

TEST_P(DurableStreamStore, AForksWatchersHearNothingOfItsSource) {
  text("a");
  fork("f", {.source = "a"});
  int calls = 0;
  store->watch("f", [&] { ++calls; });
  add("a", "x");
  EXPECT_EQ(calls, 0);
  add("f", "x");
  EXPECT_EQ(calls, 1);
}

TEST_P(DurableStreamStore, RefusesMoreStreamsThanItsBound) {
  for (int i = 0; i < 20; ++i) EXPECT_EQ(text("s" + std::to_string(i)), Verdict::done);
  EXPECT_EQ(text("one more"), Verdict::tooMany);
  remove("s3");
  EXPECT_EQ(text("one more"), Verdict::done);
}

TEST_P(DurableStreamStore, KeepsNotes) {
  wait([&](StreamDone done) { store->putNote("k", "v", std::move(done)); });
  wait([&](StreamDone done) { store->putNote("k", "w", std::move(done)); });
  EXPECT_EQ(store->notes(), (std::vector<std::pair<std::string, std::string>>{{"k", "w"}}));
  wait([&](StreamDone done) { store->putNote("k", "", std::move(done)); });
  EXPECT_TRUE(store->notes().empty());
}

TEST_P(DurableStreamStore, ListsThePathsOfStreamsThatAreNotDeleted) {
  text("a", "x");
  text("b");
  fork("f", {.source = "a"});
  remove("a");
  auto paths = store->paths();
  std::sort(paths.begin(), paths.end());
  EXPECT_EQ(paths, (std::vector<std::string>{"b", "f"}));
}

}  // namespace
}  // namespace tidegate::durable_streams
