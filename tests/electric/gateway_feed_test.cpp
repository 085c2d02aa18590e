#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "electric/detail/feed_impl.h"
#include "tidegate/core/error.h"
#include "tidegate/electric/shape_feed.h"
#include "tidegate/electric/shape_server.h"
#include "tidegate/http/client.h"
#include "tidegate/http/server.h"

namespace tidegate::electric {
namespace {

TableSchema tasks() {
  return {.table = "tasks",
          .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                      {.name = "owner", .kind = ValueKind::text},
                      {.name = "title", .kind = ValueKind::text}},
          .primaryKey = {"id"}};
}

void write(Gateway& gateway, DeltaOp op, std::int64_t id, std::vector<ColumnValue> columns = {}) {
  if (op == DeltaOp::insert) columns.push_back({"id", id});
  SyncPush push{.clientId = "writer",
                .deltas = {{.op = op,
                            .table = "tasks",
                            .rowId = std::to_string(id),
                            .clientId = "writer",
                            .columns = std::move(columns),
                            .hlc = gateway.clock().now()}}};
  ASSERT_EQ(gateway.handlePush(push, {.trusted = true}).status, PushStatus::accepted);
}

/// A feed behind a server, asked by plain requests.
class Served {
 public:
  explicit Served(std::shared_ptr<ShapeFeed> feed) : shapes(std::move(feed)), server({}, shapes.handler()) {
    server.onStopping([this] { shapes.finish(); });
    server.start();
  }
  ~Served() { server.stop(std::chrono::seconds(5)); }
  http::Response get(const std::string& query) {
    return client.perform({.url = server.url() + "/v1/shape?table=tasks&" + query});
  }
  std::string rows() { return get("offset=-1").body; }
  ShapeServer shapes;
  http::Server server;
  http::Client client;
};

std::size_t count(std::string_view text, std::string_view what) {
  std::size_t n = 0;
  for (std::size_t at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++n;
  return n;
}

TEST(GatewayFeed, ServesWhatTheClaimsMaySee) {
  Gateway gateway({.rules = SyncRules::parse(R"({"version": 1, "buckets": [{"name": "own", "tables": ["tasks"],
                     "filters": [{"column": "owner", "op": "eq", "value": "jwt:sub"}]}]})")});
  write(gateway, DeltaOp::insert, 1, {{"owner", "ada"}, {"title", "hers"}});
  write(gateway, DeltaOp::insert, 2, {{"owner", "bob"}, {"title", "his"}});
  Served ada(gatewayFeed(gateway, {.tables = {tasks()}, .claims = {{"sub", {"ada"}}}, .clientId = "feed-ada"}));
  Served nobody(gatewayFeed(gateway, {.tables = {tasks()}, .clientId = "feed-nobody"}));
  EXPECT_NE(ada.rows().find("hers"), std::string::npos);
  EXPECT_EQ(ada.rows().find("his"), std::string::npos);
  EXPECT_EQ(nobody.rows(), "[]");
  const std::string place = "handle=" + std::string(ada.get("offset=now").headers.get("electric-handle")) +
                            "&offset=" + std::string(ada.get("offset=now").headers.get("electric-offset"));
  write(gateway, DeltaOp::update, 2, {{"owner", "ada"}});
  write(gateway, DeltaOp::update, 1, {{"owner", "bob"}});
  const std::string changes = ada.get(place).body;
  EXPECT_NE(changes.find(R"("id":"2","owner":"ada","title":"his"},"headers":{"operation":"insert")"), std::string::npos)
      << changes;
  EXPECT_NE(changes.find(R"("value":{"id":"1"},"headers":{"operation":"delete")"), std::string::npos) << changes;
}

TEST(GatewayFeed, TransactionsAreNumberedByTheGatewaysStamps) {
  Gateway gateway;
  Served served(gatewayFeed(gateway, {.tables = {tasks()}}));
  const auto now = served.get("offset=now");
  write(gateway, DeltaOp::insert, 1, {{"title", "a"}});
  const Hlc stamp = gateway.stats().lastHlc;
  const auto body = served
                        .get("handle=" + std::string(now.headers.get("electric-handle")) +
                             "&offset=" + std::string(now.headers.get("electric-offset")))
                        .body;
  EXPECT_NE(body.find("\"lsn\":\"" + std::to_string(stamp.raw) + "\""), std::string::npos) << body;
  EXPECT_NE(body.find("\"txids\":[" + std::to_string(transactionIdOf(stamp)) + "]"), std::string::npos) << body;
  EXPECT_LT(transactionIdOf(stamp), std::uint64_t{1} << 53) << "JavaScript holds it";
}

TEST(GatewayFeed, AGatewayThatForgotItsLogIsReadAnewAndTheDifferenceTold) {
  Gateway gateway({.retention = {.maxLogEntries = 10}});
  for (int i = 0; i < 5; ++i) write(gateway, DeltaOp::insert, i, {{"title", "before"}});
  Served served(gatewayFeed(gateway, {.tables = {tasks()}}));
  const auto now = served.get("offset=now");
  for (int round = 0; round < 30; ++round) write(gateway, DeltaOp::update, 1, {{"title", std::to_string(round)}});
  write(gateway, DeltaOp::erase, 2);
  write(gateway, DeltaOp::insert, 9, {{"title", "new"}});
  gateway.enforceRetention();
  const auto changes = served.get("handle=" + std::string(now.headers.get("electric-handle")) +
                                  "&offset=" + std::string(now.headers.get("electric-offset")));
  EXPECT_EQ(changes.status, 200);
  EXPECT_EQ(count(changes.body, "\"operation\""), 3u) << changes.body;
  EXPECT_NE(changes.body.find(R"("title":"29")"), std::string::npos) << changes.body;
  EXPECT_EQ(count(served.rows(), "\"operation\""), 5u);
}

TEST(GatewayFeed, OtherTablesColumnsAndRowsWithoutAKeyAreLeftOut) {
  Gateway gateway;
  Served served(gatewayFeed(gateway, {.tables = {tasks()}}));
  SyncPush push{.clientId = "writer"};
  const auto add = [&](std::string table, std::string rowId, std::vector<ColumnValue> columns) {
    push.deltas.push_back({.op = DeltaOp::insert,
                           .table = std::move(table),
                           .rowId = std::move(rowId),
                           .clientId = "writer",
                           .columns = std::move(columns),
                           .hlc = gateway.clock().now()});
  };
  add("others", "1", {{"title", "elsewhere"}});
  add("tasks", "not a number", {{"title", "odd"}});
  add("tasks", "3", {{"title", "fine"}, {"unknown", "left out"}});
  ASSERT_EQ(gateway.handlePush(push, {.trusted = true}).status, PushStatus::accepted);
  const std::string rows = served.rows();
  EXPECT_EQ(count(rows, "\"operation\""), 1u) << rows;
  EXPECT_NE(rows.find(R"({"id":"3","owner":null,"title":"fine"})"), std::string::npos) << rows;
  EXPECT_EQ(served.get("offset=-1&where=unknown%20IS%20NULL").status, 400);
}

TEST(GatewayFeed, NeedsTablesWithKeys) {
  Gateway gateway;
  EXPECT_THROW(gatewayFeed(gateway, {}), Error);
  TableSchema keyless = tasks();
  keyless.primaryKey.clear();
  EXPECT_THROW(gatewayFeed(gateway, {.tables = {keyless}}), Error);
  EXPECT_THROW(gatewayFeed(gateway, {.tables = {tasks(), tasks()}}), Error);
  EXPECT_THROW(gatewayFeed(gateway, {.tables = {tasks()}, .feed = {.maxShapes = 0}}), Error);
}

TEST(GatewayFeed, WorkIsDoneWhereTheHostSays) {
  Gateway gateway;
  std::vector<std::function<void()>> work;
  const auto feed = gatewayFeed(
      gateway, {.tables = {tasks()}, .run = [&](std::function<void()> w) { work.push_back(std::move(w)); }});
  Served served(feed);
  const auto now = served.get("offset=now");
  const std::string place = "live=true&handle=" + std::string(now.headers.get("electric-handle")) +
                            "&offset=" + std::string(now.headers.get("electric-offset"));
  std::jthread reader([&] {
    const auto answer = served.get(place);
    EXPECT_NE(answer.body.find("waited for"), std::string::npos) << answer.body;
  });
  // A request that came after the change would be answered at once, and no work would be left to anybody.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (feed->stats().waiting == 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  write(gateway, DeltaOp::insert, 1, {{"title", "waited for"}});
  EXPECT_FALSE(work.empty());
  for (const auto& w : work) w();
}

TEST(GatewayFeed, WritersAndReadersOnManyThreadsMissNothing) {
  Gateway gateway;
  const auto feed = gatewayFeed(gateway, {.tables = {tasks()}});
  Served served(feed);
  constexpr int kWriters = 3, kEach = 60;
  std::atomic<int> finished{0};
  std::vector<std::jthread> threads;
  for (int w = 0; w < kWriters; ++w) {
    threads.emplace_back([&, w] {
      for (int i = 0; i < kEach; ++i) write(gateway, DeltaOp::insert, w * kEach + i, {{"title", "x"}});
    });
  }
  for (int r = 0; r < 3; ++r) {
    threads.emplace_back([&] {
      http::Client client;
      const auto get = [&](const std::string& query) {
        return client.perform({.url = served.server.url() + "/v1/shape?table=tasks&" + query});
      };
      auto answer = get("offset=-1");
      std::size_t rows = count(answer.body, "\"insert\"");
      while (rows < kWriters * kEach) {
        answer = get("live=true&handle=" + std::string(answer.headers.get("electric-handle")) +
                     "&offset=" + std::string(answer.headers.get("electric-offset")));
        ASSERT_EQ(answer.status, 200) << answer.body;
        rows += count(answer.body, "\"insert\"");
      }
      EXPECT_EQ(rows, std::size_t{kWriters * kEach});
      ++finished;
    });
  }
  threads.clear();
  EXPECT_EQ(finished, 3);
  EXPECT_EQ(feed->stats().waiting, 0u);
}

}  // namespace
}  // namespace tidegate::electric
