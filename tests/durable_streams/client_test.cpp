/// The client's calls against our own HTTP server: what they do, what they repeat, what their errors say.
#include <gtest/gtest.h>

#include "durable_streams/client_rig.h"
#include "support/manual_clock.h"

namespace tidegate::durable_streams {
namespace {

using namespace durable_streams::test;
using std::chrono::milliseconds;

struct DurableStreamClientCalls : ClientRig {};

TEST_F(DurableStreamClientCalls, MakeFindAndRemoveAStream) {
  DurableStream stream = client().stream("/s");
  EXPECT_EQ(stream.find(), std::nullopt);
  const StreamHead made = stream.create({.contentType = "text/plain", .first = "ab"});
  EXPECT_TRUE(made.created);
  EXPECT_FALSE(stream.create({.contentType = "text/plain"}).created);
  const auto head = stream.find();
  ASSERT_TRUE(head);
  EXPECT_EQ(head->contentType, "text/plain");
  EXPECT_EQ(head->offset, ModelStreams::offsetAt(1));
  EXPECT_FALSE(head->closed);
  EXPECT_TRUE(stream.remove());
  EXPECT_FALSE(stream.remove());
  EXPECT_EQ(thrownBy([&] { stream.head(); }).failure(), StreamFailure::notFound);
}

TEST_F(DurableStreamClientCalls, SayWhichStreamStoodInTheWay) {
  made();
  const StreamError error = thrownBy([&] { client().stream("/s").create({.contentType = "application/json"}); });
  EXPECT_EQ(error.failure(), StreamFailure::exists);
  EXPECT_EQ(error.status(), 409);
  EXPECT_EQ(error.details().method, "PUT");
  EXPECT_EQ(error.details().url, server.url() + "/s");
  EXPECT_NE(error.message().find("/s"), std::string::npos);
}

TEST_F(DurableStreamClientCalls, AppendOneMessageOrSeveral) {
  DurableStream stream = made("application/json");
  stream.append("[1, 2]");
  EXPECT_EQ(stream.append(Texts{"{\"a\":1}", "\"b\""}).offset, ModelStreams::offsetAt(3));
  EXPECT_EQ(stored(), (Texts{"[1,2]", "{\"a\":1}", "\"b\""}));
  EXPECT_EQ(requests("POST"), 2u);
}

TEST_F(DurableStreamClientCalls, AskForTheContentTypeOnceWhereTheyDoNotKnowIt) {
  made("application/json");
  DurableStream stream = client().stream("/s");
  stream.append("1");
  stream.append("2");
  EXPECT_EQ(requests("HEAD"), 1u);
  EXPECT_EQ(stored(), (Texts{"1", "2"}));
}

TEST_F(DurableStreamClientCalls, RefuseMessagesThatWouldBreakAJsonStream) {
  DurableStream stream = made("application/json");
  for (const char* bad : {"1,2", "{", "", "1] [2"}) EXPECT_THROW(stream.append(bad), Error) << bad;
  EXPECT_EQ(requests("POST"), 0u);
}

TEST_F(DurableStreamClientCalls, AppendInSequence) {
  DurableStream stream = made();
  stream.append("a", {.seq = "01"});
  const StreamError error = thrownBy([&] { stream.append("b", {.seq = "01"}); });
  EXPECT_EQ(error.failure(), StreamFailure::sequenceConflict);
}

TEST_F(DurableStreamClientCalls, CloseOnceAndForGood) {
  DurableStream stream = made();
  const Appended closed = stream.close({.last = "end"});
  EXPECT_TRUE(closed.closed);
  EXPECT_TRUE(stream.close().closed);
  const StreamError error = thrownBy([&] { stream.append("late"); });
  EXPECT_EQ(error.failure(), StreamFailure::closed);
  EXPECT_EQ(error.details().offset, ModelStreams::offsetAt(1));
  EXPECT_EQ(stored(), Texts{"end"});
}

TEST_F(DurableStreamClientCalls, AreRepeatedWhereTheServerIsBusyOrBroken) {
  DurableStream stream = made();
  for (const int status : {429, 500, 503}) {
    server.inject({.method = "POST", .status = status});
    stream.append(std::to_string(status));
  }
  EXPECT_EQ(stored(), (Texts{"429", "500", "503"}));
}

TEST_F(DurableStreamClientCalls, AreNotRepeatedWhereTheRequestIsWrong) {
  DurableStream stream = made();
  server.inject({.method = "POST", .count = 2, .status = 400});
  EXPECT_EQ(thrownBy([&] { stream.append("a"); }).failure(), StreamFailure::badRequest);
  EXPECT_EQ(requests("POST"), 1u);
}

TEST_F(DurableStreamClientCalls, GiveUpAfterTheirRetriesAndSaySo) {
  DurableStream stream = made();
  server.inject({.method = "HEAD", .count = 100, .status = 503});
  DurableStream other = client(2).stream("/s");
  const StreamError error = thrownBy([&] { other.head(); });
  EXPECT_EQ(error.failure(), StreamFailure::unavailable);
  EXPECT_EQ(error.retry(), Retry::later);
  EXPECT_NE(error.message().find("3 attempts"), std::string::npos) << error.message();
  EXPECT_EQ(requests("HEAD"), 3u);
}

TEST_F(DurableStreamClientCalls, WaitAsLongAsTheServerAsks) {
  tidegate::test::ManualClock clock;
  tidegate::test::ManualScheduler scheduler(clock);
  made();
  server.inject({.method = "HEAD", .status = 429, .retryAfter = "20"});
  DurableStreamClient waiting({.url = server.url(), .http = {.clock = &clock, .scheduler = &scheduler}});
  waiting.stream("/s").head();
  EXPECT_EQ(scheduler.waits(), 1u);
  EXPECT_GE(scheduler.waited(), std::chrono::seconds(20));
}

TEST_F(DurableStreamClientCalls, NeverRepeatAPlainAppendThatMayHaveHappened) {
  DurableStream stream = made();
  server.inject({.method = "POST", .dropAfter = true});
  const StreamError error = thrownBy([&] { stream.append("once"); });
  EXPECT_EQ(error.failure(), StreamFailure::unreachable);
  EXPECT_EQ(error.retry(), Retry::outcomeUnknown);
  EXPECT_EQ(stored(), Texts{"once"});
  EXPECT_EQ(requests("POST"), 1u);
}

TEST_F(DurableStreamClientCalls, RepeatAStampedAppendThatMayHaveHappened) {
  DurableStream stream = made();
  server.inject({.method = "POST", .dropAfter = true});
  server.inject({.method = "POST", .drop = true});
  const Appended appended = stream.append("once", {.stamp = WriteStamp{.producerId = "me", .epoch = 2, .seq = 0}});
  EXPECT_TRUE(appended.duplicate);
  EXPECT_EQ(appended.producerSeq, 0u);
  EXPECT_EQ(stored(), Texts{"once"});
  const StreamError gap =
      thrownBy([&] { stream.append("x", {.stamp = WriteStamp{.producerId = "me", .epoch = 2, .seq = 5}}); });
  EXPECT_EQ(gap.failure(), StreamFailure::producerGap);
  EXPECT_EQ(gap.details().expectedSeq, 1u);
  EXPECT_EQ(gap.details().receivedSeq, 5u);
  const StreamError stale =
      thrownBy([&] { stream.append("x", {.stamp = WriteStamp{.producerId = "me", .epoch = 1, .seq = 0}}); });
  EXPECT_EQ(stale.failure(), StreamFailure::staleEpoch);
  EXPECT_EQ(stale.code(), ErrorCode::fenced);
  EXPECT_EQ(stale.details().epoch, 2u);
}

TEST_F(DurableStreamClientCalls, ComputeHeadersAndParametersForEachRequest) {
  made();
  int asked = 0;
  DurableStreamClient counting({.url = server.url(),
                                .headers = {{"x-count", [&] { return std::to_string(++asked); }}, {"x-fixed", "y"}},
                                .params = {{"z", "last"}, {"token", [&] { return "t" + std::to_string(asked); }}},
                                .retry = quick()});
  server.inject({.method = "HEAD", .status = 503});
  counting.stream("/s?b=1&a=2%20").head();
  const auto seen = server.seen();
  ASSERT_GE(seen.size(), 3u);
  const SeenRequest& first = seen[seen.size() - 2];
  const SeenRequest& second = seen.back();
  EXPECT_EQ(first.headers.get("x-count"), "1");
  EXPECT_EQ(second.headers.get("x-count"), "2");
  EXPECT_EQ(second.headers.get("x-fixed"), "y");
  EXPECT_EQ(second.query, "a=2%20&b=1&token=t2&z=last") << "sorted by name";
}

TEST_F(DurableStreamClientCalls, LeaveAThrowingHeaderToTheirCaller) {
  DurableStreamClient client({.url = server.url(), .headers = {{"authorization", []() -> std::string {
                                                                  throw std::runtime_error("no token");
                                                                }}}});
  EXPECT_THROW(client.stream("/s").head(), std::runtime_error);
  EXPECT_TRUE(server.seen().empty());
}

TEST_F(DurableStreamClientCalls, ForkFromAPathOfTheSameServer) {
  DurableStream source = made();
  server.with([](ModelStreams&) {});
  source.fork("/copy", {.offset = "000000000001", .subOffset = 3, .ttl = std::chrono::seconds(60)});
  const SeenRequest put = server.seen().back();
  EXPECT_EQ(put.path, "/copy");
  EXPECT_EQ(put.headers.get("stream-forked-from"), "/s");
  EXPECT_EQ(put.headers.get("stream-fork-offset"), "000000000001");
  EXPECT_EQ(put.headers.get("stream-fork-sub-offset"), "3");
  EXPECT_EQ(put.headers.get("stream-ttl"), "60");
}

TEST_F(DurableStreamClientCalls, RefuseOptionsThatContradictEachOther) {
  DurableStream stream = client().stream("/s");
  EXPECT_THROW(stream.create({.ttl = std::chrono::seconds(1), .expiresAt = "2030-01-01T00:00:00Z"}), Error);
  EXPECT_THROW(stream.create({.ttl = std::chrono::seconds(-1)}), Error);
  EXPECT_THROW(stream.reader({.offset = ""}), Error);
  EXPECT_THROW(stream.reader({.live = Live::sse, .ifNoneMatch = "\"x\""}), Error);
  EXPECT_THROW(DurableStreamClient({.url = "ftp://host"}), Error);
  EXPECT_THROW(DurableStreamClient({.retry = {.multiplier = 0.5}}), Error);
  EXPECT_THROW(DurableStreamClient({}).stream("/nowhere"), Error);
  EXPECT_TRUE(server.seen().empty());
}

TEST_F(DurableStreamClientCalls, KeepSecretsOutOfTheirErrors) {
  DurableStreamClient client({.url = server.url(), .params = {{"token", "s3cr3t"}}, .retry = quick(0)});
  const StreamError error = thrownBy([&] { client.stream("/none?password=hidden").head(); });
  for (const char* secret : {"s3cr3t", "hidden"}) {
    EXPECT_EQ(error.message().find(secret), std::string::npos) << error.message();
    EXPECT_EQ(error.details().url.find(secret), std::string::npos);
  }
}

TEST_F(DurableStreamClientCalls, EndWhenStoppedBetweenTwoAttempts) {
  made();
  server.inject({.method = "HEAD", .count = 100, .status = 503, .retryAfter = "3600"});
  std::stop_source stop;
  tidegate::test::ManualClock clock;
  /// Whoever waits is stopped.
  struct Stopping : Scheduler {
    std::stop_source& stop;
    explicit Stopping(std::stop_source& given) : stop(given) {}
    bool waitFor(std::chrono::microseconds, std::stop_token) override {
      stop.request_stop();
      return false;
    }
  } scheduler{stop};
  DurableStreamClient client({.url = server.url(), .http = {.clock = &clock, .scheduler = &scheduler}});
  try {
    client.stream("/s").head(stop.get_token());
    FAIL() << "it went on";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::queryCancelled);
  }
}

TEST(DurableStreamClientAlone, SaysThatNobodyListens) {
  DurableStreamClient client({.url = "http://127.0.0.1:9", .retry = quick(1)});
  const StreamError error = thrownBy([&] { client.stream("/s").head(); });
  EXPECT_EQ(error.failure(), StreamFailure::unreachable);
  EXPECT_EQ(error.code(), ErrorCode::connectionFailed);
  EXPECT_EQ(error.status(), 0);
}

}  // namespace
}  // namespace tidegate::durable_streams
