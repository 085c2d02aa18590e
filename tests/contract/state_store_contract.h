/// What every StateStore must do. To check one of your own:
///
///     INSTANTIATE_TEST_SUITE_P(Mine, StateStoreContract, testing::Values(StateStoreCase{
///         .name = "mine", .make = [] { return [dir = makeTempDir()] { return openMine(dir); }; }}),
///         stateStoreCaseName);
///
/// `make` begins a test: it gives an opener; each call of that opens the same store as a restarted process would.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tidegate/core/state_store.h"

namespace tidegate::contract {

struct StateStoreCase {
  using Opener = std::function<std::shared_ptr<StateStore>()>;
  std::string name;
  std::function<Opener()> make{};
  bool survivesRestart = true;
  bool conditional = false;  ///< it has `putIf`
};

inline std::string stateStoreCaseName(const ::testing::TestParamInfo<StateStoreCase>& info) { return info.param.name; }

class StateStoreContract : public ::testing::TestWithParam<StateStoreCase> {
 protected:
  StateStoreCase::Opener open = GetParam().make();
  std::shared_ptr<StateStore> shared = GetParam().survivesRestart ? nullptr : open();
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StateStoreContract);

TEST_P(StateStoreContract, AKeyThatWasNeverPutIsAbsent) {
  auto store = open();
  EXPECT_EQ(store->get("nothing"), std::nullopt);
  EXPECT_NO_THROW(store->remove("nothing"));
}

TEST_P(StateStoreContract, AnEmptyEntryIsNotAnAbsentOne) {
  auto store = open();
  store->put("empty", "");
  EXPECT_EQ(store->get("empty"), std::optional<std::string>(""));
}

TEST_P(StateStoreContract, KeysAndOctetsMayHoldAnything) {
  auto store = open();
  std::string every;
  for (int i = 0; i < 256; ++i) every.push_back(static_cast<char>(i));
  const std::vector<std::string> keys = {every, std::string("a\0b", 3), "a", "A", "'; DROP TABLE state; --", "é/%_"};
  for (const auto& key : keys) store->put(key, every + key);
  for (const auto& key : keys) EXPECT_TRUE(store->get(key) == every + key);
  store->remove(keys[0]);
  EXPECT_EQ(store->get(keys[0]), std::nullopt);
  EXPECT_TRUE(store->get(keys[1]) == every + keys[1]);
}

TEST_P(StateStoreContract, AMegabyteIsKept) {
  auto store = open();
  std::string large(1 << 20, '\0');
  std::mt19937_64 random(1);
  for (char& c : large) c = static_cast<char>(random());
  store->put("large", large);
  EXPECT_TRUE(store->get("large") == large);
}

TEST_P(StateStoreContract, BehavesAsAMapOverRandomCallsAndRestarts) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const auto again = GetParam().make();
    auto store = again();
    std::map<std::string, std::string> model;
    for (int step = 0; step < 30; ++step) {
      const std::string key = "key" + std::to_string(random() % 5);
      switch (random() % 4) {
        case 0:
        case 1:
          model[key] = std::string(random() % 100, static_cast<char>(random()));
          store->put(key, model[key]);
          break;
        case 2:
          model.erase(key);
          store->remove(key);
          break;
        default:
          if (!GetParam().survivesRestart) break;
          store.reset();
          store = again();
      }
      const auto held = store->get(key);
      ASSERT_EQ(held.has_value(), model.contains(key));
      if (held) {
        ASSERT_TRUE(*held == model[key]);
      }
    }
  }
}

TEST_P(StateStoreContract, WritesUnderAConditionOnlyWhereItHolds) {
  if (!GetParam().conditional) return;
  auto store = open();
  EXPECT_FALSE(store->putIf("key", "", "1")) << "there is none, not an empty one";
  EXPECT_TRUE(store->putIf("key", std::nullopt, "1"));
  EXPECT_FALSE(store->putIf("key", std::nullopt, "2"));
  EXPECT_FALSE(store->putIf("key", "2", "3"));
  EXPECT_EQ(store->get("key"), "1");
  const std::string every("\0\xFF'1", 4);
  EXPECT_TRUE(store->putIf("key", "1", every));
  EXPECT_TRUE(store->putIf("key", every, ""));
  EXPECT_TRUE(store->putIf("key", "", "4"));
  store->remove("key");
  EXPECT_FALSE(store->putIf("key", "4", "5"));
  const std::string large(700'000, 'x');
  EXPECT_TRUE(store->putIf("key", std::nullopt, large + "1"));
  EXPECT_FALSE(store->putIf("key", large + "2", "6"));
  EXPECT_TRUE(store->putIf("key", large + "1", "7"));
  EXPECT_EQ(store->get("key"), "7");
}

TEST_P(StateStoreContract, LosesNoIncrementOfSeveralProcesses) {
  if (!GetParam().conditional) return;
  constexpr int kWriters = 3, kEach = 15;
  std::vector<std::jthread> threads;
  for (int t = 0; t < kWriters; ++t) {
    threads.emplace_back([&] {
      const auto mine = GetParam().survivesRestart ? open() : nullptr;
      for (int i = 0; i < kEach;) {
        StateStore& store = mine ? *mine : *shared;
        const auto before = store.get("count");
        const std::string after = std::to_string(before ? std::stoi(*before) + 1 : 1);
        i += store.putIf("count", before ? std::optional<std::string_view>(*before) : std::nullopt, after) ? 1 : 0;
      }
    });
  }
  threads.clear();
  EXPECT_EQ((GetParam().survivesRestart ? open() : shared)->get("count"), std::to_string(kWriters * kEach));
}

TEST_P(StateStoreContract, ServesSeveralThreads) {
  auto store = open();
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const std::string mine = "thread" + std::to_string(t);
      for (int i = 0; i < 10; ++i) {
        store->put(mine, std::to_string(i));
        store->put("shared", mine);
        EXPECT_EQ(store->get(mine), std::to_string(i));
      }
    });
  }
  threads.clear();
  EXPECT_TRUE(store->get("shared")->rfind("thread", 0) == 0);
}

}  // namespace tidegate::contract
