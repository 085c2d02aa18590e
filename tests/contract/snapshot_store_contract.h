/// What every SnapshotStore must do. To check one of your own:
///
///     INSTANTIATE_TEST_SUITE_P(Mine, SnapshotStoreContract, testing::Values(SnapshotStoreCase{
///         .name = "mine", .make = [] { return [dir = makeTempDir()] { return openMine(dir); }; }}),
///         snapshotStoreCaseName);
///
/// `make` begins a test: it gives an opener; each call of that opens the same store as a restarted process would.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tidegate/source/snapshot_store.h"

namespace tidegate::contract {

struct SnapshotStoreCase {
  using Opener = std::function<std::shared_ptr<SnapshotStore>()>;
  std::string name;
  std::function<Opener()> make{};
  bool survivesRestart = true;
};

inline std::string snapshotStoreCaseName(const ::testing::TestParamInfo<SnapshotStoreCase>& info) {
  return info.param.name;
}

class SnapshotStoreContract : public ::testing::TestWithParam<SnapshotStoreCase> {
 protected:
  using Found = TableSnapshot::Found;
  using Rows = std::map<std::string, std::string>;

  static Rows unmarked(TableSnapshot& snapshot) {
    Rows rows;
    snapshot.visitUnmarked([&](std::string_view id, std::string_view packed) {
      EXPECT_TRUE(rows.emplace(id, packed).second) << "visited twice: " << id;
    });
    return rows;
  }
  static Found mark(TableSnapshot& snapshot, std::string_view id, std::string_view packed) {
    std::string before;
    return snapshot.mark(id, packed, before);
  }
  /// What `mark` must find, by the model of what the snapshot holds.
  static Found expected(const Rows& held, const std::string& id, const std::string& packed) {
    const auto at = held.find(id);
    if (at == held.end()) return Found::missing;
    return at->second == packed ? Found::same : Found::differs;
  }

  SnapshotStoreCase::Opener open = GetParam().make();
  std::shared_ptr<SnapshotStore> store = open();
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(SnapshotStoreContract);

TEST_P(SnapshotStoreContract, ANewSnapshotIsEmpty) {
  auto snapshot = store->open("shop/t");
  EXPECT_EQ(snapshot->rows(), 0u);
  snapshot->beginPoll();
  EXPECT_EQ(mark(*snapshot, "1", "a"), Found::missing);
  EXPECT_TRUE(unmarked(*snapshot).empty());
}

TEST_P(SnapshotStoreContract, TellsSameFromDiffersAndGivesWhatWasBefore) {
  auto snapshot = store->open("shop/t");
  snapshot->put("1", "old");
  snapshot->put("2", "kept");
  snapshot->commit();
  snapshot->beginPoll();
  std::string before = "untouched";
  EXPECT_EQ(snapshot->mark("2", "kept", before), Found::same);
  EXPECT_EQ(before, "untouched");
  EXPECT_EQ(snapshot->mark("1", "new", before), Found::differs);
  EXPECT_EQ(before, "old");
  EXPECT_TRUE(unmarked(*snapshot).empty());
}

TEST_P(SnapshotStoreContract, AnIdMarkedTwiceInAPollIsRepeatedWhetherHeldOrNot) {
  auto snapshot = store->open("shop/t");
  snapshot->put("held", "a");
  snapshot->commit();
  snapshot->beginPoll();
  EXPECT_EQ(mark(*snapshot, "held", "a"), Found::same);
  EXPECT_EQ(mark(*snapshot, "held", "b"), Found::repeated);
  EXPECT_EQ(mark(*snapshot, "new", "a"), Found::missing);
  EXPECT_EQ(mark(*snapshot, "new", "a"), Found::repeated);
  snapshot->beginPoll();
  EXPECT_EQ(mark(*snapshot, "held", "a"), Found::same);
  EXPECT_EQ(mark(*snapshot, "new", "a"), Found::missing);
}

TEST_P(SnapshotStoreContract, MarkingChangesNothingUntilPut) {
  auto snapshot = store->open("shop/t");
  snapshot->put("1", "a");
  snapshot->commit();
  snapshot->beginPoll();
  mark(*snapshot, "1", "b");
  mark(*snapshot, "2", "c");
  snapshot->beginPoll();
  EXPECT_EQ(snapshot->rows(), 1u);
  EXPECT_EQ(unmarked(*snapshot), (Rows{{"1", "a"}}));
}

TEST_P(SnapshotStoreContract, WhatAPollDidNotMarkIsVisitedAndErased) {
  auto snapshot = store->open("shop/t");
  for (int i = 0; i < 300; ++i) snapshot->put(std::to_string(i), "v");
  snapshot->commit();
  snapshot->beginPoll();
  for (int i = 0; i < 300; i += 3) EXPECT_EQ(mark(*snapshot, std::to_string(i), "v"), Found::same);
  std::vector<std::string> gone;
  snapshot->visitUnmarked([&](std::string_view id, std::string_view) { gone.emplace_back(id); });
  for (const auto& id : gone) snapshot->erase(id);
  snapshot->commit();
  EXPECT_EQ(gone.size(), 200u);
  EXPECT_EQ(snapshot->rows(), 100u);
}

TEST_P(SnapshotStoreContract, IdsAndRowsMayHoldAnything) {
  auto snapshot = store->open("shop/t");
  std::string every;
  for (int i = 0; i < 256; ++i) every.push_back(static_cast<char>(i));
  const std::vector<std::string> ids = {every, "'; DROP TABLE rows_1; --", "a", "A", std::string("a\0", 2), "\xff"};
  for (const auto& id : ids) snapshot->put(id, every + id);
  snapshot->put("empty", "");
  snapshot->put("large", std::string(1 << 20, 'x'));
  snapshot->commit();
  snapshot->beginPoll();
  for (const auto& id : ids) EXPECT_EQ(mark(*snapshot, id, every + id), Found::same);
  EXPECT_EQ(mark(*snapshot, "empty", ""), Found::same);
  EXPECT_EQ(mark(*snapshot, "large", std::string(1 << 20, 'x')), Found::same);
}

TEST_P(SnapshotStoreContract, TablesDoNotSeeEachOther) {
  auto a = store->open("shop/a");
  a->put("1", "a");
  a->commit();
  auto b = store->open("shop/b");
  EXPECT_EQ(b->rows(), 0u);
  b->put("1", "b");
  b->commit();
  a->beginPoll();
  b->beginPoll();
  EXPECT_EQ(mark(*a, "1", "a"), Found::same);
  EXPECT_EQ(mark(*b, "1", "b"), Found::same);
}

TEST_P(SnapshotStoreContract, ARestartFindsWhatWasCommittedOrNothingAtAll) {
  auto snapshot = store->open("shop/t");
  snapshot->put("1", "a");
  snapshot->put("2", "b");
  snapshot->commit();
  snapshot->put("3", "never committed");
  snapshot->erase("1");
  snapshot.reset();
  store.reset();
  store = open();
  snapshot = store->open("shop/t");
  const Rows left = GetParam().survivesRestart ? Rows{{"1", "a"}, {"2", "b"}} : Rows{};
  EXPECT_EQ(snapshot->rows(), left.size());
  snapshot->beginPoll();
  EXPECT_EQ(unmarked(*snapshot), left);
}

TEST_P(SnapshotStoreContract, BehavesAsAMapOverRandomPolls) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const std::string key = "random/" + std::to_string(seed);
    auto snapshot = store->open(key);
    Rows model;
    for (int poll = 0; poll < 8; ++poll) {
      Rows source;  // what the database holds at this poll
      for (int i = 0; i < 60; ++i) {
        if (random() % 3 != 0) source["id" + std::to_string(i)] = std::string(random() % 5, 'x');
      }
      std::vector<std::pair<std::string, std::string>> order(source.begin(), source.end());
      std::shuffle(order.begin(), order.end(), random);
      snapshot->beginPoll();
      for (const auto& [id, packed] : order) {
        std::string before;
        const Found found = snapshot->mark(id, packed, before);
        ASSERT_EQ(found, expected(model, id, packed)) << id;
        if (found == Found::differs) {
          ASSERT_EQ(before, model[id]);
        }
      }
      Rows gone = model;
      for (const auto& [id, packed] : source) gone.erase(id);
      ASSERT_EQ(unmarked(*snapshot), gone);
      if (random() % 4 == 0) continue;  // the poll failed: nothing was taken in
      for (const auto& [id, packed] : source) snapshot->put(id, packed);
      for (const auto& [id, packed] : gone) snapshot->erase(id);
      snapshot->commit();
      model = source;
      ASSERT_EQ(snapshot->rows(), model.size());
      if (GetParam().survivesRestart && random() % 3 == 0) {
        snapshot.reset();
        snapshot = store->open(key);
      }
    }
  }
}

}  // namespace tidegate::contract
