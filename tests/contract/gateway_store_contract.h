/// What every GatewayStore must do. To check one of your own:
///
///     INSTANTIATE_TEST_SUITE_P(Mine, GatewayStoreContract, testing::Values(GatewayStoreCase{
///         .name = "mine", .make = [] { return [dir = makeTempDir()] { return openMine(dir); }; }}),
///         gatewayStoreCaseName);
///
/// `make` begins a test: it gives an opener; each call of that opens the same store as a restarted process would.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/property.h"
#include "tidegate/gateway/gateway.h"

namespace tidegate::contract {

struct GatewayStoreCase {
  using Opener = std::function<std::shared_ptr<GatewayStore>()>;
  std::string name;
  std::function<Opener()> make{};
};

inline std::string gatewayStoreCaseName(const ::testing::TestParamInfo<GatewayStoreCase>& info) {
  return info.param.name;
}

class GatewayStoreContract : public ::testing::TestWithParam<GatewayStoreCase> {
 protected:
  using Content = std::map<SegmentRef, std::string>;

  static Content contentOf(GatewayStore& store) {
    Content content;
    std::optional<SegmentRef> last;
    store.load([&](SegmentRef ref, std::string_view octets) {
      EXPECT_TRUE(!last || *last < ref) << "segments must come in (kind, id) order, each once";
      last = ref;
      content.emplace(ref, octets);
    });
    return content;
  }

  GatewayStoreCase::Opener open = GetParam().make();
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GatewayStoreContract);

TEST_P(GatewayStoreContract, ANewStoreIsEmpty) { EXPECT_TRUE(contentOf(*open()).empty()); }

TEST_P(GatewayStoreContract, GivesBackWhatWasCommittedInOrder) {
  const SegmentRef second{SegmentKind::rows, 2}, tenth{SegmentKind::rows, 10}, log{SegmentKind::log, 1ull << 63};
  {
    const auto store = open();
    store->load([](SegmentRef, std::string_view) {});
    const std::vector<Segment> puts{{tenth, "ten"}, {second, std::string_view("t\0o", 3)}, {log, ""}};
    store->commit(puts, {});
  }
  const Content wanted{{log, ""}, {second, std::string("t\0o", 3)}, {tenth, "ten"}};
  EXPECT_EQ(contentOf(*open()), wanted);
}

TEST_P(GatewayStoreContract, ACommitReplacesAddsAndDropsAtOnce) {
  const SegmentRef a{SegmentKind::rows, 1}, b{SegmentKind::rows, 2}, c{SegmentKind::seen, 1};
  {
    const auto store = open();
    store->load([](SegmentRef, std::string_view) {});
    const std::vector<Segment> first{{a, "a1"}, {b, "b1"}};
    store->commit(first, {});
    const std::vector<Segment> second{{a, "a2"}, {c, "c1"}};
    const std::vector<SegmentRef> drops{b, {SegmentKind::log, 99}};  // the last was never there
    store->commit(second, drops);
  }
  EXPECT_EQ(contentOf(*open()), (Content{{a, "a2"}, {c, "c1"}}));
}

TEST_P(GatewayStoreContract, AnEmptyCommitChangesNothing) {
  {
    const auto store = open();
    store->load([](SegmentRef, std::string_view) {});
    store->commit({}, {});
  }
  EXPECT_TRUE(contentOf(*open()).empty());
}

TEST_P(GatewayStoreContract, KeepsLargeSegments) {
  std::string large(9u << 20, '\0');
  for (std::size_t i = 0; i < large.size(); i += 101) large[i] = static_cast<char>(i);
  {
    const auto store = open();
    store->load([](SegmentRef, std::string_view) {});
    const std::vector<Segment> puts{{{SegmentKind::log, 7}, large}};
    store->commit(puts, {});
  }
  EXPECT_TRUE(contentOf(*open()) == (Content{{{SegmentKind::log, 7}, large}}));
}

TEST_P(GatewayStoreContract, HoldsWhatAPlainMapHoldsAcrossManyCommitsAndRestarts) {
  test::forEachSeed(5, [&](std::uint64_t seed) {
    test::Random random(seed);
    auto store = open();
    Content wanted = contentOf(*store);
    for (int step = 0; step < 40; ++step) {
      std::map<SegmentRef, std::string> values;
      std::vector<SegmentRef> drops;
      for (std::uint64_t i = random.below(4); i > 0; --i) {
        const SegmentRef ref{static_cast<SegmentKind>(1 + random.below(4)), random.below(6)};
        values[ref] = std::string(random.below(2'000), static_cast<char>('a' + random.below(26)));
      }
      for (std::uint64_t i = random.below(3); i > 0; --i) {
        const SegmentRef ref{static_cast<SegmentKind>(1 + random.below(4)), random.below(6)};
        if (!values.contains(ref)) drops.push_back(ref);
      }
      std::vector<Segment> puts;
      for (const auto& [ref, octets] : values) puts.push_back({ref, octets});
      store->commit(puts, drops);
      for (const auto& [ref, octets] : values) wanted[ref] = octets;
      for (const SegmentRef& ref : drops) wanted.erase(ref);
      if (!random.chance(10)) continue;
      store.reset();
      store = open();
      ASSERT_TRUE(contentOf(*store) == wanted) << "step " << step;
    }
  });
}

TEST_P(GatewayStoreContract, AGatewayFindsItsRowsLogAndClockAgain) {
  Hlc last;
  const auto push = [](int i) {
    RowDelta delta{DeltaOp::insert, "users", std::to_string(i), "c", {{"n", i}}, Hlc::of(1'700'000'000'000), {}};
    return SyncPush{"c", {delta}, {}};
  };
  {
    Gateway gateway({.store = open()});
    for (int i = 0; i < 50; ++i) last = gateway.handlePush(push(i)).serverHlc;
  }
  Gateway gateway({.store = open()});
  EXPECT_EQ(gateway.stats().lastHlc, last);
  EXPECT_EQ(gateway.stats().rows, 50u);
  EXPECT_EQ(gateway.handlePull({"r", {}, 100}).deltas.size(), 50u);
  EXPECT_EQ(gateway.handlePush(push(7)).duplicates, 1u);
  EXPECT_GT(gateway.handlePush(push(50)).serverHlc, last);
}

}  // namespace tidegate::contract
