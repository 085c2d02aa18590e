#include "tidegate/gateway/delta_buffer.h"

#include <gtest/gtest.h>

#include "contract/gateway_model.h"
#include "support/manual_clock.h"

namespace tidegate {
namespace {

using test::applyTo;
using test::DeltaMaker;
using test::forEachSeed;
using test::kBaseMs;
using test::LwwModel;
using test::ManualClock;
using test::ModelView;
using test::Random;
using test::sameView;

RowDelta insertOf(int i, std::string table = "users") {
  return {DeltaOp::insert, std::move(table), std::to_string(i), "c", {{"a", i}}, Hlc::of(kBaseMs), {}};
}

TEST(DeltaBuffer, ItsLogReplayedInPagesIsItsStateAndThePlainModels) {
  forEachSeed(1'000, [](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    DeltaBuffer buffer({.clock = &clock});
    DeltaMaker maker{random};
    LwwModel model;
    for (int i = 0; i < 10; ++i) {
      std::vector<RowDelta> deltas;
      for (std::uint64_t n = random.below(5); n > 0; --n) deltas.push_back(maker.make(random.chance(50) ? "x" : "y"));
      ASSERT_EQ(buffer.append(deltas).status, PushStatus::accepted);
      for (const RowDelta& delta : deltas) model.add(delta);
    }
    ModelView replica;
    DeltaBuffer::Page page;
    do {
      page = buffer.read(page.next, 1 + random.below(4));
      ASSERT_TRUE(page.reachesBack);
      applyTo(replica, page.deltas);
    } while (page.hasMore);
    ASSERT_TRUE(sameView(replica, model.view()));
    for (const auto& [key, row] : replica) ASSERT_EQ(buffer.row(key.first, key.second)->values.size(), row.size());
  });
}

TEST(DeltaBuffer, RefusesAppendsOverTheByteLimit) {
  DeltaBuffer buffer({.maxBytes = 100'000});
  EXPECT_EQ(buffer.append(std::vector<RowDelta>(2'000, insertOf(1))).status, PushStatus::backPressure);
  EXPECT_FALSE(buffer.row("users", "1"));
}

TEST(DeltaBuffer, KeepsTheLogWithinEntriesAgeAndBytes) {
  ManualClock clock;
  DeltaBuffer byEntries({.retention = {.maxLogEntries = 3}, .clock = &clock});
  DeltaBuffer byAge({.retention = {.maxLogAge = std::chrono::seconds(5)}, .clock = &clock});
  DeltaBuffer byBytes({.retention = {.maxLogBytes = 500}, .clock = &clock});
  for (int i = 0; i < 20; ++i) {
    clock.advance(std::chrono::seconds(1));
    for (DeltaBuffer* buffer : {&byEntries, &byAge, &byBytes}) buffer->append(std::vector{insertOf(i)});
  }
  EXPECT_EQ(byEntries.stats().logEntries, 3u);
  EXPECT_FALSE(byEntries.read({}, 10).reachesBack);
  EXPECT_GE(byAge.stats().logEntries, 5u);
  EXPECT_LE(byAge.stats().logEntries, 6u);
  EXPECT_LE(byBytes.stats().logBytes, 500u);
  EXPECT_GE(byBytes.stats().logEntries, 4u);
  for (DeltaBuffer* buffer : {&byEntries, &byAge, &byBytes}) EXPECT_EQ(buffer->stats().rows, 20u);
  clock.advance(std::chrono::hours(1));
  EXPECT_GE(byAge.trim(), 5u);
  EXPECT_EQ(byAge.stats().logEntries, 0u);
}

TEST(DeltaBuffer, PurgesATableFromRowsAndLog) {
  DeltaBuffer buffer;
  buffer.append(std::vector{insertOf(1), insertOf(2, "orders")});
  const Hlc since = buffer.read({}, 10).next;
  EXPECT_EQ(buffer.purgeTable("users"), 1u);
  EXPECT_EQ(buffer.purgeTable("unheard of"), 0u);
  EXPECT_FALSE(buffer.row("users", "1"));
  EXPECT_FALSE(buffer.read(since, 10).reachesBack);
  const DeltaBuffer::Page page = buffer.read({}, 10);
  ASSERT_EQ(page.deltas.size(), 1u);
  EXPECT_EQ(page.deltas[0].table, "orders");
}

TEST(DeltaBuffer, KeepsTombstonesForTheClientsItWasToldOf) {
  ManualClock clock;
  DeltaBuffer buffer({.retention = {.tombstoneRetention = std::chrono::hours(1)}, .clock = &clock});
  buffer.append(std::vector{insertOf(1)});
  RowDelta erase = insertOf(1);
  erase.op = DeltaOp::erase;
  erase.columns.clear();
  erase.hlc.raw += 1;
  buffer.append(std::vector{erase});
  clock.advance(std::chrono::hours(2));
  buffer.noteClient("slow", Hlc{1});
  buffer.trim();
  EXPECT_EQ(buffer.stats().tombstones, 1u);
  EXPECT_TRUE(buffer.purgeClient("slow"));
  buffer.trim();
  EXPECT_EQ(buffer.stats().tombstones, 0u);
}

}  // namespace
}  // namespace tidegate
