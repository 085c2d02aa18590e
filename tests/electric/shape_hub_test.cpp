#include "electric/detail/shape_hub.h"

#include <gtest/gtest.h>

#include "electric/shape_rig.h"
#include "support/property.h"

namespace tidegate::electric::test {
namespace {

class ShapeHubTest : public ::testing::Test {
 protected:
  void write(const Changes& changes) { hub.commit(changes.events()); }
  std::size_t rowsOf(ShapeClient& client) {
    client.catchUp();
    return client.rows.size();
  }
  tidegate::Shape table = notes();
  ShapeHub hub{{.maxShapes = 8, .maxShapeLogBytes = 20'000}};
};

TEST_F(ShapeHubTest, ATransactionIsOneStepAndItsLastMessageSaysSo) {
  write(Changes(table).insert({1, "ada", "a", 1}));
  ShapeClient client(hub, defined(table));
  client.catchUp();
  write(Changes(table).next(77).insert({2, "ada", "b", 2}).update({1, "ada", "A", 1}).erase(2));
  client.catchUp();
  ASSERT_EQ(client.messages.size(), 3u);
  const auto headers = [&](std::size_t i) { return client.messages[i]["headers"]; };
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(headers(i)["txids"], nlohmann::json::array({77}));
    EXPECT_EQ(headers(i)["lsn"], headers(0)["lsn"]);
    EXPECT_EQ(headers(i)["op_position"], i + 1);
    EXPECT_EQ(headers(i).contains("last"), i == 2);
    EXPECT_EQ(headers(i)["relation"], nlohmann::json::array({"public", "notes"}));
  }
  EXPECT_EQ(client.messages[1]["value"], (nlohmann::json{{"id", "1"}, {"title", "A"}}));
  EXPECT_EQ(client.messages[2]["value"], (nlohmann::json{{"id", "2"}}));
}

TEST_F(ShapeHubTest, RowsThatBeginOrCeaseToMeetTheConditionAreInsertedAndDeleted) {
  write(Changes(table).insert({1, "ada", "a", 1}).insert({2, "bob", "b", 2}));
  ShapeClient client(hub, defined(table, "owner = 'ada'"));
  EXPECT_EQ(rowsOf(client), 1u);
  write(Changes(table).update({2, "ada", "b", 2}).update({1, "bob", "a", 1}));
  client.catchUp();
  ASSERT_EQ(client.messages.size(), 2u);
  EXPECT_EQ(client.messages[0]["headers"]["operation"], "insert");
  EXPECT_EQ(client.messages[0]["value"]["title"], "b");
  EXPECT_EQ(client.messages[1]["headers"]["operation"], "delete");
}

TEST_F(ShapeHubTest, AChangeOfColumnsThatAreNotSentIsNotTold) {
  write(Changes(table).insert({1, "ada", "a", 1}));
  ShapeDefinition some = defined(table);
  some.columns = {0, 2};
  ShapeClient client(hub, some);
  client.catchUp();
  write(Changes(table).update({1, "bob", "a", 7}));
  write(Changes(table).update({1, "bob", "b", 7}));
  client.catchUp();
  ASSERT_EQ(client.messages.size(), 1u);
  EXPECT_EQ(client.messages[0]["value"], (nlohmann::json{{"id", "1"}, {"title", "b"}}));
}

TEST_F(ShapeHubTest, FullReplicasHaveWholeRowsAndTheOldValues) {
  write(Changes(table).insert({1, "ada", "a", 1}));
  ShapeClient client(hub, defined(table, {}, true));
  client.catchUp();
  write(Changes(table).update({1, "ada", nullptr, 2}));
  write(Changes(table).erase(1));
  client.catchUp();
  EXPECT_EQ(client.messages[0]["value"],
            (nlohmann::json{{"id", "1"}, {"owner", "ada"}, {"title", nullptr}, {"rank", "2"}}));
  EXPECT_EQ(client.messages[0]["old_value"], (nlohmann::json{{"title", "a"}, {"rank", "1"}}));
  EXPECT_EQ(client.messages[1]["value"]["owner"], "ada");
}

TEST_F(ShapeHubTest, EqualConditionsAreJudgedOnce) {
  write(Changes(table).insert({1, "ada", "a", 1}));
  std::vector<std::unique_ptr<ShapeClient>> clients;
  for (const bool full : {false, true}) {
    for (const std::uint32_t column : {1u, 2u}) {
      ShapeDefinition one = defined(table, column == 1 ? "rank > 0" : "( rank>0 )", full);
      one.columns = {0, column};
      clients.push_back(std::make_unique<ShapeClient>(hub, one));
      clients.back()->catchUp();
    }
  }
  EXPECT_EQ(hub.stats().shapes, 4u);
  EXPECT_EQ(hub.stats().conditions, 1u);
  const auto before = hub.stats().judged;
  write(Changes(table).update({1, "bob", "b", 1}));
  EXPECT_EQ(hub.stats().judged - before, 2u) << "the row before and after";
}

TEST_F(ShapeHubTest, ConditionsThatAskForAValueAreFoundByIt) {
  ShapeHub wide({.maxShapes = 1'000});
  wide.commit(Changes(table).insert({1, "u0", "a", 1}).events());
  std::vector<std::unique_ptr<ShapeClient>> clients;
  for (int i = 0; i < 500; ++i) {
    clients.push_back(std::make_unique<ShapeClient>(wide, defined(table, "owner = 'u" + std::to_string(i) + "'")));
    clients.back()->catchUp();
  }
  const auto before = wide.stats().judged;
  wide.commit(Changes(table).update({1, "u499", "a", 1}).events());
  EXPECT_LE(wide.stats().judged - before, 4u);
  clients[0]->catchUp();
  clients[499]->catchUp();
  EXPECT_TRUE(clients[0]->rows.empty());
  EXPECT_EQ(clients[499]->rows.size(), 1u);
}

TEST_F(ShapeHubTest, ALogIsBoundedAndWhoIsBehindItFetchesAgainUnderAnotherHandle) {
  write(Changes(table).insert({1, "ada", "a", 0}));
  ShapeClient away(hub, defined(table)), follows(hub, defined(table));
  away.catchUp();
  follows.catchUp();
  const std::string handle = away.shape_->handle;
  for (int i = 0; i < 500; ++i) {
    write(Changes(table).update({1, "ada", "a", i}));
    follows.catchUp();
  }
  EXPECT_LE(hub.stats().logBytes, 20'000u);
  EXPECT_EQ(follows.refetches, 0u);
  const auto reading = hub.read(*away.shape_, away.offset_);
  EXPECT_EQ(reading.kind, ShapeReading::tooOld);
  const std::string renewed = hub.renew(*away.shape_, handle);
  EXPECT_NE(renewed, handle);
  EXPECT_EQ(hub.find(handle, defined(table).identity()).first, follows.shape_) << "others go on with the old one";
  EXPECT_EQ(hub.find(handle, defined(table).identity()).second, renewed) << "and learn of the new one";
  away.catchUp();
  EXPECT_EQ(away.rows.begin()->second["rank"], "499");
}

TEST_F(ShapeHubTest, ALogKeepsTransactionsWhole) {
  hub.prepare(table);
  ShapeClient client(hub, defined(table));
  client.catchUp();
  Changes many(table);
  for (int i = 0; i < 20; ++i)
    many.next(static_cast<std::uint64_t>(i + 1)).insert({i, "a", "b", 1}).update({i, "a", "c", 1});
  write(many);
  const ShapeOffset start = client.offset_;
  for (std::size_t bytes : {1u, 300u, 1'000u}) {
    ShapeOffset at = start;
    std::size_t pieces = 0;
    for (bool complete = false; !complete; ++pieces) {
      detail::LogPiece piece = client.shape_->log.read(at, bytes);
      ASSERT_FALSE(piece.messages.empty());
      EXPECT_NE(piece.messages.back()->find("\"last\":true"), std::string::npos);
      at = piece.end;
      complete = piece.complete;
    }
    EXPECT_GT(pieces, 1u);
  }
}

TEST_F(ShapeHubTest, ShapesThatNobodyAskedForLongestGoFirst) {
  write(Changes(table).insert({1, "ada", "a", 1}));
  std::vector<std::unique_ptr<ShapeClient>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<ShapeClient>(hub, defined(table, "rank <> " + std::to_string(i + 100))));
    clients.back()->catchUp();
    clients[0]->catchUp();
  }
  EXPECT_EQ(hub.stats().shapes, 8u);
  EXPECT_EQ(clients[0]->refetches, 0u) << "it was asked for again and again";
  clients[1]->catchUp();
  EXPECT_EQ(clients[1]->refetches, 1u);
}

TEST_F(ShapeHubTest, ShapesThatAreWaitedForStayAndOthersAreRefused) {
  struct Waiter : detail::ShapeWaiter {
    void wake() override { ++woken; }
    int woken = 0;
  };
  const auto waiter = std::make_shared<Waiter>();
  write(Changes(table).insert({1, "ada", "a", 1}));
  for (int i = 0; i < 8; ++i) {
    ShapeClient client(hub, defined(table, "rank <> " + std::to_string(i + 100)));
    client.catchUp();
    ASSERT_TRUE(hub.wait(*client.shape_, client.offset_, waiter));
  }
  EXPECT_EQ(hub.waiting(), 8u);
  try {
    hub.open(defined(table, "rank = 5"), {});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::backPressure);
    EXPECT_EQ(e.retry(), Retry::later);
  }
  write(Changes(table).update({1, "ada", "a", 2}));
  EXPECT_EQ(waiter->woken, 8);
  EXPECT_EQ(hub.waiting(), 0u);
}

TEST_F(ShapeHubTest, WhoWaitsForWhatIsThereAlreadyIsNotLeftWaiting) {
  struct Silent : detail::ShapeWaiter {
    void wake() override {}
  };
  ShapeClient client(hub, defined(table));
  write(Changes(table).insert({1, "ada", "a", 1}));
  client.catchUp();
  write(Changes(table).insert({2, "ada", "a", 1}));
  EXPECT_FALSE(hub.wait(*client.shape_, client.offset_, std::make_shared<Silent>()));
  client.catchUp();
  const auto waiter = std::make_shared<Silent>();
  EXPECT_TRUE(hub.wait(*client.shape_, client.offset_, waiter));
  hub.cancel(*client.shape_, waiter.get());
  EXPECT_EQ(hub.waiting(), 0u);
}

TEST_F(ShapeHubTest, ATruncateAndAChangeOfColumnsEndTheShapesOfTheirTableAlone) {
  const tidegate::Shape other = notes("sales.others");
  write(Changes(table).insert({1, "ada", "a", 1}));
  write(Changes(other).insert({1, "ada", "a", 1}));
  ShapeClient client(hub, defined(table)), untouched(hub, defined(other));
  client.catchUp();
  untouched.catchUp();
  write(Changes(table).whole(ChangeOp::truncate).insert({5, "ada", "new", 1}));
  client.catchUp();
  EXPECT_EQ(client.refetches, 1u);
  EXPECT_EQ(client.rows.size(), 1u);
  TableSchema wider = table->schema;
  wider.columns.push_back({.name = "extra", .kind = ValueKind::text});
  write(Changes(makeShape(wider)).whole(ChangeOp::schemaChange));
  EXPECT_EQ(hub.read(*client.shape_, client.offset_).kind, ShapeReading::gone);
  EXPECT_EQ(hub.open(defined(table), {}).first, nullptr) << "the definition is of columns that were";
  EXPECT_NE(hub.open(defined(hub.shapeOf("notes")), {}).first, nullptr);
  untouched.catchUp();
  EXPECT_EQ(untouched.refetches, 0u);
}

TEST_F(ShapeHubTest, ALaterBaselineIsToldAsTheDifference) {
  write(Changes(table)
            .whole(ChangeOp::baselineBegin)
            .read({1, "a", "x", 1})
            .read({2, "b", "y", 2})
            .whole(ChangeOp::baselineEnd));
  ShapeClient client(hub, defined(table));
  EXPECT_EQ(rowsOf(client), 2u);
  write(Changes(table).whole(ChangeOp::baselineBegin).read({2, "b", "Y", 2}));
  write(Changes(table).read({3, "c", "z", 3}).whole(ChangeOp::baselineEnd));
  client.catchUp();
  std::vector<std::string> told;
  for (const auto& message : client.messages) {
    told.push_back(message["headers"]["operation"].get<std::string>() + message["value"]["id"].get<std::string>());
  }
  EXPECT_EQ(told, (std::vector<std::string>{"update2", "insert3", "delete1"}));
  EXPECT_EQ(client.refetches, 0u);
}

TEST_F(ShapeHubTest, ATableIsReadyOnceItHasBeenRead) {
  hub.prepare(table);
  EXPECT_FALSE(hub.ready("notes"));
  write(Changes(table).whole(ChangeOp::baselineBegin).read({1, "a", "x", 1}));
  EXPECT_FALSE(hub.ready("notes"));
  write(Changes(table).whole(ChangeOp::baselineEnd));
  EXPECT_TRUE(hub.ready("notes"));
}

TEST_F(ShapeHubTest, ASnapshotStaysAsItWasWhateverIsWritten) {
  write(Changes(table).insert({1, "ada", "a", 1}).insert({2, "bob", "b", 2}));
  const auto shape = hub.open(defined(table), {}).first;
  const auto snapshot = hub.beginSnapshot(*shape);
  write(Changes(table).erase(1).update({2, "bob", "B", 2}));
  EXPECT_EQ(hub.snapshot(*shape, snapshot->id), snapshot);
  Row row;
  std::map<std::int64_t, std::string> titles;
  for (const auto& packed : snapshot->rows) {
    detail::unpackRow(*packed, row);
    titles[row[0].as<std::int64_t>()] = row[2].as<std::string>();
  }
  EXPECT_EQ(titles, (std::map<std::int64_t, std::string>{{1, "a"}, {2, "b"}}));
}

TEST_F(ShapeHubTest, PlacesOfTheDatabasesLogAreKept) {
  ShapeHub placed({.lsnOf = [](const Position& p) { return p.octets.empty() ? 0 : std::stoull(p.octets); }});
  const auto at = [&](const char* lsn, std::uint64_t transaction, Row row) {
    Changes changes(table);
    changes.next(transaction).insert(std::move(row));
    auto events = changes.events();
    events[0].position.octets = lsn;
    placed.commit(events);
  };
  at("1000", 1, {1, "a", "b", 1});
  ShapeClient client(placed, defined(table));
  client.catchUp();
  at("2000", 2, {2, "a", "b", 1});
  at("2000", 3, {3, "a", "b", 1});
  at("", 4, {4, "a", "b", 1});
  at("5000", 5, {5, "a", "b", 1});
  client.catchUp();
  std::vector<std::string> lsns;
  for (const auto& message : client.messages) lsns.push_back(message["headers"]["lsn"]);
  EXPECT_EQ(lsns, (std::vector<std::string>{"2000", "2001", "2002", "5000"})) << "never the same twice, never back";
}

TEST_F(ShapeHubTest, KeysNameTheTableAndEscapeItsSeparators) {
  const tidegate::Shape odd = makeShape({.table = "a.b/c",
                                         .columns = {{.name = "x", .kind = ValueKind::text, .nullable = false},
                                                     {.name = "y", .kind = ValueKind::text, .nullable = false}},
                                         .primaryKey = {"y", "x"}});
  hub.commit(Changes(odd).insert({"1/2", ""}).events());
  ShapeClient client(hub, defined(odd));
  client.catchUp();
  EXPECT_EQ(client.rows.begin()->first, R"("a"."b//c"/""/"1//2")");
}

TEST(ShapeOffset, IsReadAsElectricWritesIt) {
  using detail::parseOffset;
  EXPECT_EQ(parseOffset("26800584_4"), (ShapeOffset{26'800'584, 4}));
  EXPECT_EQ(parseOffset("7_0"), (ShapeOffset{7, detail::kWholeTransaction})) << "all of the transaction";
  EXPECT_EQ(parseOffset("18446744073709551615_1"), (ShapeOffset{UINT64_MAX, 1}));
  for (const char* bad : {"", "_", "7", "7_", "_7", "-1", "7_-1", "7_1x", "x7_1", "18446744073709551616_0", "7_1_1"}) {
    EXPECT_FALSE(parseOffset(bad)) << bad;
  }
  EXPECT_EQ(detail::toText({7, 3}), "7_3");
}

}  // namespace
}  // namespace tidegate::electric::test
