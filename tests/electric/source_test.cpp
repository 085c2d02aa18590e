/// The source over HTTP: what the reference sync service gets wrong, one by one, and how requests go.
#include "tidegate/electric/source.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "electric/source_world.h"

namespace tidegate::electric::test {
namespace {

using namespace std::chrono_literals;

/// Reads a source on a thread of its own and keeps what it told.
class Listener {
 public:
  explicit Listener(SourceOptions options) : source(electric::source(std::move(options))) {
    source->init({.jitterSeed = 1, .onWarning = [this](const std::string& text) {
                    const std::lock_guard lock(mutex_);
                    warnings_.push_back(text);
                  }});
  }
  ~Listener() { stop(); }
  Position baseline(const std::vector<std::string>& tables) { return source->baseline(tables, handler(), {}); }
  void start(std::vector<std::string> tables, Position from) {
    stop_ = std::stop_source();
    failure_.reset();
    thread_ = std::thread([this, tables, from, token = stop_.get_token()] {
      try {
        source->stream(tables, from, handler(), token);
      } catch (const Error& e) {
        const std::lock_guard lock(mutex_);
        failure_ = e;
        changed_.notify_all();
      }
    });
  }
  void stop() {
    stop_.request_stop();
    if (thread_.joinable()) thread_.join();
  }
  template <class Holds>
  bool await(Holds&& holds) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, 30s, [&] { return holds(events_) || failure_; });
    return holds(events_);
  }
  bool awaitOps(const std::string& wanted) {
    const bool came = await([&](const std::vector<ChangeEvent>& all) { return opsOf(all) == wanted; });
    EXPECT_TRUE(came) << "came: " << opsOf(events()) << (failure_ ? failure_->what() : "");
    return came;
  }
  std::optional<Error> awaitFailure() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, 30s, [&] { return failure_.has_value(); });
    return failure_;
  }
  std::vector<ChangeEvent> events() {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    events_.clear();
  }
  std::vector<std::string> warnings() {
    const std::lock_guard lock(mutex_);
    return warnings_;
  }
  static std::string opsOf(const std::vector<ChangeEvent>& all) {
    std::string text;
    for (const ChangeEvent& event : all) text += std::string(toString(event.op)) + " ";
    return text;
  }

  std::shared_ptr<SyncSource> source;

 private:
  ChangeHandler handler() {
    return [this](ChangeBatch& batch) {
      const std::lock_guard lock(mutex_);
      for (const ChangeEvent& event : batch) events_.push_back(event);
      changed_.notify_all();
      return Taken::yes;
    };
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<ChangeEvent> events_;
  std::vector<std::string> warnings_;
  std::optional<Error> failure_;
  std::stop_source stop_;
  std::thread thread_;
};

TableChange put(const std::string& table, int id, const std::string& label = "x") {
  return {.table = table, .row = {{"id", std::to_string(id)}, {"label", label}, {"amount", "1"}, {"even", "true"}}};
}
TableChange erase(const std::string& table, int id) {
  TableChange change = put(table, id);
  change.op = TableChange::Op::erase;
  return change;
}
std::size_t countIn(const std::vector<std::string>& queries, const std::string& part) {
  std::size_t count = 0;
  for (const std::string& query : queries) count += query.find(part) != std::string::npos ? 1 : 0;
  return count;
}
SourceOptions optionsFor(const FakeElectric& server, std::vector<SourceShape> shapes = {{.table = "a"}}) {
  return {.url = server.url(),
          .shapes = std::move(shapes),
          .backoff = {.firstDelay = 1ms, .maxDelay = 10ms, .maxRetries = UINT32_MAX}};
}

class ElectricSourceTest : public ::testing::TestWithParam<LiveMode> {
 protected:
  FakeElectric server{{worldTable("a"), worldTable("b")}, {.splitEvents = true}};
  SourceOptions options(std::vector<SourceShape> shapes = {{.table = "a"}}) {
    SourceOptions made = optionsFor(server, std::move(shapes));
    made.live = GetParam();
    return made;
  }
  bool awaitWaiting(std::size_t count = 1) {
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    while (server.waiting() < count) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(1ms);
    }
    return true;
  }
};

INSTANTIATE_TEST_SUITE_P(Live, ElectricSourceTest, ::testing::Values(LiveMode::longPoll, LiveMode::events),
                         [](const auto& mode) { return mode.param == LiveMode::events ? "Events" : "LongPolls"; });

TEST_P(ElectricSourceTest, ALostConnectionReplaysNothing) {
  server.commit({put("a", 1)});
  Listener listener(options());
  listener.start({"a"}, listener.baseline({"a"}));
  const std::size_t beginnings = countIn(server.queries(), "offset=-1");
  for (int id = 2; id < 6; ++id) {
    ASSERT_TRUE(awaitWaiting());
    EXPECT_TRUE(server.cut());
    server.commit({put("a", id)});
  }
  listener.awaitOps("baselineBegin read baselineEnd insert insert insert insert ");
  EXPECT_EQ(countIn(server.queries(), "offset=-1"), beginnings) << "the stream is never read from its start again";
}

TEST_P(ElectricSourceTest, AnotherProcessGoesOnWhereTheLastOneWas) {
  server.commit({put("a", 1)});
  std::string place;
  {
    Listener first(options());
    first.start({"a"}, first.baseline({"a"}));
    server.commit({put("a", 2)});
    first.awaitOps("baselineBegin read baselineEnd insert ");
    place = first.source->positionToText(first.events().back().position);
  }
  server.commit({put("a", 3)});
  Listener second(options());
  second.start({"a"}, second.source->positionFromText(place));
  second.awaitOps("insert ");
  EXPECT_TRUE(second.events()[0].after[0] == Value(std::int64_t{3}));
}

TEST_P(ElectricSourceTest, WhatVanishedWithAnEndedLogIsErased) {
  server.commit({put("a", 1), put("a", 2)});
  Listener listener(options());
  listener.start({"a"}, listener.baseline({"a"}));
  ASSERT_TRUE(awaitWaiting());
  listener.clear();
  server.truncate("a");
  listener.awaitOps("baselineBegin baselineEnd ");
  server.commit({put("a", 9)});
  listener.awaitOps("baselineBegin baselineEnd insert ");
  EXPECT_FALSE(listener.warnings().empty());
}

TEST_P(ElectricSourceTest, ALogThatEndedBetweenTwoProcessesIsALostPlace) {
  Position place;
  {
    Listener first(options());
    place = first.baseline({"a"});
  }
  server.rotate("a");
  Listener second(options());
  second.start({"a"}, place);
  const auto failure = second.awaitFailure();
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code(), ErrorCode::positionLost);
  EXPECT_EQ(failure->retry(), Retry::afterOperator);
  EXPECT_EQ(second.source->state(), SourceState::error);
  second.stop();
  second.start({"a"}, second.baseline({"a"}));
  server.commit({put("a", 1)});
  second.awaitOps("baselineBegin baselineEnd insert ");
}

TEST_P(ElectricSourceTest, OneTransactionInTwoTablesStaysOne) {
  Listener listener(options({{.table = "a"}, {.table = "b"}}));
  listener.start({"a", "b"}, listener.baseline({"a", "b"}));
  ASSERT_TRUE(awaitWaiting(2));
  listener.clear();
  server.commit({put("b", 1), put("a", 1), put("b", 2)});
  server.commit({put("a", 2)});
  listener.awaitOps("insert insert insert insert ");
  std::string told;
  for (const ChangeEvent& event : listener.events()) {
    told += (event.transactionBegin ? "<" : "") + event.shape->schema.table + (event.transactionEnd ? "> " : " ");
  }
  EXPECT_EQ(told, "<b a b> <a> ") << "in the order in which they were made";
}

TEST_P(ElectricSourceTest, ATableThatIsSilentHoldsNothingBackForLong) {
  // A server that neither says how far it has come nor lets itself be asked.
  server.options().tellSeen = false;
  SourceOptions made = options({{.table = "a"}, {.table = "b"}});
  made.mergeWait = 50ms;
  Listener listener(std::move(made));
  listener.start({"a", "b"}, listener.baseline({"a", "b"}));
  ASSERT_TRUE(awaitWaiting(2));
  listener.clear();
  server.setScript([](const http::Request& request) -> std::optional<http::Response> {
    const bool probe = request.query.find("cache-buster") != std::string::npos;
    return probe ? std::optional(http::Response{.status = 503}) : std::nullopt;
  });
  server.commit({put("a", 1)});
  listener.awaitOps("insert ");
  EXPECT_EQ(listener.source->state(), SourceState::streaming) << "a probe that fails is no failure of the source";
}

TEST_P(ElectricSourceTest, RefusalsEndTheStreamAndNameTheShape) {
  for (const auto& [status, code] : std::map<int, ErrorCode>{{404, ErrorCode::tableNotFound},
                                                             {410, ErrorCode::tableNotFound},
                                                             {401, ErrorCode::authenticationFailed},
                                                             {403, ErrorCode::permissionDenied}}) {
    SourceOptions made = options();
    made.parameters = {{"secret", "hunter2"}};
    Listener listener(std::move(made));
    const Position at = listener.baseline({"a"});
    server.setScript(
        [status = status](const http::Request&) { return http::Response{.status = status, .body = "no"}; });
    listener.start({"a"}, at);
    const auto failure = listener.awaitFailure();
    ASSERT_TRUE(failure) << status;
    EXPECT_EQ(failure->code(), code) << status;
    EXPECT_NE(failure->message().find("shape \"a\""), std::string::npos);
    EXPECT_EQ(failure->message().find("hunter2"), std::string::npos);
    server.setScript({});
  }
}

TEST_P(ElectricSourceTest, AServerThatIsAwayIsWaitedFor) {
  Listener listener(options());
  listener.start({"a"}, listener.baseline({"a"}));
  ASSERT_TRUE(awaitWaiting());
  std::atomic<int> refused{0};
  server.setScript([&](const http::Request&) -> std::optional<http::Response> {
    ++refused;
    return http::Response{.status = 503, .headers = {{"retry-after", "0"}}};
  });
  server.cut();
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  while (refused < 3 && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(listener.source->state(), SourceState::reconnecting);
  EXPECT_GT(listener.source->lag().time->count(), -1);
  server.setScript({});
  server.commit({put("a", 1)});
  listener.awaitOps("baselineBegin baselineEnd insert ");
}

TEST_P(ElectricSourceTest, AnswersOverTheirBoundAreErrorsThatSaySo) {
  for (int id = 0; id < 50; ++id) server.commit({put("a", id, std::string(100, 'x'))});
  SourceOptions made = options();
  made.maxBodyBytes = 2'000;
  made.backoff = {.firstDelay = 1ms, .maxDelay = 1ms, .maxRetries = 1};
  Listener listener(std::move(made));
  try {
    listener.baseline({"a"});
    ADD_FAILURE() << "it was read";
  } catch (const Error& e) {
    EXPECT_NE(e.message().find("maxBodyBytes"), std::string::npos) << e.message();
    EXPECT_NE(e.message().find("shape \"a\""), std::string::npos);
  }
}

TEST_P(ElectricSourceTest, CredentialsAreAskedForBeforeEachRequest) {
  std::atomic<int> calls{0};
  SourceOptions made = options();
  made.headers = {{"x-tenant", "7"}};
  made.auth = [&] { return http::Headers{{"authorization", "Bearer " + std::to_string(++calls)}}; };
  std::mutex mutex;
  std::vector<std::string> seen;
  server.setScript([&](const http::Request& request) -> std::optional<http::Response> {
    const std::lock_guard lock(mutex);
    seen.emplace_back(request.headers.get("authorization"));
    // The first token has expired: that is tried again, with the next.
    if (request.headers.get("authorization") == "Bearer 1") return http::Response{.status = 401};
    return std::nullopt;
  });
  Listener listener(std::move(made));
  listener.baseline({"a"});
  const std::lock_guard lock(mutex);
  ASSERT_GE(seen.size(), 3u);
  EXPECT_EQ(seen[1], "Bearer 2");
}

TEST_P(ElectricSourceTest, ConditionsColumnsAndModesAreAskedFor) {
  server.addCondition("even = true", [](const TextRow& row) { return row.at("even") == "true"; });
  server.commit({put("a", 1)});
  Listener listener(options({{.table = "a",
                              .name = "evens",
                              .where = "even = true",
                              .columns = {"id", "label"},
                              .replica = ReplicaMode::full}}));
  listener.start({"evens"}, listener.baseline({"evens"}));
  server.commit({put("a", 1, "other")});
  TableChange leaves = put("a", 1, "gone");
  leaves.row["even"] = "false";
  server.commit({leaves});
  listener.awaitOps("baselineBegin read baselineEnd update erase ");
  const auto events = listener.events();
  EXPECT_EQ(events[1].shape->columns->names(), (std::vector<std::string>{"id", "label"}));
  EXPECT_TRUE(events[3].before == (std::vector<Value>{std::int64_t{1}, "x"}));
  EXPECT_TRUE(events[3].after == (std::vector<Value>{std::int64_t{1}, "other"}));
  EXPECT_TRUE(events[4].beforeAbsent.empty()) << "the whole row that left";
}

TEST_P(ElectricSourceTest, ReadingATableIsBounded) {
  for (int id = 0; id < 5; ++id) server.commit({put("a", id)});
  server.commit({erase("a", 3)});
  SourceOptions made = options();
  made.maxReadRows = 4;
  Listener listener(made);
  auto rows = listener.source->readTable("a", {});
  std::size_t count = 0;
  std::vector<Value> row;
  while (rows->next(row)) ++count;
  EXPECT_EQ(count, 4u);
  server.commit({put("a", 10)});
  EXPECT_THROW(listener.source->readTable("a", {}), Error);
}

TEST(ElectricSource, OneShapeIsATotalOrderSeveralAreNot) {
  const auto guarantee = [](std::vector<SourceShape> shapes) {
    return electric::source({.url = "http://127.0.0.1:1/v1/shape", .shapes = std::move(shapes)})->orderingGuarantee();
  };
  EXPECT_EQ(guarantee({{.table = "a"}}), OrderingGuarantee::total);
  EXPECT_EQ(guarantee({{.table = "a"}, {.table = "b"}}), OrderingGuarantee::perTable);
}

}  // namespace
}  // namespace tidegate::electric::test
