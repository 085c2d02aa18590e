#include "tidegate/sink/gateway_sink.h"

#include <gtest/gtest.h>

#include <functional>

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
  explicit Feed(Gateway& gateway, GatewaySinkOptions options = {}) : sink(gateway, options) {
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
  Feed feed(gateway);
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

GatewayOptions withoutNames() {
  GatewayOptions options;
  options.schemas = {{.table = "people", .columns = {{.name = "id", .kind = ValueKind::int64}}, .primaryKey = {"id"}}};
  return options;
}

void expectNames(const std::function<void()>& work, const std::string& what) {
  try {
    work();
    FAIL() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_EQ(e.retry(), Retry::never);
    EXPECT_NE(e.message().find(what), std::string::npos) << e.what();
  }
}

TEST(GatewaySink, ARefusedDeltaIsAnErrorThatNamesItAndNothingOfItsUnitIsThere) {
  Gateway gateway(withoutNames());
  Feed feed(gateway);
  feed.batch.add(ChangeOp::erase, feedShape()).before = {5, nullptr};
  feed.put({1, "ada"});
  expectNames([&] { feed.commit(); }, "name");
  EXPECT_FALSE(gateway.row("people", "1"));
  EXPECT_EQ(feed.sink.open({.pipeline = "feed"}), std::nullopt);
}

TEST(GatewaySink, AChangeAloneIsRefusedByItsOwnApply) {
  Gateway gateway(withoutNames());
  Feed feed(gateway);
  feed.put({1, "ada"});
  expectNames([&] { feed.sink.apply(feed.batch); }, "name");
}

TEST(GatewaySink, AUnitOfAnySizeIsOnePush) {
  GatewayOptions options;
  options.limits.maxDeltasPerPush = 10;
  Gateway gateway(options);
  Feed feed(gateway);
  for (int i = 0; i < 500; ++i) feed.put({i, "x"});
  feed.batch.add(ChangeOp::truncate, feedShape());
  for (int i = 0; i < 300; ++i) feed.put({i, "y"});
  feed.commit();
  EXPECT_EQ(gateway.stats().pushes, 1u);
  EXPECT_EQ(gateway.stats().rows, 300u);
}

TEST(GatewaySink, ASecondWritersUnitIsRefusedWholeAtTheMomentItIsPushed) {
  Gateway gateway;
  Feed first(gateway);
  first.put({1, "of the first"});
  first.sink.apply(first.batch);
  Feed second(gateway);  // between the first one's apply and its commit
  try {
    first.sink.commit("of the first");
    FAIL() << "it was not fenced off";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::fenced);
    EXPECT_EQ(e.retry(), Retry::afterOperator);
  }
  EXPECT_FALSE(gateway.row("people", "1"));
  EXPECT_EQ(second.sink.open({.pipeline = "feed"}), std::nullopt) << "the first one's checkpoint is not there either";
}

TEST(GatewaySink, AnUnchangedColumnKeepsWhatTheGatewayHasAndANullIsAChange) {
  Gateway gateway;
  const Shape shape = makeShape({.table = "people",
                                 .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                                             {.name = "name", .kind = ValueKind::text},
                                             {.name = "photo", .kind = ValueKind::bytes}},
                                 .primaryKey = {"id"}});
  Feed feed(gateway);
  feed.batch.add(ChangeOp::insert, shape).after = {1, "ada", Bytes{"\x01\x02"}};
  feed.commit();
  ChangeEvent& update = feed.batch.add(ChangeOp::update, shape);
  update.after = {1, nullptr, nullptr};
  update.unchanged = {2};
  ChangeEvent& ofNoRow = feed.batch.add(ChangeOp::update, shape);
  ofNoRow.after = {2, "bob", nullptr};
  ofNoRow.unchanged = {2};
  feed.commit();
  EXPECT_EQ(gateway.row("people", "1")->values, (Values{1, nullptr, Bytes{"\x01\x02"}}));
  EXPECT_FALSE(gateway.row("people", "2")) << "half a row is none";
}

TEST(GatewaySink, ARenameWithinAUnitMovesTheValuesOfBothBeforeAndWithinIt) {
  Gateway gateway;
  const Shape after = makeShape({.table = "people",
                                 .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                                             {.name = "alias", .kind = ValueKind::text}},
                                 .primaryKey = {"id"}});
  Feed feed(gateway);
  feed.put({1, "ada"});
  feed.put({3, "gone by then"});
  feed.commit();
  feed.put({2, "bob"});
  feed.batch.add(ChangeOp::erase, feedShape()).before = {3, nullptr};
  auto change = std::make_shared<SchemaChange>();
  change->before = feedShape();
  change->renamed = {{"name", "alias"}};
  feed.batch.add(ChangeOp::schemaChange, after).schemaChange = change;
  feed.commit();
  EXPECT_EQ(*gateway.row("people", "1")->find("alias"), Value("ada"));
  EXPECT_EQ(*gateway.row("people", "2")->find("alias"), Value("bob"));
  EXPECT_FALSE(gateway.row("people", "3"));
}

}  // namespace
}  // namespace tidegate
