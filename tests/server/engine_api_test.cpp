#include "tidegate/server/engine_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <thread>

#include "server/admin_rig.h"
#include "tidegate/http/sse.h"
#include "tidegate/server/change_feed.h"
#include "tidegate/sink/memory_sink.h"
#include "tidegate/source/test_source.h"

namespace tidegate::server::test {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

/// A sink that refuses rows whose name is "bad", or everything.
class PickySink final : public Sink {
 public:
  SinkTraits traits() const override { return inner.traits(); }
  std::optional<std::string> open(const SinkContext& context) override { return inner.open(context); }
  void prepareTable(const Shape& shape) override { inner.prepareTable(shape); }
  void apply(const ChangeBatch& batch) override {
    for (const ChangeEvent& event : batch) {
      if (event.op == ChangeOp::read) ++rowsRead;
      const bool bad = event.after.size() > 1 && event.after[1] == Value("bad");
      if (bad && refuses) throw Error(ErrorCode::queryFailed, Retry::never, "a bad name password=hunter2");
    }
    inner.apply(batch);
  }
  void commit(std::string_view checkpoint) override { inner.commit(checkpoint); }
  void rollback() noexcept override { inner.rollback(); }
  void close() noexcept override { inner.close(); }

  MemorySink inner;
  std::atomic<bool> refuses{true};
  std::atomic<int> rowsRead{0};  ///< of baselines
};

struct EngineApi : ::testing::Test, AdminRig {
  explicit EngineApi(FailurePolicy policy = FailurePolicy::deadLetter) {
    db->createTable({.table = "users",
                     .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                                 {.name = "name", .kind = ValueKind::text}},
                     .primaryKey = {"id"}});
    db->insert("users", {1, "Ada"});
    engine = std::make_unique<Engine>(
        EngineOptions{.sources = {{.name = "shop", .source = std::make_shared<TestSource>(db)}},
                      .pipelines = {{.name = "replica",
                                     .source = "shop",
                                     .tables = {{.table = "users"}},
                                     .sink = feed->watched(sink),
                                     .commitInterval = 1ms,
                                     .retry = {.attempts = 0},
                                     .onFailure = policy,
                                     .deadLetters = policy == FailurePolicy::deadLetter ? letters : nullptr}},
                      .observer = feed->engineObserver("e1")});
    addEngineApi(api, {{.name = "e1", .engine = engine.get(), .deadLetters = {{"replica", letters}}}});
    addChangeFeed(api, feed);
    serve();
    engine->start();
    EXPECT_TRUE(engine->awaitReady(20s));
  }
  ~EngineApi() override {
    server->stop(0s);
    engine->stop();
  }
  nlohmann::json pipeline() { return ask("GET", "/engines/e1").body["status"]["pipelines"][0]; }
  static void until(const char* what, const std::function<bool()>& holds) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!holds()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "in vain: " << what;
      std::this_thread::yield();
    }
  }

  std::shared_ptr<TestDatabase> db = std::make_shared<TestDatabase>();
  std::shared_ptr<PickySink> sink = std::make_shared<PickySink>();
  std::shared_ptr<DeadLetters> letters = memoryDeadLetters();
  std::shared_ptr<ChangeFeed> feed = std::make_shared<ChangeFeed>(ChangeFeedOptions{.keep = 5});
  std::unique_ptr<Engine> engine;
};

struct IsolatingEngineApi : EngineApi {
  IsolatingEngineApi() : EngineApi(FailurePolicy::isolate) {}
};

TEST_F(EngineApi, ShowsEnginesAndTheirParts) {
  const Told all = ask("GET", "/engines");
  ASSERT_EQ(all.status, 200);
  ASSERT_EQ(all.body["engines"].size(), 1u);
  EXPECT_EQ(all.body["engines"][0]["name"], "e1");
  EXPECT_EQ(all.body["engines"][0]["status"]["sources"][0]["name"], "shop");
  EXPECT_EQ(pipeline()["state"], "streaming");
  EXPECT_EQ(ask("GET", "/engines/none").status, 404);
}

TEST_F(EngineApi, PausesAndResumesWithoutLoss) {
  EXPECT_EQ(ask("POST", "/engines/e1/pause").body["status"]["paused"], true);
  db->insert("users", {2, "Bob"});
  EXPECT_EQ(ask("POST", "/engines/e1/resume").body["status"]["paused"], false);
  until("the row", [&] { return sink->inner.view().count("users") == 2; });
}

TEST_F(EngineApi, ReloadsATableAndNamesWhatItDoesNotKnow) {
  EXPECT_EQ(sink->rowsRead, 1);
  EXPECT_EQ(ask("POST", "/engines/e1/pipelines/replica/reload?table=users").status, 202);
  until("the row, read again", [&] { return sink->rowsRead == 2; });
  EXPECT_TRUE(engine->awaitReady(20s));
  EXPECT_EQ(ask("POST", "/engines/e1/pipelines/replica/reload").status, 400);
  EXPECT_EQ(ask("POST", "/engines/e1/pipelines/replica/reload?table=none").status, 404);
  EXPECT_EQ(ask("POST", "/engines/e1/pipelines/none/reload?table=users").status, 404);
  EXPECT_EQ(ask("POST", "/engines/none/pipelines/replica/retry").status, 404);
}

TEST_F(EngineApi, ListsReplaysRemovesAndPurgesDeadLetters) {
  const std::string path = "/engines/e1/pipelines/replica/dead-letters";
  for (int id = 10; id < 13; ++id) db->insert("users", {id, "bad"});
  until("three letters", [&] { return letters->count("replica") == 3; });
  const Told page = ask("GET", path + "?limit=2");
  ASSERT_EQ(page.body["letters"].size(), 2u) << page.text;
  EXPECT_EQ(page.body["count"], 3);
  const auto& letter = page.body["letters"][0];
  EXPECT_EQ(letter["table"], "users");
  EXPECT_TRUE(letter["event"].is_object()) << letter.dump();
  EXPECT_THAT(page.text, ::testing::Not(HasSubstr("hunter2")));
  const auto last = page.body["letters"][1]["id"].get<std::uint64_t>();
  EXPECT_EQ(ask("GET", path + "?after=" + std::to_string(last)).body["letters"].size(), 1u);

  EXPECT_EQ(ask("DELETE", path + "/" + letter["id"].dump()).body["removed"], 1);
  EXPECT_EQ(ask("DELETE", path + "/" + letter["id"].dump()).status, 404);
  EXPECT_EQ(ask("DELETE", path + "/x").status, 404);
  EXPECT_EQ(ask("POST", path + "/replay").body, nlohmann::json::parse(R"({"replayed":0,"left":2})"));
  sink->refuses = false;
  EXPECT_EQ(ask("POST", path + "/replay").body, nlohmann::json::parse(R"({"replayed":2,"left":0})"));
  EXPECT_EQ(sink->inner.view().count("users"), 3u);

  sink->refuses = true;
  db->insert("users", {20, "bad"});
  until("another letter", [&] { return letters->count("replica") == 1; });
  EXPECT_EQ(ask("DELETE", path).body["removed"], 1);
  EXPECT_EQ(ask("GET", path).body["count"], 0);
  EXPECT_EQ(ask("GET", path + "?limit=0").status, 400);
}

TEST_F(IsolatingEngineApi, BringsAnIsolatedPipelineBack) {
  db->insert("users", {9, "bad"});
  until("isolation", [&] { return pipeline()["state"] == "isolated"; });
  EXPECT_FALSE(pipeline()["lastError"].is_null());
  sink->refuses = false;
  EXPECT_EQ(ask("POST", "/engines/e1/pipelines/replica/retry").status, 202);
  until("the row", [&] { return pipeline()["state"] == "streaming" && sink->inner.view().count("users") == 2; });
}

/// Reads the feed until `enough` says so.
std::vector<http::SseEvent> listened(AdminRig& rig, const std::function<bool(const http::SseEvent&)>& enough,
                                     const std::string& lastId = {}) {
  std::vector<http::SseEvent> out;
  bool done = false;
  http::SseParser parser([&](const http::SseEvent& event) {
    out.push_back(event);
    done = done || enough(event);
  });
  http::ClientRequest request{.method = "GET", .url = rig.server->url() + "/admin/changes"};
  request.headers.add("authorization", "Bearer admin");
  if (!lastId.empty()) request.headers.add("last-event-id", lastId);
  http::Client client;
  try {
    client.stream(
        request, [](const http::Response& head) { return head.status == 200; },
        [&](std::string_view piece) {
          parser.feed(piece);
          return !done;
        });
  } catch (const Error& e) {
    if (e.code() != ErrorCode::queryCancelled) throw;  // we left
  }
  return out;
}

TEST_F(EngineApi, TheFeedShowsCommittedRowsAsTheyComeAndKeepsTheLast) {
  std::jthread writer([&] {
    for (int id = 100; id < 120; ++id) db->insert("users", {id, "x"});
  });
  const auto isLast = [](const http::SseEvent& event) { return event.data.find("id=119") != std::string::npos; };
  const auto live = listened(*this, isLast);
  writer.join();
  EXPECT_EQ(live.back().type, "change");
  const auto change = nlohmann::json::parse(live.back().data);
  EXPECT_EQ(change["what"], "insert");
  EXPECT_EQ(change["table"], "users");
  EXPECT_EQ(change["where"], "replica");

  const auto kept = listened(*this, isLast);
  std::size_t changes = 0;
  for (const auto& event : kept) changes += event.type == "change" ? 1 : 0;
  EXPECT_EQ(changes, 5u) << "as many as are kept, however many there were";
  const auto missed = listened(*this, isLast, kept[kept.size() - 2].id);
  EXPECT_EQ(missed.size(), 1u) << "who comes back gets what it missed";
  EXPECT_EQ(listened(*this, isLast, "999999999").size(), kept.size()) << "an id of another process is none of ours";
}

TEST_F(EngineApi, TheFeedTellsNoChangeThatWasRolledBackAndNoSecret) {
  db->insert("users", {7, "bad"});
  until("the letter", [&] { return letters->count("replica") == 1; });
  db->insert("users", {8, "good"});
  until("the row", [&] { return sink->inner.view().count("users") == 2; });
  bool told = false;
  for (const FeedEntry& entry : feed->since(0)) {
    EXPECT_NE(entry.key, "id=7");
    EXPECT_EQ(entry.text.find("hunter2"), std::string::npos) << entry.text;
    told = told || (entry.what == "dead letter" && entry.where == "e1/replica");
  }
  EXPECT_TRUE(told);
}

TEST(ChangeFeed, HidesASecretThatItsTextIsCutIn) {
  ChangeFeed feed;
  for (std::size_t before = 1'960; before <= 2'000; ++before) {
    feed.note("host", "long", std::string(before, 'x') + " postgresql://app:hunter2hunter2@db/x");
  }
  const auto entries = feed.since(0);
  EXPECT_EQ(entries.size(), 41u);
  for (const FeedEntry& entry : entries) {
    EXPECT_LE(entry.text.size(), 2'000u);
    EXPECT_EQ(entry.text.find("hunter"), std::string::npos) << entry.text.substr(1'950);
  }
}

TEST(ChangeFeed, LetsOnlySoManyListen) {
  AdminRig rig;
  const auto feed = std::make_shared<ChangeFeed>(ChangeFeedOptions{.listeners = 1});
  addChangeFeed(rig.api, feed);
  rig.serve();
  feed->note("host", "hello", "token=abc password=hunter2");
  int second = 0;
  const auto events = listened(rig, [&](const http::SseEvent&) {
    second = rig.ask("GET", "/admin/changes").status;
    return true;
  });
  EXPECT_EQ(second, 503);
  EXPECT_THAT(events.at(0).data, ::testing::Not(HasSubstr("hunter2")));
  // Once the first has gone there is room again.
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  for (bool again = false; !again;) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    try {
      again = !listened(rig, [](const http::SseEvent&) { return true; }).empty();
    } catch (const Error&) {
    }
  }
  rig.server->stop(0s);
}

TEST(EngineApiNames, MustBeNamesAndUnique) {
  Engine engine(EngineOptions{});
  for (const auto& engines : std::vector<std::vector<AdministeredEngine>>{
           {{.name = "a/b", .engine = &engine}},
           {{.name = "", .engine = &engine}},
           {{.name = "a"}},
           {{.name = "a", .engine = &engine}, {.name = "a", .engine = &engine}}}) {
    Api api;
    EXPECT_THROW(addEngineApi(api, engines), Error);
  }
}

}  // namespace
}  // namespace tidegate::server::test
