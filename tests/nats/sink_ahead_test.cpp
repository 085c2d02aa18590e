/// Units of work that the sink begins to write before it knows their end.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "nats/detail/unit_reader.h"
#include "nats/nats_rig.h"
#include "support/property.h"
#include "support/tcp_proxy.h"
#include "tidegate/nats/sink.h"

namespace tidegate::nats {
namespace {

const Shape& aheadShape() {
  static const Shape shape = makeShape({.table = "t",
                                        .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                                                    {.name = "text", .kind = ValueKind::text}},
                                        .primaryKey = {"id"}});
  return shape;
}

ChangeBatch inserts(int from, int to, const std::string& text = "as always") {
  ChangeBatch batch;
  for (int i = from; i < to; ++i) {
    ChangeEvent& event = batch.add(ChangeOp::insert, aheadShape());
    event.transactionBegin = event.transactionEnd = true;
    event.position.octets = std::to_string(i);
    event.after = {std::int64_t{i}, text};
  }
  return batch;
}

class SinkAhead : public ::testing::Test {
 protected:
  SinkOptions options(const ConnectOptions& connect = testing::serverOptions()) const {
    SinkOptions made{.connect = connect, .streamName = stream, .subjectPrefix = "ahead." + stream};
    made.stream.storage = Storage::memory;
    return made;
  }
  std::shared_ptr<Sink> opened(const SinkOptions& with) const {
    auto made = sink(with);
    made->open({.pipeline = "p"});
    made->prepareTable(aheadShape());
    return made;
  }
  /// Ids and texts, as any reader of the stream is told them.
  std::vector<std::pair<std::int64_t, std::string>> told() {
    std::vector<std::pair<std::int64_t, std::string>> rows;
    const std::uint64_t last = servers.js().info(stream).lastSequence;
    detail::UnitReader reader(servers.js(), stream, 0);
    while (reader.sequence() < last) {
      reader.read(std::chrono::milliseconds(200),
                  {.event =
                       [&](ChangeEvent& event, std::uint64_t) {
                         rows.emplace_back(event.after[0].as<std::int64_t>(), event.after[1].as<std::string>());
                         return true;
                       },
                   .unit = [](const detail::ControlRecord&, std::uint64_t) { return true; }},
                  {});
    }
    return rows;
  }
  void expectToldOnce(int from, int to) {
    const auto rows = told();
    ASSERT_EQ(rows.size(), static_cast<std::size_t>(to - from));
    for (int i = from; i < to; ++i) {
      ASSERT_EQ(rows[static_cast<std::size_t>(i - from)], (std::pair<std::int64_t, std::string>(i, "as always")));
    }
  }

  testing::Servers servers;
  std::string stream = testing::freshName("AHEAD");
};

TEST_F(SinkAhead, AUnitIsInTheStreamBeforeItsCommitAndCountsOnlyWithIt) {
  const auto writer = opened(options());
  writer->commit("0");
  writer->apply(inserts(0, 9'000));
  EXPECT_GT(servers.js().info(stream).lastSequence, 1'000u) << "nothing is written ahead";
  EXPECT_TRUE(told().empty());
  writer->commit("1");
  expectToldOnce(0, 9'000);
}

TEST_F(SinkAhead, WhatWasUndoneNeverCountsThoughItWasWritten) {
  const auto writer = opened(options());
  writer->apply(inserts(0, 1'000, "a mistake"));
  writer->rollback();
  writer->prepareTable(aheadShape());
  writer->apply(inserts(0, 400));
  writer->rollback();
  writer->prepareTable(aheadShape());
  writer->apply(inserts(0, 3'000));
  writer->commit("1");
  expectToldOnce(0, 3'000);
}

TEST_F(SinkAhead, AfterAWriterDiedInTheMiddleTheNextOneWritesTheUnitAnewAtOnce) {
  constexpr int kChanges = 6'000;
  opened(options())->apply(inserts(0, kChanges));  // and dies
  const auto next = opened(options());
  // What the dead one had under way is there by now, or never will be: the new one's claim stands after it.
  const std::uint64_t left = servers.js().info(stream).lastSequence;
  EXPECT_GT(left, 1'000u);
  next->apply(inserts(0, kChanges));
  next->commit("1");
  expectToldOnce(0, kChanges);
  next->apply(inserts(kChanges, kChanges + 10));
  next->commit("2");
  expectToldOnce(0, kChanges + 10);
  EXPECT_LT(servers.js().info(stream).lastSequence, left + kChanges + 100) << "the repetition was repeated";
}

TEST_F(SinkAhead, ARepetitionOfWhatWasCommittedIsNotWrittenAgain) {
  const auto writer = opened(options());
  writer->apply(inserts(0, 2'000));
  writer->commit("1");
  const std::uint64_t before = servers.js().info(stream).lastSequence;
  writer->apply(inserts(0, 2'500));  // as a source does that was acknowledged less than it told
  writer->commit("2");
  expectToldOnce(0, 2'500);
  EXPECT_LT(servers.js().info(stream).lastSequence, before + 600);
}

TEST_F(SinkAhead, ConnectionsThatBreakWhileItWritesAheadNeitherLoseNorRepeat) {
  test::forEachSeed(2, [&](std::uint64_t seed) {
    test::Random random(seed);
    stream = testing::freshName("AHEAD");
    test::TcpProxy proxy(testing::portOf(testing::serverUrls().front()));
    ConnectOptions connect{.servers = {"nats://127.0.0.1:" + std::to_string(proxy.port())}};
    connect.requestTimeout = std::chrono::milliseconds(300);
    int done = 0, cuts = 0;
    std::shared_ptr<Sink> writer;
    while (done < 12'000) {
      try {
        if (!writer) {
          writer = sink(options(connect));
          done = std::stoi(writer->open({.pipeline = "p"}).value_or("0"));
          writer->prepareTable(aheadShape());
        }
        const int size = static_cast<int>(random.between(1, 3'000));
        const int middle = done + static_cast<int>(random.below(static_cast<std::uint64_t>(size)));
        writer->apply(inserts(done, middle));
        if (cuts < 6 && random.chance(60)) {
          ++cuts;
          proxy.cut();
        }
        writer->apply(inserts(middle, done + size));
        writer->commit(std::to_string(done + size));
        done += size;
      } catch (const Error& e) {
        ASSERT_TRUE(e.retry() == Retry::later || e.retry() == Retry::outcomeUnknown) << e.what();
        writer.reset();
      }
    }
    expectToldOnce(0, done);
  });
}

}  // namespace
}  // namespace tidegate::nats
