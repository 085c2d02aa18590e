#include "tidegate/sink/gateway_sink.h"

#include <gtest/gtest.h>

namespace tidegate {
namespace {

using Values = std::vector<Value>;

const Shape& feedShape() {
  static const Shape shape = makeShape({.table = "people",
                                        .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                                                    {.name = "name", .kind = ValueKind::text}},
                                        .primaryKey = {"id"}});
  return shape;
}

struct Feed {
  explicit Feed(Gateway& gateway, GatewaySinkOptions options = {}) : sink(gateway, std::move(options)) {
    sink.open({.pipeline = "feed"});
    sink.prepareTable(feedShape());
  }
  void put(Values row) { batch.add(ChangeOp::insert, feedShape()).after = std::move(row); }
  void commit() {
    sink.apply(batch);
    batch.clear();
    sink.commit("p");
  }
  GatewaySink sink;
  ChangeBatch batch;
};

void edit(Gateway& gateway, const std::string& rowId, const std::string& name) {
  RowDelta delta{.op = DeltaOp::insert,
                 .table = "people",
                 .rowId = rowId,
                 .clientId = "phone",
                 .columns = {{"name", name}},
                 .hlc = gateway.clock().now()};
  delta.deltaId = computeDeltaId(delta);
  ASSERT_EQ(gateway.handlePush({.clientId = "phone", .deltas = {delta}}).status, PushStatus::accepted);
}

TEST(GatewaySink, ClientsReceiveWhatTheSourceChanged) {
  Gateway gateway;
  Feed feed(gateway);
  feed.put({1, "ada"});
  feed.put({2, "bob"});
  feed.commit();
  const PullResult page = gateway.handlePull({.clientId = "phone"});
  ASSERT_EQ(page.deltas.size(), 2u);
  EXPECT_EQ(page.deltas[0].rowId, "1");
  EXPECT_EQ(page.deltas[0].clientId, "ingest:feed");
  feed.put({1, "ada"});
  feed.put({2, "Bob"});
  feed.commit();
  const PullResult next = gateway.handlePull({.clientId = "phone", .sinceHlc = page.serverHlc});
  ASSERT_EQ(next.deltas.size(), 1u) << "a row that did not change is silent";
  EXPECT_EQ(next.deltas[0].columns, (std::vector<ColumnValue>{{"name", "Bob"}}));
}

TEST(GatewaySink, ATruncateTakesTheSourcesRowsAndLeavesThoseOfClients) {
  Gateway gateway;
  Feed feed(gateway);
  feed.put({1, "ada"});
  feed.put({2, "bob"});
  feed.commit();
  edit(gateway, "2", "edited on a phone");
  edit(gateway, "99", "made on a phone");
  feed.batch.add(ChangeOp::truncate, feedShape());
  feed.commit();
  EXPECT_FALSE(gateway.row("people", "1"));
  EXPECT_FALSE(gateway.row("people", "2"));
  EXPECT_TRUE(gateway.row("people", "99"));
}

TEST(GatewaySink, TheKeyMayStayInTheRowIdAlone) {
  Gateway gateway;
  Feed feed(gateway, {.keyColumns = false});
  feed.put({1, "ada"});
  feed.commit();
  EXPECT_EQ(gateway.row("people", "1")->columns->names(), std::vector<std::string>{"name"});
  EXPECT_THROW(feed.sink.readTable(feedShape(), {}), Error);
}

TEST(GatewaySink, BackPressureLosesNothing) {
  GatewayOptions options;
  options.limits.maxBufferBytes = 1u << 20;
  Gateway gateway(options);
  Feed feed(gateway, {.pushDeltas = 50});
  int accepted = 0;
  for (bool full = false; !full; ++accepted) {
    ASSERT_LT(accepted, 1'000);
    for (int i = 0; i < 100; ++i) feed.put({accepted * 100 + i, std::string(1'000, 'x')});
    feed.sink.apply(feed.batch);
    feed.batch.clear();
    try {
      feed.sink.commit(std::to_string(accepted));
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::backPressure) << e.what();
      EXPECT_EQ(e.retry(), Retry::later);
      full = true;
    }
  }
  ASSERT_GT(accepted, 1);
  EXPECT_EQ(feed.sink.open({.pipeline = "feed"}), std::to_string(accepted - 2));
}

TEST(GatewaySink, ARefusedDeltaIsAnErrorThatNamesIt) {
  GatewayOptions options;
  options.schemas = {{.table = "people", .columns = {{.name = "id", .kind = ValueKind::int64}}, .primaryKey = {"id"}}};
  Gateway gateway(options);
  Feed feed(gateway);
  feed.put({1, "ada"});
  try {
    feed.commit();
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.retry(), Retry::never);
    EXPECT_NE(e.message().find("name"), std::string::npos) << e.what();
  }
  EXPECT_FALSE(gateway.row("people", "1"));
}

}  // namespace
}  // namespace tidegate
