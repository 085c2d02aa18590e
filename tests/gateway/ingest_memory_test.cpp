/// Law 4.7 and decision 4: what an ingest sender says again is no change.
#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "contract/gateway_model.h"
#include "support/manual_clock.h"

namespace tidegate {
namespace {

using test::DeltaMaker;
using test::forEachSeed;
using test::kBaseMs;
using test::ManualClock;
using test::ModelRow;
using test::ModelView;
using test::Random;
using test::RowKey;
using test::sameView;
using test::show;
using test::stateOf;

constexpr PushContext kIngest{.trusted = true, .ingest = true};
constexpr PushContext kTrusted{.trusted = true, .ingest = false};

/// Plain last-writer-wins, with a notebook of what the one ingest sender last brought for each column.
class IngestModel {
 public:
  void client(const RowDelta& d) { write(d); }

  void ingest(RowDelta d) {
    Row& row = rows_[{d.table, d.rowId}];
    if (d.op == DeltaOp::erase) {
      row.brought.clear();
      write(d);
      return;
    }
    std::vector<ColumnValue> changed;
    for (const ColumnValue& c : d.columns) {
      const auto brought = row.brought.find(c.column);
      const auto held = row.columns.find(c.column);
      const Value* last = brought != row.brought.end() ? &brought->second
                          : held != row.columns.end()  ? &held->second.value
                                                       : nullptr;
      if (last != nullptr && sameValue(*last, c.value)) {
        row.brought.emplace(c.column, c.value);
        continue;
      }
      row.brought[c.column] = c.value;
      changed.push_back(c);
    }
    if (changed.empty()) return;
    if (row.visible()) d.op = DeltaOp::update;
    d.columns = changed;
    write(d);
  }

  ModelView view() const {
    ModelView all;
    for (const auto& [key, row] : rows_) {
      if (!row.visible()) continue;
      ModelRow& to = all[key];
      for (const auto& [column, held] : row.columns) to[column] = held.value;
    }
    return all;
  }

 private:
  using At = std::pair<std::uint64_t, std::string>;
  struct Held {
    At at;
    Value value;
  };
  struct Row {
    At inserted, erased;
    std::map<std::string, Held> columns;
    std::map<std::string, Value> brought;
    bool visible() const { return inserted > erased || !columns.empty(); }
  };

  void write(const RowDelta& d) {
    Row& row = rows_[{d.table, d.rowId}];
    const At at{d.hlc.raw, d.clientId};
    if (d.op == DeltaOp::erase) {
      row.erased = std::max(row.erased, at);
      std::erase_if(row.columns, [&](const auto& entry) { return entry.second.at <= row.erased; });
      return;
    }
    if (d.op == DeltaOp::insert) row.inserted = std::max(row.inserted, at);
    if (at <= row.erased) return;
    for (const ColumnValue& c : d.columns) {
      const auto held = row.columns.find(c.column);
      if (held == row.columns.end() || held->second.at < at) row.columns[c.column] = {at, c.value};
    }
  }

  std::map<RowKey, Row> rows_;
};

TEST(IngestMemory, AgreesWithAPlainNotebookOfWhatTheSenderLastBrought) {
  forEachSeed(2'000, [](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    GatewayOptions options;
    options.clock = &clock;
    Gateway gateway(options);
    IngestModel model;
    DeltaMaker maker{random, {"users"}, {"1", "2"}, {"a", "b", "owner"}, 2'000};
    std::uint64_t now = kBaseMs - 1'000;
    std::uint64_t unique = 0;  // no two clients' deltas share a stamp: ties are checked elsewhere
    for (int i = 0; i < 40; ++i) {
      now += 1 + random.below(50);
      RowDelta d = maker.make(random.chance(50) ? "x" : "y");
      if (random.chance(50)) {
        d.clientId = "ingest:shop";
        d.hlc = Hlc::of(now, 60'000);
        if (d.op != DeltaOp::erase && d.columns.empty()) continue;
        gateway.handlePush({"ingest:shop", {d}, {}}, kIngest);
        model.ingest(d);
      } else {
        d.hlc.raw = (d.hlc.raw & ~std::uint64_t{0xFFFF}) | ++unique;
        gateway.handlePush({"host", {d}, {}}, kTrusted);
        model.client(d);
      }
      const ModelView got = stateOf(gateway.snapshot());
      ASSERT_TRUE(sameView(got, model.view())) << "step " << i << " " << toJson(d) << "\ngateway\n"
                                               << show(got) << "model\n"
                                               << show(model.view());
    }
  });
}

TEST(IngestMemory, APollerThatRestartsAndReadsEverythingAgainAddsNothing) {
  forEachSeed(1'000, [](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    GatewayOptions options;
    options.clock = &clock;
    Gateway gateway(options);
    DeltaMaker maker{random, {"users"}, {"1", "2", "3"}, {"a", "b"}, 500};
    std::map<std::string, ModelRow> source;
    const auto bring = [&](const std::string& rowId) {
      RowDelta d{DeltaOp::insert, "users", rowId, "ingest:shop", {}, gateway.clock().now(), {}};
      for (const auto& [column, value] : source[rowId]) d.columns.push_back({column, value});
      gateway.handlePush({"ingest:shop", {d}, {}}, kIngest);
    };
    for (int i = 0; i < 20; ++i) {
      clock.advance(std::chrono::milliseconds(random.below(20)));
      const std::string rowId = random.pick(maker.rows);
      if (random.chance(60)) {
        for (const std::string& column : maker.columns) source[rowId][column] = maker.value(column);
        bring(rowId);
      } else {
        RowDelta d = maker.make("phone");
        d.hlc = Hlc::of(kBaseMs + random.below(300));
        gateway.handlePush({"phone", {d}, {}});
      }
    }
    const GatewayStats before = gateway.stats();
    const ModelView state = stateOf(gateway.snapshot());
    for (int again = 0; again < 2; ++again) {
      for (const auto& [rowId, row] : source) bring(rowId);
    }
    ASSERT_EQ(gateway.stats().lastHlc, before.lastHlc);
    ASSERT_TRUE(sameView(stateOf(gateway.snapshot()), state));
  });
}

class IngestMemoryTest : public ::testing::Test {
 protected:
  IngestMemoryTest() : gateway(options()) {}
  GatewayOptions options() {
    GatewayOptions o;
    o.clock = &clock;
    o.retention.tombstoneRetention = std::chrono::minutes(1);
    return o;
  }
  PushResult bring(std::vector<ColumnValue> columns, std::string sender = "ingest:a", DeltaOp op = DeltaOp::insert) {
    clock.advance(std::chrono::milliseconds(1));
    return gateway.handlePush({sender, {{op, "t", "1", sender, std::move(columns), gateway.clock().now(), {}}}, {}},
                              kIngest);
  }
  PushResult edit(std::vector<ColumnValue> columns, DeltaOp op = DeltaOp::update) {
    clock.advance(std::chrono::milliseconds(1));
    return gateway.handlePush({"app", {{op, "t", "1", "app", std::move(columns), gateway.clock().now(), {}}}, {}});
  }
  Value valueOf(const char* column) { return *gateway.row("t", "1")->find(column); }

  ManualClock clock;
  Gateway gateway;
};

TEST_F(IngestMemoryTest, ARepetitionDoesNotOverwriteAClientsEditButAChangeDoes) {
  bring({{"a", 1}});
  edit({{"a", 2}});
  EXPECT_EQ(bring({{"a", 1}}).applied, 0u);
  EXPECT_TRUE(valueOf("a") == Value(2));
  EXPECT_EQ(bring({{"a", 3}}).applied, 1u);
  EXPECT_TRUE(valueOf("a") == Value(3));
}

TEST_F(IngestMemoryTest, TwoSourcesThatDisagreeDoNotOverwriteEachOtherByRepeatingThemselves) {
  bring({{"a", 1}}, "ingest:a");
  bring({{"a", 2}}, "ingest:b");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(bring({{"a", 1}}, "ingest:a").applied, 0u);
    EXPECT_EQ(bring({{"a", 2}}, "ingest:b").applied, 0u);
  }
  EXPECT_TRUE(valueOf("a") == Value(2));
}

TEST_F(IngestMemoryTest, ASourceThatFindsItsValueAlreadyThereStillOwnsItsRepetition) {
  edit({{"a", 1}}, DeltaOp::insert);
  EXPECT_EQ(bring({{"a", 1}}).applied, 0u);
  edit({{"a", 5}});
  EXPECT_EQ(bring({{"a", 1}}).applied, 0u);
  EXPECT_TRUE(valueOf("a") == Value(5));
}

TEST_F(IngestMemoryTest, ARowErasedByAClientStaysErasedHoweverLongTheSourceRepeatsIt) {
  bring({{"a", 1}});
  edit({}, DeltaOp::erase);
  clock.advance(std::chrono::hours(1));
  gateway.enforceRetention();
  EXPECT_EQ(bring({{"a", 1}}).applied, 0u);
  EXPECT_FALSE(gateway.row("t", "1"));
  bring({}, "ingest:a", DeltaOp::erase);  // the source lets go of it, and then has it again
  EXPECT_EQ(bring({{"a", 1}}).applied, 1u);
}

TEST_F(IngestMemoryTest, ARowWithoutDataColumnsStaysErasedToo) {
  bring({});
  edit({}, DeltaOp::erase);
  EXPECT_EQ(bring({}).applied, 0u);
  EXPECT_FALSE(gateway.row("t", "1"));
  bring({}, "ingest:a", DeltaOp::erase);
  EXPECT_EQ(bring({}).applied, 1u);
}

}  // namespace
}  // namespace tidegate
