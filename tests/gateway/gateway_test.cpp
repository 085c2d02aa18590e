#include "tidegate/gateway/gateway.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "contract/gateway_model.h"
#include "support/manual_clock.h"
#include "tidegate/core/error.h"

namespace tidegate {
namespace {

using test::kBaseMs;
using test::ManualClock;
using ::testing::HasSubstr;

class GatewayTest : public ::testing::Test {
 protected:
  GatewayOptions options() {
    GatewayOptions o;
    o.clock = &clock;
    return o;
  }
  RowDelta delta(DeltaOp op, std::string row, std::vector<ColumnValue> columns, std::int64_t ms,
                 std::string client = "c") {
    return {op,
            "users",
            std::move(row),
            std::move(client),
            std::move(columns),
            Hlc::of(kBaseMs + static_cast<std::uint64_t>(ms)),
            {}};
  }
  PushResult push(Gateway& gateway, std::vector<RowDelta> deltas, PushContext context = {}) {
    return gateway.handlePush({deltas.empty() ? "c" : deltas[0].clientId, deltas, {}}, context);
  }

  ManualClock clock;
};

TEST_F(GatewayTest, GivesBackWhatWasPushed) {
  Gateway gateway(options());
  const PushResult result = push(gateway, {delta(DeltaOp::insert, "1", {{"name", "Ada"}, {"age", 36}}, 0)});
  EXPECT_EQ(result.status, PushStatus::accepted) << result.message;
  EXPECT_EQ(result.applied, 1u);
  const auto row = gateway.row("users", "1");
  ASSERT_TRUE(row);
  EXPECT_EQ(row->columns->names(), (std::vector<std::string>{"name", "age"}));
  EXPECT_TRUE(*row->find("name") == Value("Ada"));
  const PullResult page = gateway.handlePull({"r", {}, 10});
  ASSERT_EQ(page.deltas.size(), 1u);
  EXPECT_EQ(page.deltas[0].deltaId, computeDeltaId(page.deltas[0]));
  EXPECT_EQ(page.serverHlc, result.serverHlc);
  EXPECT_FALSE(page.hasMore);
}

TEST_F(GatewayTest, ALateDeltaWithAnOldStampReachesAClientThatHasPulledPastThatTime) {
  Gateway gateway(options());
  push(gateway, {delta(DeltaOp::insert, "1", {{"a", 1}}, 100)});
  const Hlc since = gateway.handlePull({"r", {}, 10}).serverHlc;
  push(gateway, {delta(DeltaOp::insert, "2", {{"a", 2}}, -50'000)});
  const PullResult page = gateway.handlePull({"r", since, 10});
  ASSERT_EQ(page.deltas.size(), 1u);
  EXPECT_EQ(page.deltas[0].rowId, "2");
}

TEST_F(GatewayTest, RemembersTheIdOfALosingDelta) {
  Gateway gateway(options());
  push(gateway, {delta(DeltaOp::insert, "1", {{"a", 1}}, 100)});
  RowDelta loser = delta(DeltaOp::update, "1", {{"a", 2}}, 50, "d");
  EXPECT_EQ(push(gateway, {loser}).noEffect, 1u);
  const std::size_t entries = gateway.stats().logEntries;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(push(gateway, {loser}).duplicates, 1u);
  EXPECT_EQ(gateway.stats().logEntries, entries);
}

TEST_F(GatewayTest, RefusesAForgedIdAndLeavesEverythingAsItWas) {
  Gateway gateway(options());
  RowDelta victim = delta(DeltaOp::insert, "1", {{"a", 1}}, 0, "honest");
  RowDelta forged = delta(DeltaOp::insert, "9", {{"a", 1}}, 0, "mallory");
  forged.deltaId = computeDeltaId(victim);
  const PushResult result = push(gateway, {delta(DeltaOp::insert, "8", {}, 0, "mallory"), forged});
  EXPECT_EQ(result.status, PushStatus::rejected);
  EXPECT_EQ(result.verdicts[0].verdict, Verdict::notApplied);
  EXPECT_EQ(result.verdicts[1].verdict, Verdict::badId);
  EXPECT_THAT(result.message, HasSubstr("delta 1"));
  EXPECT_FALSE(gateway.row("users", "8"));
  EXPECT_EQ(push(gateway, {victim}).applied, 1u);
}

TEST_F(GatewayTest, RefusesADeltaOfAnotherClientUnlessTheSenderIsTrusted) {
  Gateway gateway(options());
  const SyncPush mixed{"c", {delta(DeltaOp::insert, "1", {{"a", 1}}, 0, "someone else")}, {}};
  EXPECT_EQ(gateway.handlePush(mixed).verdicts[0].verdict, Verdict::wrongClient);
  EXPECT_EQ(gateway.handlePush(mixed, {.trusted = true}).applied, 1u);
}

TEST_F(GatewayTest, ADriftErrorHalfWayAppliesNothing) {
  Gateway gateway(options());
  const Hlc before = gateway.clock().last();
  const PushResult result =
      push(gateway, {delta(DeltaOp::insert, "1", {{"a", 1}}, 0), delta(DeltaOp::insert, "2", {{"a", 1}}, 5'001),
                     delta(DeltaOp::insert, "3", {{"a", 1}}, 0)});
  EXPECT_EQ(result.status, PushStatus::rejected);
  EXPECT_EQ(result.verdicts[1].verdict, Verdict::clockDrift);
  EXPECT_FALSE(gateway.row("users", "1"));
  EXPECT_EQ(gateway.stats().logEntries, 0u);
  EXPECT_EQ(gateway.clock().last(), before);
}

TEST_F(GatewayTest, NamesEachFaultOfAMalformedPush) {
  Gateway gateway(options());
  const auto verdictOf = [&](RowDelta d) {
    const PushResult result = push(gateway, {std::move(d)});
    EXPECT_EQ(result.status, PushStatus::rejected);
    EXPECT_FALSE(result.message.empty());
    return result.verdicts.at(0).verdict;
  };
  RowDelta d = delta(DeltaOp::insert, "1", {{"a", 1}}, 0);
  d.table = "";
  EXPECT_EQ(verdictOf(d), Verdict::invalidName);
  d = delta(DeltaOp::insert, std::string("\xff\xfe"), {}, 0);
  EXPECT_EQ(verdictOf(d), Verdict::invalidName);
  d = delta(DeltaOp::insert, std::string("a\0b", 3), {}, 0);
  EXPECT_EQ(verdictOf(d), Verdict::invalidName);
  EXPECT_EQ(verdictOf(delta(DeltaOp::insert, "1", {{"a", 1}, {"a", 2}}, 0)), Verdict::duplicateColumn);
  EXPECT_EQ(verdictOf(delta(DeltaOp::erase, "1", {{"a", 1}}, 0)), Verdict::eraseWithColumns);
  EXPECT_EQ(verdictOf(delta(DeltaOp::insert, "1", {{std::string(256, 'x'), 1}}, 0)), Verdict::invalidName);
  std::vector<ColumnValue> many;
  for (int i = 0; i < 1'001; ++i) many.push_back({"c" + std::to_string(i), 1});
  EXPECT_EQ(verdictOf(delta(DeltaOp::insert, "1", many, 0)), Verdict::tooManyColumns);
  EXPECT_EQ(verdictOf(delta(DeltaOp::insert, "1", {{"a", std::string(17u << 20, 'x')}}, 0)), Verdict::tooLarge);
  EXPECT_EQ(push(gateway, {delta(DeltaOp::insert, "1", {{"a", 1}}, 0)}).applied, 1u);
}

TEST_F(GatewayTest, RefusesMoreDeltasThanAPushMayHold) {
  GatewayOptions o = options();
  o.limits.maxDeltasPerPush = 2;
  Gateway gateway(o);
  const RowDelta d = delta(DeltaOp::insert, "1", {{"a", 1}}, 0);
  const PushResult result = push(gateway, {d, d, d});
  EXPECT_EQ(result.status, PushStatus::rejected);
  EXPECT_THAT(result.message, HasSubstr("maxDeltasPerPush = 2"));
}

TEST_F(GatewayTest, MeetsAFullBufferWithBackPressureAndChangesNothing) {
  GatewayOptions o = options();
  o.limits.maxBufferBytes = 200'000;
  Gateway gateway(o);
  PushResult result;
  int accepted = 0;
  for (; accepted < 10'000; ++accepted) {
    result = push(gateway, {delta(DeltaOp::insert, std::to_string(accepted), {{"a", std::string(200, 'x')}}, 0)});
    if (result.status != PushStatus::accepted) break;
  }
  EXPECT_EQ(result.status, PushStatus::backPressure);
  EXPECT_THAT(result.message, HasSubstr("maxBufferBytes"));
  EXPECT_GT(accepted, 20);
  EXPECT_LE(gateway.stats().bytes, 220'000u);
  EXPECT_EQ(gateway.stats().rows, static_cast<std::size_t>(accepted));
  EXPECT_FALSE(gateway.row("users", std::to_string(accepted)));
}

TEST_F(GatewayTest, AnEraseAndAnInsertWithoutColumnsShareAnIdButNotTheirFate) {
  Gateway gateway(options());
  RowDelta insert = delta(DeltaOp::insert, "1", {}, 0);
  RowDelta erase = delta(DeltaOp::erase, "1", {}, 0);
  ASSERT_EQ(computeDeltaId(insert), computeDeltaId(erase));
  push(gateway, {insert});
  EXPECT_TRUE(gateway.row("users", "1"));
  EXPECT_EQ(push(gateway, {erase}).applied, 1u);
  EXPECT_FALSE(gateway.row("users", "1"));
}

TEST_F(GatewayTest, KeepsToTheSchemaOfATable) {
  GatewayOptions o = options();
  o.schemas = {{"users", {{"age", ValueKind::int64, true, ""}, {"born", ValueKind::date, true, ""}}, {}}};
  Gateway gateway(o);
  EXPECT_EQ(push(gateway, {delta(DeltaOp::insert, "1", {{"nme", "x"}}, 0)}).verdicts[0].verdict,
            Verdict::schemaMismatch);
  EXPECT_EQ(push(gateway, {delta(DeltaOp::insert, "1", {{"age", "x"}}, 0)}).verdicts[0].verdict,
            Verdict::schemaMismatch);
  EXPECT_EQ(push(gateway, {delta(DeltaOp::insert, "1", {{"age", 7}, {"born", "2024-02-29"}}, 0)}).applied, 1u);
}

TEST_F(GatewayTest, ASchemaGivenLaterJudgesThePushesThatFollow) {
  Gateway gateway(options());
  EXPECT_EQ(push(gateway, {delta(DeltaOp::insert, "1", {{"age", "old"}}, 0)}).status, PushStatus::accepted);
  gateway.setSchema({"users", {{.name = "age", .kind = ValueKind::int64}}, {}});
  const PushResult refused = push(gateway, {delta(DeltaOp::insert, "2", {{"age", "old"}}, 1)});
  EXPECT_EQ(refused.status, PushStatus::rejected);
  EXPECT_EQ(refused.verdicts[0].verdict, Verdict::schemaMismatch);
  gateway.setSchema({"users", {{.name = "age", .kind = ValueKind::text}}, {}});
  EXPECT_EQ(push(gateway, {delta(DeltaOp::insert, "3", {{"age", "old"}}, 2)}).status, PushStatus::accepted);
  EXPECT_EQ(gateway.schemas().size(), 1u);
  EXPECT_THROW(gateway.setSchema({"", {}, {}}), Error);
  EXPECT_THROW(gateway.setSchema({"users", {{.name = "a"}, {.name = "a"}}, {}}), Error);
}

TEST_F(GatewayTest, SaysUpToWhereAClientHoldsTheLog) {
  Gateway gateway(options());
  EXPECT_FALSE(gateway.pulledTo("r"));
  push(gateway, {delta(DeltaOp::insert, "1", {{"a", 1}}, 0)});
  const Hlc given = gateway.handlePull({"r", {}, 10}).serverHlc;
  EXPECT_EQ(gateway.pulledTo("r"), Hlc{}) << "it was given more, and has not shown that it got it";
  gateway.handlePull({"r", given, 10});
  EXPECT_EQ(gateway.pulledTo("r"), given);
  EXPECT_FALSE(gateway.hasStore());
}

TEST_F(GatewayTest, ASubscriptionFollowsTheLogAndEndsWithTheGateway) {
  std::optional<Gateway> gateway(std::in_place, options());
  int ready = 0;
  Subscription subscription = gateway->subscribe({.clientId = "s", .onReady = [&] { ++ready; }});
  EXPECT_FALSE(subscription.next(std::chrono::milliseconds(0)));
  push(*gateway, {delta(DeltaOp::insert, "1", {{"a", 1}}, 0)});
  EXPECT_EQ(ready, 1);
  const auto event = subscription.next(std::chrono::milliseconds(0));
  ASSERT_TRUE(event);
  EXPECT_EQ(event->deltas.size(), 1u);
  EXPECT_EQ(event->serverHlc, gateway->stats().lastHlc);
  gateway.reset();
  EXPECT_TRUE(subscription.next(std::chrono::milliseconds(0))->closed);
}

TEST_F(GatewayTest, ASlowSubscriberIsToldToResync) {
  Gateway gateway(options());
  Subscription subscription = gateway.subscribe({.clientId = "s", .maxQueuedEntries = 3});
  for (int i = 0; i < 4; ++i) push(gateway, {delta(DeltaOp::insert, std::to_string(i), {{"a", 1}}, 0)});
  const auto event = subscription.next(std::chrono::milliseconds(0));
  ASSERT_TRUE(event);
  EXPECT_TRUE(event->mustResync);
  EXPECT_TRUE(subscription.next(std::chrono::milliseconds(0))->closed);
}

TEST_F(GatewayTest, ASnapshotSeesTheStateOfItsMomentWhileRowsChange) {
  Gateway gateway(options());
  for (int i = 0; i < 3'000; ++i) push(gateway, {delta(DeltaOp::insert, std::to_string(i), {{"a", 1}}, 0)});
  GatewaySnapshot snapshot = gateway.snapshot();
  EXPECT_EQ(snapshot.serverHlc(), gateway.stats().lastHlc);
  RowDelta row;
  std::size_t rows = 0;
  while (snapshot.next(row)) {
    if (rows % 100 == 0) {
      push(gateway, {delta(DeltaOp::update, std::to_string(2'999 - rows), {{"a", 2}}, 10),
                     delta(DeltaOp::erase, std::to_string(2'998 - rows), {}, 10),
                     delta(DeltaOp::insert, "new " + std::to_string(rows), {{"a", 3}}, 10)});
    }
    EXPECT_TRUE(row.columns.at(0).value == Value(1)) << row.rowId;
    ++rows;
  }
  EXPECT_EQ(rows, 3'000u);
}

TEST_F(GatewayTest, SnapshotsThatOverlapForEverDoNotKeepEveryOldRow) {
  Gateway gateway(options());
  push(gateway, {delta(DeltaOp::insert, "1", {{"a", std::string(1'000, 'x')}}, 0)});
  std::optional<GatewaySnapshot> older(gateway.snapshot());
  const std::size_t before = gateway.stats().rowBytes;
  for (int i = 1; i <= 200; ++i) {
    push(gateway, {delta(DeltaOp::update, "1", {{"a", std::string(1'000, i % 2 == 0 ? 'x' : 'y')}},
                         static_cast<std::int64_t>(i))});
    GatewaySnapshot newer = gateway.snapshot();
    older.emplace(std::move(newer));
    RowDelta row;
    EXPECT_TRUE(gateway.snapshot().next(row));
  }
  EXPECT_LT(gateway.stats().rowBytes, before + 10'000);
  push(gateway, {delta(DeltaOp::erase, "1", {}, 300)});
  RowDelta row;
  EXPECT_TRUE(older->next(row));
}

}  // namespace
}  // namespace tidegate
