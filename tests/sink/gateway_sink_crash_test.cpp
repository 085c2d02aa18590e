/// A gateway and its sink killed at random commits of the store: each change is in the log once, in order.
#include <gtest/gtest.h>

#include <set>

#include "support/property.h"
#include "tidegate/sink/gateway_sink.h"

namespace tidegate {
namespace {

/// Fails some commits: before they happened, or after, as a process that was killed cannot tell.
class DyingStore final : public GatewayStore {
 public:
  void load(const Visitor& visit) override { held_.load(visit); }
  void commit(std::span<const Segment> puts, std::span<const SegmentRef> drops) override {
    const bool dies = random != nullptr && random->chance(25);
    const bool after = dies && random->chance(50);
    if (!dies || after) held_.commit(puts, drops);
    if (dies) throw Error(ErrorCode::storeUnavailable, Retry::outcomeUnknown, "killed");
  }
  test::Random* random = nullptr;  ///< null: all goes well

 private:
  MemoryGatewayStore held_;
};

const Shape& itemShape() {
  static const Shape shape = makeShape({.table = "items",
                                        .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                                                    {.name = "unit", .kind = ValueKind::int64},
                                                    {.name = "text", .kind = ValueKind::text}},
                                        .primaryKey = {"id"}});
  return shape;
}

/// Unit `n`, the same whenever it is made. Every ten, a baseline over three units, with the even rows only.
void fill(ChangeBatch& batch, std::uint64_t seed, std::int64_t n) {
  test::Random random(seed * 1'000 + static_cast<std::uint64_t>(n));
  const std::int64_t phase = n % 10;
  const bool reading = phase >= 3 && phase <= 5;
  if (phase == 3) batch.add(ChangeOp::baselineBegin, itemShape());
  for (std::int64_t i = 0; reading && i < 4; ++i) {
    batch.add(ChangeOp::read, itemShape()).after = {(phase - 3) * 8 + 2 * i, n, "read"};
  }
  if (phase == 5) batch.add(ChangeOp::baselineEnd, itemShape());
  if (random.chance(5)) batch.add(ChangeOp::truncate, itemShape());
  for (std::uint64_t i = random.below(8); i > 0; --i) {
    const auto id = static_cast<std::int64_t>(random.below(24));
    if (random.chance(30)) {
      batch.add(ChangeOp::erase, itemShape()).before = {id, nullptr, nullptr};
      continue;
    }
    ChangeEvent& event = batch.add(ChangeOp::update, itemShape());
    event.after = {id, n, nullptr};
    if (random.chance(40)) event.unchanged = {2};
  }
}

constexpr std::int64_t kUnits = 60;

/// Applies units until all are there or the store dies. @return whether all are there.
bool feed(Gateway& gateway, std::uint64_t seed, std::vector<std::int64_t>& resumed) {
  GatewaySink sink(gateway);
  try {
    const auto checkpoint = sink.open({.pipeline = "feed"});
    const std::int64_t first = checkpoint ? std::stoll(*checkpoint) + 1 : 1;
    resumed.push_back(first);
    ChangeBatch batch;
    for (std::int64_t n = first; n <= kUnits; ++n) {
      batch.clear();
      fill(batch, seed, n);
      sink.apply(batch);
      sink.commit(std::to_string(n));
    }
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// What a client that pulled everything saw. The order within a truncate or a baseline's end is not said.
std::vector<std::string> logOf(Gateway& gateway) {
  std::vector<std::string> lines;
  std::set<std::string> erases;
  const auto flush = [&] {
    lines.insert(lines.end(), erases.begin(), erases.end());
    erases.clear();
  };
  SyncPull pull{.clientId = "reader", .maxDeltas = 1'000};
  for (PullResult page; pull.sinceHlc.raw == 0 || page.hasMore; pull.sinceHlc = page.serverHlc) {
    page = gateway.handlePull(pull);
    EXPECT_FALSE(page.mustResync) << page.reason;
    for (const RowDelta& delta : page.deltas) {
      std::string line = std::string(toString(delta.op)) + " " + delta.rowId;
      for (const ColumnValue& c : delta.columns) line += " " + c.column + "=" + describe(c.value);
      if (delta.op == DeltaOp::erase) {
        EXPECT_TRUE(erases.insert(line).second) << line;
        continue;
      }
      flush();
      lines.push_back(std::move(line));
    }
  }
  flush();
  return lines;
}

TEST(GatewaySinkCrash, EachChangeIsInTheLogOnceWheneverTheGatewayDies) {
  test::forEachSeed(60, [](std::uint64_t seed) {
    Gateway calm;
    std::vector<std::int64_t> resumed;
    ASSERT_TRUE(feed(calm, seed, resumed));

    const auto store = std::make_shared<DyingStore>();
    test::Random random(seed);
    resumed.clear();
    for (bool done = false; !done;) {
      store->random = nullptr;
      Gateway gateway({.store = store});
      store->random = &random;
      done = feed(gateway, seed, resumed);
    }
    store->random = nullptr;
    Gateway last({.store = store});
    EXPECT_EQ(logOf(last), logOf(calm)) << "killed " << resumed.size() - 1 << " times";
    EXPECT_TRUE(std::is_sorted(resumed.begin(), resumed.end())) << "a checkpoint went back";
  });
}

}  // namespace
}  // namespace tidegate
