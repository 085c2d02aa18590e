#include "tidegate/engine/verify.h"

#include <gtest/gtest.h>

#include "engine/detail/row_digest.h"
#include "engine/engine_rig.h"

namespace tidegate {
namespace {

using namespace std::chrono_literals;

std::string form(const Value& value) {
  std::string out;
  detail::appendCanonical(value, out);
  return out;
}

TEST(RowDigest, ValuesThatAreTheSameHaveOneForm) {
  EXPECT_EQ(form(1), form(Decimal{"1.00"}));
  EXPECT_EQ(form(1), form(1.0));
  EXPECT_EQ(form(Decimal{"0.50"}), form(0.5));
  EXPECT_EQ(form(Decimal{"-0.0"}), form(0));
  EXPECT_EQ(form(Decimal{"12300"}), form(1.23e4));
  EXPECT_EQ(form(Json{"{\"a\": 1, \"b\": 2}"}), form(Json{"{\"b\":2,\"a\":1.0}"}));
}

TEST(RowDigest, ValuesThatDifferHaveTwo) {
  EXPECT_NE(form(1), form("1"));
  EXPECT_NE(form(nullptr), form(""));
  EXPECT_NE(form(10), form(1));
  EXPECT_NE(form(-1), form(1));
  EXPECT_NE(form(Decimal{"0.1"}), form(Decimal{"0.01"}));
  EXPECT_NE(form(9007199254740993), form(9007199254740992));
  EXPECT_NE(form(Bytes{"a"}), form("a"));
  EXPECT_NE(form(true), form(1));
  detail::RowDigest digest({0, 1}, {0});
  EXPECT_NE(digest.row({"ab", "c"}), digest.row({"a", "bc"}));
}

class Verify : public test::EngineRig {
 protected:
  Verify() {
    sinkOptions.exactlyOnce = false;
    db->createTable(test::peopleSchema());
    for (int i = 0; i < 100; ++i) db->insert("people", {i, "name " + std::to_string(i), i});
  }
  const Difference* find(const VerifyReport& report, const std::string& key) {
    for (const Difference& d : report.tables[0].differences) {
      if (d.key == key) return &d;
    }
    return nullptr;
  }
  static test::Values& rowOf(std::map<std::string, test::Values>& rows, int id) {
    for (auto& [key, row] : rows) {
      if (row[0] == Value(id)) return row;
    }
    throw std::runtime_error("no such row");
  }
};

TEST_F(Verify, FindsNothingWhereNothingDiffers) {
  make({pipeline()});
  run();
  const VerifyReport report = engine->verify({.chunks = 16});
  EXPECT_TRUE(report.ok()) << toText(report);
  EXPECT_EQ(report.tables[0].sourceRows, 100u);
  EXPECT_EQ(report.tables[0].sinkRows, 100u);
  EXPECT_EQ(report.tables[0].chunksDiffering, 0u);
}

TEST_F(Verify, ReportsEachDifferenceByKeyAndRepairsIt) {
  make({pipeline()});
  run();
  target().edit("people", [](auto& rows) {
    rowOf(rows, 7)[1] = "wrong";
    rows["stray"] = {1000, "stray", 1};
    std::erase_if(rows, [](const auto& entry) { return entry.second[0] == Value(9); });
  });
  VerifyReport report = engine->verify({.chunks = 16});
  EXPECT_EQ(report.differences(), 3u) << toText(report);
  ASSERT_NE(find(report, "id=7"), nullptr);
  EXPECT_EQ(find(report, "id=7")->kind, DifferenceKind::differs);
  EXPECT_NE(find(report, "id=7")->detail.find("\"name\""), std::string::npos);
  EXPECT_EQ(find(report, "id=1000")->kind, DifferenceKind::extraInSink);
  EXPECT_EQ(find(report, "id=9")->kind, DifferenceKind::missingInSink);
  EXPECT_NE(toText(report).find("id=9: missing in the sink"), std::string::npos);
  EXPECT_LE(report.tables[0].chunksDiffering, 3u);

  target().edit("people", [](auto& rows) {
    // The fake keeps rows by their key's text.
    rows.erase("stray");
    rows[test::keyText(*makeShape(test::peopleSchema()), {1000, "stray", 1})] = {1000, "stray", 1};
  });
  report = engine->verify({.chunks = 16, .repair = true});
  EXPECT_EQ(report.differences(), 3u);
  for (const Difference& d : report.tables[0].differences) EXPECT_TRUE(d.repaired) << d.key;
  EXPECT_TRUE(engine->verify().ok());
  expectSame();
}

TEST_F(Verify, ComparesThroughFilterAndTransforms) {
  auto spec = pipeline();
  sinkOptions.everyChange = false;
  spec.sink = std::make_shared<test::FakeSink>(targets_["replica"], sinkOptions);
  spec.tables[0].filter = Filter::compare("score", Comparison::lt, 50);
  spec.tables[0].transforms = {Transform::rename("name", "title"), Transform::addTimestamp("synced_at")};
  make({spec});
  run();
  clock.advance(1h);
  VerifyReport report = engine->verify();
  EXPECT_TRUE(report.ok()) << toText(report);
  EXPECT_EQ(report.tables[0].sourceRows, 50u);
}

TEST_F(Verify, ReportsAtMostSoManyAndCountsThemAll) {
  make({pipeline()});
  run();
  target().edit("people", [](auto& rows) { rows.clear(); });
  const VerifyReport report = engine->verify({.chunks = 4, .maxDifferences = 5, .rechecks = 1});
  EXPECT_EQ(report.differences(), 100u);
  EXPECT_EQ(report.tables[0].differences.size(), 5u);
}

TEST_F(Verify, RefusesAnUnknownPipelineAndAnEngineThatDoesNotRun) {
  make({pipeline()});
  EXPECT_THROW(engine->verify(), Error);
  run();
  EXPECT_THROW(engine->verify({.pipelines = {"nobody"}}), Error);
  engine->stop();
  EXPECT_THROW(engine->verify(), Error);
}

}  // namespace
}  // namespace tidegate
