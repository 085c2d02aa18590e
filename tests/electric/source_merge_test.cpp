/// Several shapes as one stream: order, borders, positions, and what happens when one of them is slow.
#include "electric/detail/source_merge.h"

#include <gtest/gtest.h>

#include <memory>

#include "electric/source_reader_rig.h"

namespace tidegate::electric::test {
namespace {

using namespace std::chrono_literals;

/// Two live shapes and their merge.
class MergeRig {
 public:
  explicit MergeRig(SourceOptions given = {}) : options(std::move(given)), epochs(clock) {
    SourcePlaces from;
    for (const std::string name : {"a", "b"}) {
      from.shapes[name] = {.handle = "h" + name, .epoch = 1, .at = {100, 0}};
    }
    merge = std::make_unique<ShapeMerge>(options, from);
    for (const SourceShape& shape : shapes) {
      readers.push_back(std::make_unique<ShapeReader>(ShapeReader::Parts{.shape = shape,
                                                                         .options = options,
                                                                         .clock = clock,
                                                                         .epochs = epochs,
                                                                         .newestLsn = merge->newestLsn(),
                                                                         .openLsn = merge->openLsn(),
                                                                         .warn = [](const std::string&) {},
                                                                         .seed = 1}));
      readers.back()->start(from.shapes.at(shape.table), nullptr, true);
      merge->add(*readers.back());
    }
    for (std::size_t i = 0; i < 2; ++i) say(i, {}, 100);
  }
  /// The shape's next answer: messages, and how far the server is. 0: there is more.
  void say(std::size_t shape, const std::vector<std::string>& messages, std::int64_t seen,
           const std::string& end = "") {
    const auto request = readers[shape]->nextRequest(clock.steadyNow());
    ASSERT_TRUE(request);
    std::string body = "[";
    for (const std::string& message : messages) body += (body.size() > 1 ? "," : "") + message;
    if (seen != 0) body += (body.size() > 1 ? "," : "") + upToDate(seen);
    readers[shape]->onAnswer(*request, 200,
                             {{"electric-handle", "h" + shapes[shape].table},
                              {"electric-schema", kItemsSchema},
                              {"electric-offset", end.empty() ? toText(request->from) : end}},
                             body + "]");
    ASSERT_EQ(readers[shape]->failing(), nullptr) << readers[shape]->failing()->what();
  }
  static std::string change(std::int64_t lsn, int position, int id, bool last = true) {
    return row("insert", R"({"id":")" + std::to_string(id) + R"(","name":"n","price":null})",
               placed(lsn, position, last));
  }
  /// "<a1 b2> " for a transaction of row 1 of a and row 2 of b.
  std::string told(std::size_t most = 100) {
    ChangeBatch batch;
    merge->fill(batch, most, clock.steadyNow());
    std::string text;
    for (const ChangeEvent& event : batch) {
      text += event.transactionBegin ? "<" : "";
      text += event.shape->schema.table;
      if (!event.after.empty()) text += std::to_string(event.after[0].as<std::int64_t>());
      text += event.transactionEnd ? "> " : " ";
      positions.push_back(event.position);
    }
    return text;
  }

  SourceOptions options;
  const std::vector<SourceShape> shapes{{.table = "a"}, {.table = "b"}};
  tidegate::test::ManualClock clock;
  Epochs epochs;
  std::unique_ptr<ShapeMerge> merge;
  std::vector<std::unique_ptr<ShapeReader>> readers;
  std::vector<Position> positions;
};

TEST(ShapeMerge, TellsTransactionsInTheOrderOfTheirCommitsAcrossTables) {
  MergeRig rig;
  rig.say(0, {MergeRig::change(110, 2, 1), MergeRig::change(130, 0, 2)}, 130, "130_0");
  EXPECT_EQ(rig.told(), "") << "b may bring something of 110 yet";
  ASSERT_EQ(rig.merge->waitedFor().size(), 1u);
  EXPECT_EQ(rig.merge->waitedFor()[0]->name(), "b");
  rig.say(1, {MergeRig::change(110, 0, 7), MergeRig::change(120, 0, 8)}, 130, "120_0");
  EXPECT_EQ(rig.told(), "<b7 a1> <b8> <a2> ");
  for (std::size_t i = 1; i < rig.positions.size(); ++i) {
    EXPECT_TRUE(compareSourcePlaces(decodePlaces(rig.positions[i - 1]), decodePlaces(rig.positions[i])) < 0);
  }
  EXPECT_EQ(decodePlaces(rig.positions[0]).open, 110u) << "in the middle of it";
  EXPECT_EQ(decodePlaces(rig.positions[1]).open, 0u);
}

TEST(ShapeMerge, ATransactionThatIsToldInPiecesKeepsItsBorders) {
  MergeRig rig;
  rig.say(0, {MergeRig::change(110, 0, 1, false), MergeRig::change(110, 1, 2, false), MergeRig::change(110, 2, 3)}, 110,
          "110_2");
  rig.say(1, {}, 110);
  EXPECT_EQ(rig.told(1), "<a1 ");
  EXPECT_EQ(rig.told(1), "a2 ");
  EXPECT_EQ(rig.told(1), "a3> ");
}

TEST(ShapeMerge, APageThatCutsATransactionIsNoBorder) {
  MergeRig rig;
  rig.say(1, {}, 200);
  rig.say(0, {MergeRig::change(110, 0, 1, false)}, 0, "110_0");
  EXPECT_EQ(rig.told(), "");
  rig.say(0, {MergeRig::change(110, 1, 2, false)}, 110, "110_1");
  EXPECT_EQ(rig.told(), "<a1 a2> ") << "up to date is one, where no message says that it is the last";
}

TEST(ShapeMerge, WaitsForASilentShapeOnlySoLong) {
  MergeRig rig({.mergeWait = 100ms});
  rig.say(0, {MergeRig::change(110, 0, 1)}, 110, "110_0");
  EXPECT_EQ(rig.told(), "");
  EXPECT_TRUE(rig.readers[1]->canProbe(rig.clock.steadyNow())) << "meanwhile it can be asked";
  EXPECT_EQ(*rig.merge->due(), rig.clock.steadyNow() + 100ms);
  rig.clock.advance(100ms);
  EXPECT_EQ(rig.told(), "<a1> ");
  rig.say(0, {MergeRig::change(120, 0, 2)}, 120, "120_0");
  EXPECT_EQ(rig.told(), "<a2> ") << "and no longer for each that follows";
  // Once it answers it is waited for again; what it brings late is told late.
  rig.say(1, {MergeRig::change(110, 1, 7)}, 120, "110_1");
  EXPECT_EQ(rig.told(), "<b7> ");
  rig.say(0, {MergeRig::change(130, 0, 3)}, 130, "130_0");
  EXPECT_EQ(rig.told(), "");
}

TEST(ShapeMerge, AnAnswerToAProbeLetsTheTransactionGo) {
  MergeRig rig;
  rig.say(0, {MergeRig::change(110, 0, 1)}, 110, "110_0");
  EXPECT_EQ(rig.told(), "");
  const ReadRequest probe = rig.readers[1]->probe(rig.clock.steadyNow());
  rig.readers[1]->onAnswer(probe, 200, {{"electric-handle", "hb"}, {"electric-offset", "100_0"}},
                           "[" + upToDate(110) + "]");
  EXPECT_EQ(rig.told(), "<a1> ");
}

TEST(ShapeMerge, AShapeThatFailsHoldsNothingBack) {
  MergeRig rig;
  const auto request = rig.readers[1]->nextRequest(rig.clock.steadyNow());
  rig.readers[1]->onFailure(*request, Error(ErrorCode::connectionFailed, Retry::later, "refused"));
  rig.say(0, {MergeRig::change(110, 0, 1)}, 110, "110_0");
  EXPECT_EQ(rig.told(), "<a1> ");
}

TEST(ShapeMerge, InTheOrderOfArrivalEachTableGoesItsOwnWay) {
  MergeRig rig({.order = MergeOrder::arrival});
  rig.say(0, {MergeRig::change(110, 0, 1, false), MergeRig::change(110, 1, 2)}, 110, "110_1");
  EXPECT_EQ(rig.told(), "<a1 a2> ");
  rig.say(1, {MergeRig::change(105, 0, 7)}, 110, "105_0");
  EXPECT_EQ(rig.told(), "<b7> ");
}

TEST(ShapeMerge, ATransactionLargerThanTheBufferIsToldAsItComes) {
  MergeRig rig({.bufferBytes = 1});
  rig.say(1, {}, 200);
  rig.say(0, {MergeRig::change(110, 0, 1, false), MergeRig::change(110, 1, 2, false)}, 0, "110_1");
  EXPECT_EQ(rig.told(), "<a1 ") << "the last one received is held back: it may be the last of all";
  rig.say(0, {MergeRig::change(110, 2, 3, false), MergeRig::change(110, 3, 4, false)}, 110, "110_3");
  EXPECT_EQ(rig.told(), "a2 a3 a4> ");
}

TEST(ShapeMerge, ALogThatEndsInTheMiddleOfATransactionLetsItEnd) {
  MergeRig rig({.bufferBytes = 1});
  rig.say(1, {}, 200);
  rig.say(0, {MergeRig::change(110, 0, 1, false), MergeRig::change(110, 1, 2, false)}, 0, "110_1");
  EXPECT_EQ(rig.told(), "<a1 ");
  const auto request = rig.readers[0]->nextRequest(rig.clock.steadyNow());
  ASSERT_TRUE(request);
  rig.readers[0]->onAnswer(*request, 409, {{"electric-handle", "ha2"}}, "[]");
  EXPECT_EQ(rig.told(), "a2> ");
  const auto again = rig.readers[0]->nextRequest(rig.clock.steadyNow());
  ASSERT_TRUE(again);
  rig.readers[0]->onAnswer(
      *again, 200, {{"electric-handle", "ha2"}, {"electric-schema", kItemsSchema}, {"electric-offset", "0_inf"}},
      "[" + row("insert", R"({"id":"5","name":"n","price":null})") + "]");
  EXPECT_EQ(rig.told(), "<a> <a5> ");
}

TEST(ShapeMerge, AStreamThatBeginsWithinATransactionGoesOnWithIt) {
  SourcePlaces from;
  from.shapes["a"] = {.handle = "ha", .epoch = 1, .at = {110, 0}};
  from.open = 110;
  const SourceOptions options;
  tidegate::test::ManualClock clock;
  Epochs epochs(clock);
  const SourceShape shape{.table = "a"};
  ShapeMerge merge(options, from);
  ShapeReader reader({.shape = shape,
                      .options = options,
                      .clock = clock,
                      .epochs = epochs,
                      .newestLsn = merge.newestLsn(),
                      .openLsn = merge.openLsn(),
                      .warn = [](const std::string&) {},
                      .seed = 1});
  reader.start(from.shapes.at("a"), nullptr, false);
  merge.add(reader);
  const auto request = reader.nextRequest(clock.steadyNow());
  reader.onAnswer(*request, 200,
                  {{"electric-handle", "ha"}, {"electric-schema", kItemsSchema}, {"electric-offset", "120_0"}},
                  "[" + MergeRig::change(110, 1, 2) + "," + MergeRig::change(120, 0, 3) + "," + upToDate(120) + "]");
  ChangeBatch batch;
  merge.fill(batch, 10, clock.steadyNow());
  ASSERT_EQ(batch.size(), 2u);
  EXPECT_FALSE(batch[0].transactionBegin);
  EXPECT_TRUE(batch[0].transactionEnd);
  EXPECT_TRUE(batch[1].transactionBegin);
}

}  // namespace
}  // namespace tidegate::electric::test
