/// How a source's thread and a pipeline's agree on which baselines are on their way, whoever is quicker.
#include "engine/detail/pipeline_link.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>

#include "tidegate/source/test_source.h"

namespace tidegate::detail {
namespace {

using Tables = std::vector<std::string>;

class Link : public ::testing::Test {
 protected:
  Link() {
    link.tableCount(2);
    link.offer();
    link.join();
  }
  /// What the pipeline says once it has handled all up to some item.
  void pipelineSays(std::set<std::string> missing, std::uint64_t durable = 0) {
    link.publish({.durable = durable == 0 ? Position{} : at(durable), .froms = {}, .missing = std::move(missing)});
  }
  Position at(std::uint64_t n) const { return source.positionFromText(std::to_string(n) + ":0"); }
  Tables from() const {
    Tables texts;
    for (const Position& position : link.resumeFrom()) texts.push_back(source.positionToText(position));
    return texts;
  }

  TestSource source{std::make_shared<TestDatabase>()};
  PipelineLink link{100, 1 << 20, systemScheduler()};
};

TEST_F(Link, ABaselineThatArrivesLateDoesNotStandForTheOneAfterIt) {
  pipelineSays({"a"}, 1);
  ASSERT_EQ(link.beginBaseline(), Tables{"a"});
  link.endBaseline({"a"}, at(2));
  link.force({"a"});
  ASSERT_EQ(link.beginBaseline(), Tables{"a"}) << "asked for anew";
  // Only now does the pipeline come to the end of the first, and to the begin of the second.
  pipelineSays({}, 2);
  link.baselineArrived({"a"}, 1);
  pipelineSays({"a"}, 2);
  link.endBaseline({"a"}, at(3));
  EXPECT_EQ(link.beginBaseline(), Tables{}) << "the second is on its way: a third would be followed by a fourth";
  EXPECT_EQ(from(), (Tables{"3:0", "2:0"}));
  pipelineSays({}, 3);
  link.baselineArrived({"a"}, 2);
  EXPECT_EQ(link.beginBaseline(), Tables{});
}

TEST_F(Link, AStreamThatFailsDoesNotReadAgainWhatABaselineBroughtToItsEnd) {
  pipelineSays({"a", "b"});
  ASSERT_EQ(link.beginBaseline(), (Tables{"a", "b"}));
  link.endBaseline({"a", "b"}, at(2));
  link.abandonBaseline();
  EXPECT_EQ(link.beginBaseline(), Tables{});
  EXPECT_EQ(from(), Tables{"2:0"});
}

TEST_F(Link, ABaselineThatFailsIsReadAgain) {
  pipelineSays({"a"}, 1);
  ASSERT_EQ(link.beginBaseline(), Tables{"a"});
  link.abandonBaseline();
  EXPECT_EQ(from(), Tables{"1:0"});
  EXPECT_EQ(link.beginBaseline(), Tables{"a"});
}

TEST_F(Link, TheStreamBeginsBeforeEveryBaselineThatIsNotDurableYet) {
  pipelineSays({"a", "b"});
  ASSERT_EQ(link.beginBaseline(), (Tables{"a", "b"}));
  link.endBaseline({"a", "b"}, at(2));
  link.force({"b"});
  ASSERT_EQ(link.beginBaseline(), Tables{"b"});
  link.endBaseline({"b"}, at(5));
  EXPECT_EQ(from(), (Tables{"2:0", "5:0"})) << "a goes on from 2";
}

TEST_F(Link, APlaceThatNoTableGoesOnFromIsForgotten) {
  pipelineSays({"a", "b"});
  ASSERT_EQ(link.beginBaseline(), (Tables{"a", "b"}));
  link.endBaseline({"a", "b"}, at(2));
  link.force({"a", "b"});  // the source has lost its place
  ASSERT_EQ(link.beginBaseline(), (Tables{"a", "b"}));
  link.endBaseline({"a", "b"}, at(7));
  EXPECT_EQ(from(), Tables{"7:0"});
}

TEST_F(Link, WhoeverAsksAfterTheEndIsToldAtOnce) {
  std::promise<void> asked;
  std::future<void> answer = asked.get_future();
  link.end();
  link.post({.run = [promise = std::make_shared<std::promise<void>>(std::move(asked))] { promise->set_value(); }});
  EXPECT_EQ(answer.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  EXPECT_THROW(answer.get(), std::future_error);
  EXPECT_FALSE(link.nextCommand(true));
}

}  // namespace
}  // namespace tidegate::detail
