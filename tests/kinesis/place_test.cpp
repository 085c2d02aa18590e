#include "kinesis/detail/place.h"

#include <gtest/gtest.h>

#include "support/property.h"
#include "tidegate/core/error.h"

namespace tidegate::kinesis::detail {
namespace {

constexpr auto kLess = std::partial_ordering::less;
constexpr auto kGreater = std::partial_ordering::greater;
constexpr auto kEquivalent = std::partial_ordering::equivalent;
constexpr auto kUnordered = std::partial_ordering::unordered;

ShardPlace after(const std::string& sequence, std::uint32_t parts = 0) {
  return {.kind = ShardPlaceKind::after, .sequence = sequence, .parts = parts, .millis = 1};
}
const ShardPlace kDone{.kind = ShardPlaceKind::done};
ShardPlace childOf(std::vector<std::string> parents) { return {.parents = std::move(parents)}; }

StreamPlace place(std::map<std::string, ShardPlace, std::less<>> shards) { return {.shards = std::move(shards)}; }

TEST(KinesisPlace, IsOneLineThatIsReadBack) {
  StreamPlace all = place({{"a", after("49590338271490256608559692538361571095921575989136588898", 3)},
                           {"b", {.kind = ShardPlaceKind::time, .millis = 1'700'000'000'000}},
                           {"c", childOf({"a", "b"})},
                           {"d", kDone},
                           {"e", {.kind = ShardPlaceKind::done, .tenure = 7, .parents = {"d"}}}});
  all.shards["a"].tenure = 12;
  all.tables["public.a|b;c=d"] = {.modifiedMillis = 5, .tag = "e~|;=tag"};
  const std::string text = placeText(all);
  EXPECT_EQ(text.find('\n'), text.npos);
  ASSERT_TRUE(parsePlace(text));
  EXPECT_TRUE(*parsePlace(text) == all) << text;
}

TEST(KinesisPlace, RefusesWhatIsNoPlace) {
  for (const char* text :
       {"",        "k1",          "k1|",        "k2||",        "k1|a=|",      "k1|a=x;a=x|", "k1|a=007@1|",
        "k1|a=7|", "k1|a=7.0@1|", "k1|a=t|",    "k1|a=t@1<|",  "k1||t=1",     "k1||t=x~y",   "k1|=x|",
        "k1|a=@|", "k1|||",       "k1|a=7@1#|", "k1|a=7@1#0|", "k1|a=7@1#x|", "k1|a=#1|"}) {
    EXPECT_FALSE(parsePlace(text)) << text;
  }
  EXPECT_THROW(requirePlace({"nonsense"}), Error);
}

TEST(KinesisPlace, ComparesSequencesAsNumbers) {
  EXPECT_EQ(compareSequences("9", "10"), std::strong_ordering::less);
  EXPECT_EQ(compareSequences("49590338271490256608559692538361571095921575989136588898",
                             "49590338271490256608559692538361571095921575989136588897"),
            std::strong_ordering::greater);
}

TEST(KinesisPlace, OrdersTheStepsOfAShard) {
  const std::vector<ShardPlace> steps{{.millis = 1}, {.millis = 2}, {.kind = ShardPlaceKind::time, .millis = 1},
                                      after("7", 1), after("7", 2), after("7"),
                                      after("11"),   kDone};
  for (std::size_t i = 0; i < steps.size(); ++i) {
    for (std::size_t k = 0; k < steps.size(); ++k) {
      EXPECT_EQ(comparePlaces(place({{"s", steps[i]}}), place({{"s", steps[k]}})), std::partial_ordering(i <=> k));
    }
  }
}

TEST(KinesisPlace, WhatTheNextOwnerDeliversComesLater) {
  const auto of = [](ShardPlace at, std::uint64_t tenure) {
    at.tenure = tenure;
    return place({{"s", at}});
  };
  EXPECT_EQ(comparePlaces(of(after("5"), 1), of(after("3"), 2)), kLess);
  EXPECT_EQ(comparePlaces(of(kDone, 1), of(after("3"), 2)), kLess);
  EXPECT_EQ(comparePlaces(of(after("3"), 2), of(after("4"), 2)), kLess);
  EXPECT_TRUE(meetPlaces(of(after("5"), 1), of(after("3"), 2)) == of(after("5"), 1));
  const StreamPlace forgotten = place({{"t", childOf({"s"})}});
  EXPECT_EQ(comparePlaces(of(after("3"), 2), forgotten), kLess) << "it was read to its end, by whomever";
}

TEST(KinesisPlace, IsUnorderedWhereOneShardIsAheadAndAnotherBehind) {
  const StreamPlace a = place({{"s", after("1")}, {"t", after("9")}}),
                    b = place({{"s", after("2")}, {"t", after("8")}});
  EXPECT_EQ(comparePlaces(a, b), kUnordered);
  EXPECT_TRUE(meetPlaces(a, b) == place({{"s", after("1")}, {"t", after("8")}}));
}

TEST(KinesisPlace, KnowsThatAChildComesAfterItsParent) {
  const StreamPlace before = place({{"a", after("5")}});
  const StreamPlace split = place({{"a", kDone}, {"b", childOf({"a"})}, {"c", childOf({"a"})}});
  const StreamPlace forgotten = place({{"b", childOf({"a"})}, {"c", childOf({"a"})}});
  EXPECT_EQ(comparePlaces(before, split), kLess);
  EXPECT_EQ(comparePlaces(split, before), kGreater);
  EXPECT_EQ(comparePlaces(before, forgotten), kLess);
  EXPECT_EQ(comparePlaces(split, forgotten), kEquivalent) << "a shard that is listed no more was read to its end";
  EXPECT_TRUE(meetPlaces(before, split) == before);
  EXPECT_TRUE(meetPlaces(forgotten, before) == before);
}

TEST(KinesisPlace, MeetKeepsTheOlderObjectOfEachTable) {
  StreamPlace a = place({{"s", after("1")}}), b = a;
  a.tables["t"] = {.modifiedMillis = 2, .tag = "new"};
  b.tables["t"] = {.modifiedMillis = 1, .tag = "old"};
  b.tables["u"] = {.modifiedMillis = 3, .tag = "u"};
  EXPECT_EQ(comparePlaces(a, b), kEquivalent) << "which objects rows came from does not move the stream";
  EXPECT_EQ(meetPlaces(a, b).tables.at("t").tag, "old");
  EXPECT_EQ(meetPlaces(b, a).tables.at("u").tag, "u");
}

TEST(KinesisPlace, TheWriterWritesWhatTheTextIs) {
  StreamPlace all = place({{"a", after("1")}, {"b", childOf({"a"})}, {"c", kDone}});
  all.tables["t"] = {.modifiedMillis = 2, .tag = "x"};
  for (const char* shard : {"a", "b", "c"}) {
    PlaceWriter writer;
    writer.begin(all, shard);
    StreamPlace moved = all;
    moved.shards[shard] = after("123", 2);
    EXPECT_EQ(writer.at(moved.shards[shard]).octets, placeText(moved));
  }
}

/// Histories of splits and merges: whatever is read of them in whichever order, a later place is greater.
TEST(KinesisPlace, EveryStepOfAReadingIsGreaterThanAllBefore) {
  test::forEachSeed(200, [](std::uint64_t seed) {
    test::Random random(seed);
    StreamPlace now = place({{"s0", after("1")}, {"s1", after("1")}});
    std::vector<StreamPlace> history{now};
    std::uint64_t sequence = 1, shards = 2;
    for (int step = 0; step < 30; ++step) {
      std::vector<std::string> open;
      for (const auto& [name, at] : now.shards) {
        if (at.kind != ShardPlaceKind::done) open.push_back(name);
      }
      const std::string chosen = open[random.index(open.size())];
      if (random.below(4) == 0) {
        now.shards[chosen].kind = ShardPlaceKind::done;
        now.shards[chosen].sequence.clear();
        for (int child = 0; child < 2; ++child) {
          now.shards["s" + std::to_string(shards++)] = {.millis = step, .parents = {chosen}};
        }
      } else {
        const auto parents = now.shards[chosen].parents;
        now.shards[chosen] = after(std::to_string(++sequence));
        now.shards[chosen].parents = parents;
      }
      history.push_back(now);
    }
    for (std::size_t i = 0; i < history.size(); i += 1 + random.index(3)) {
      for (std::size_t k = i + 1; k < history.size(); k += 1 + random.index(5)) {
        ASSERT_EQ(comparePlaces(history[i], history[k]), kLess) << placeText(history[i]) << "\n"
                                                                << placeText(history[k]);
        ASSERT_EQ(comparePlaces(history[k], history[i]), kGreater);
        ASSERT_EQ(comparePlaces(meetPlaces(history[i], history[k]), history[i]), kEquivalent);
        ASSERT_EQ(comparePlaces(meetPlaces(history[k], history[i]), history[i]), kEquivalent);
      }
    }
  });
}

}  // namespace
}  // namespace tidegate::kinesis::detail
