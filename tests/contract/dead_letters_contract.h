/// What every DeadLetters must do. To check one of your own:
///
///     INSTANTIATE_TEST_SUITE_P(Mine, DeadLettersContract, testing::Values(DeadLettersCase{
///         .name = "mine", .make = [] { return [dir = makeTempDir()] { return openMine(dir); }; }}),
///         deadLettersCaseName);
///
/// `make` begins a test: it gives an opener; each call of that opens the same store as a restarted process would.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tidegate/sink/dead_letters.h"

namespace tidegate::contract {

struct DeadLettersCase {
  using Opener = std::function<std::shared_ptr<DeadLetters>()>;
  std::string name;
  std::function<Opener()> make{};
  bool survivesRestart = true;
};

inline void PrintTo(const DeadLettersCase& c, std::ostream* out) { *out << c.name; }
inline std::string deadLettersCaseName(const ::testing::TestParamInfo<DeadLettersCase>& info) {
  return info.param.name;
}

class DeadLettersContract : public ::testing::TestWithParam<DeadLettersCase> {
 protected:
  static DeadLetter letter(const std::string& pipeline, const std::string& position) {
    return {.pipeline = pipeline,
            .table = "public.users",
            .key = "id=7",
            .positionText = position,
            .event = "{\"op\":\"insert\",\"after\":[7,\"zo\xC3\xAB'\\\"\"]}",
            .error = "queryFailed: no",
            .failedMicros = 1'700'000'000'000'001,
            .attempts = 5};
  }
  static std::vector<std::string> positions(const std::vector<DeadLetter>& letters) {
    std::vector<std::string> out;
    for (const DeadLetter& l : letters) out.push_back(l.positionText);
    return out;
  }
  using Positions = std::vector<std::string>;

  DeadLettersCase::Opener open = GetParam().make();
  std::shared_ptr<DeadLetters> letters = open();
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DeadLettersContract);

TEST_P(DeadLettersContract, ALetterComesBackAsItWas) {
  letters->add(letter("p", "1"));
  const auto found = letters->read("p", 0, 10);
  ASSERT_EQ(found.size(), 1u);
  const DeadLetter expected = letter("p", "1");
  EXPECT_GT(found[0].id, 0u);
  EXPECT_EQ(found[0].pipeline, expected.pipeline);
  EXPECT_EQ(found[0].table, expected.table);
  EXPECT_EQ(found[0].key, expected.key);
  EXPECT_EQ(found[0].positionText, expected.positionText);
  EXPECT_EQ(found[0].event, expected.event);
  EXPECT_EQ(found[0].error, expected.error);
  EXPECT_EQ(found[0].failedMicros, expected.failedMicros);
  EXPECT_EQ(found[0].attempts, expected.attempts);
}

TEST_P(DeadLettersContract, LettersAreReadByPipelineInOrderAndInPages) {
  for (const char* position : {"1", "2", "3"}) {
    letters->add(letter("p", position));
    letters->add(letter("q", position));
  }
  EXPECT_EQ(positions(letters->read("p", 0, 2)), (Positions{"1", "2"}));
  const std::uint64_t last = letters->read("p", 0, 2).back().id;
  EXPECT_EQ(positions(letters->read("p", last, SIZE_MAX)), (Positions{"3"}));
  EXPECT_EQ(letters->read("", 0, 100).size(), 6u);
  EXPECT_TRUE(letters->read("p", UINT64_MAX, 10).empty());
  EXPECT_TRUE(letters->read("unknown", 0, 10).empty());
  EXPECT_EQ(letters->count("q"), 3u);
  EXPECT_EQ(letters->count(""), 6u);
}

TEST_P(DeadLettersContract, TheSameChangeTwiceIsOneLetterOfItsPipeline) {
  letters->add(letter("p", "1"));
  DeadLetter again = letter("p", "1");
  again.attempts = 6;
  letters->add(again);
  letters->add(letter("q", "1"));
  EXPECT_EQ(letters->count("p"), 1u);
  EXPECT_EQ(letters->read("p", 0, 1)[0].attempts, 5u);
  EXPECT_EQ(letters->count(""), 2u);
}

TEST_P(DeadLettersContract, LettersAreRemovedOneByOneOrAllOfAPipeline) {
  for (const char* position : {"1", "2", "3"}) letters->add(letter("p", position));
  letters->add(letter("q", "1"));
  const std::uint64_t second = letters->read("p", 0, 10)[1].id;
  EXPECT_TRUE(letters->remove(second));
  EXPECT_FALSE(letters->remove(second));
  EXPECT_EQ(positions(letters->read("p", 0, 10)), (Positions{"1", "3"}));
  EXPECT_EQ(letters->purge("p"), 2u);
  EXPECT_EQ(letters->purge("p"), 0u);
  EXPECT_EQ(letters->count("q"), 1u);
  EXPECT_EQ(letters->purge(""), 1u);
}

TEST_P(DeadLettersContract, IdsAreNeverUsedAgain) {
  letters->add(letter("p", "1"));
  const std::uint64_t first = letters->read("p", 0, 1)[0].id;
  letters->purge("");
  letters->add(letter("p", "2"));
  EXPECT_GT(letters->read("p", 0, 1)[0].id, first);
}

TEST_P(DeadLettersContract, ARestartFindsThemOrNothingAtAll) {
  letters->add(letter("p", "1"));
  letters.reset();
  letters = open();
  EXPECT_EQ(letters->count("p"), GetParam().survivesRestart ? 1u : 0u);
}

}  // namespace tidegate::contract
