#include "tidegate/core/delta.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "support/random_value.h"
#include "tidegate/core/json.h"

namespace tidegate {
namespace {

const DeltaContext kContext{
    .table = "users", .rowId = "row-1", .clientId = "ingest:neon", .hlc = Hlc{111411200000000007}};

TEST(DeltaId, MatchesTheIndependentVectorsExactly) {
  std::ifstream file(TIDEGATE_TEST_DATA "/delta_ids.json");
  const nlohmann::json all = nlohmann::json::parse(file);
  ASSERT_GE(all["vectors"].size(), 14u);
  for (const auto& v : all["vectors"]) {
    SCOPED_TRACE(v["name"].get<std::string>());
    const std::string canonical = v["canonical"];
    // The canonical text lacks only the op.
    const RowDelta delta = deltaFromJson("{\"op\":\"" + v["op"].get<std::string>() + "\"," + canonical.substr(1));
    std::string ours;
    appendCanonicalJson(delta, ours);
    EXPECT_EQ(ours, canonical);
    EXPECT_EQ(computeDeltaId(delta).hex(), v["deltaId"].get<std::string>());
  }
}

/// The ids of the vectors, from values made in code rather than read from the canonical text.
TEST(DeltaId, MatchesTheVectorsForTypedValues) {
  const auto idOf = [](std::vector<std::string> names, std::vector<Value> values) {
    const Row after{makeColumns(std::move(names)), std::move(values)};
    return extractDelta(nullptr, &after, kContext)->deltaId.hex();
  };
  EXPECT_EQ(idOf({"name", "email", "score", "active", "updated_at"},
                 {"user-0", "user-0@example.com", 0, true, 1700000000000}),
            "b006e06c43b8c517578c9f91ec3a969cd0523d0649c5b679a8f74d6b3fe388c7");
  EXPECT_EQ(idOf({"a"}, {-0.0}), "539a4d46d5c061b1e6bf7e8a61665be80389255047d79fe55d923c7750a28ca4");
  EXPECT_EQ(idOf({"a"}, {std::nan("")}), "90ac4476cf8d8db090ed17071dbce9b64345c2ae7f667b283a1b8bf13c6b9c0a");
  EXPECT_EQ(idOf({"a"}, {1.0}), "0084819ec4563cf044ac0e80d1db34b0f5e53ae24b2d81fd6cf27d583d776877");
  EXPECT_EQ(idOf({"a"}, {0.1 + 0.2}), "60253805339b8c6bf1ba3e2ee50f826198ef0016e189cd78997325c41969a9f6");
  EXPECT_EQ(idOf({"a"}, {1e-7}), "5eaa028490b281812f2f9ffefdfeb401fc5d8fdfc31d159d5497fc56ee2cb657");
  EXPECT_EQ(idOf({"näme"}, {"Zoë 日本 😀"}), "b63c45a2cfc4e6561868fb6d86e321ca35041c2ef55184e3ccad562d189cf1f2");
}

TEST(DeltaId, ReadsItsOwnHexOnly) {
  const DeltaId id{sha256("abc")};
  EXPECT_EQ(id.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_TRUE(DeltaId::parse(id.hex()) == id);
  EXPECT_FALSE(DeltaId::parse("BA" + id.hex().substr(2)).has_value());
  EXPECT_FALSE(DeltaId::parse(id.hex().substr(1)).has_value());
  EXPECT_FALSE(DeltaId::parse(std::string(64, 'g')).has_value());
  EXPECT_TRUE(DeltaId{}.isNull());
  for (int octet = 0; octet < 256; ++octet) {
    std::string text = id.hex();
    for (std::size_t at = 0; at < text.size(); at += 7) {
      const char before = std::exchange(text[at], static_cast<char>(octet));
      const bool isDigit = std::string_view("0123456789abcdef").find(text[at]) != std::string_view::npos;
      const auto read = DeltaId::parse(text);
      EXPECT_EQ(read.has_value(), isDigit) << octet << " at " << at;
      EXPECT_EQ(read ? read->hex() : text, text);
      text[at] = before;
    }
  }
  EXPECT_FALSE(id.isNull());
}

TEST(Sha256, IsTheSameOnEveryThread) {
  const auto expected = sha256(std::string(1000, 'x'));
  std::vector<std::jthread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        if (sha256(std::string(1000, 'x')) != expected) ++wrong;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(wrong, 0);
}

TEST(DeltaOps, HaveTheirWireNames) {
  for (const DeltaOp op : {DeltaOp::insert, DeltaOp::update, DeltaOp::erase}) EXPECT_EQ(parseDeltaOp(toString(op)), op);
  EXPECT_EQ(toString(DeltaOp::erase), "DELETE");
  EXPECT_FALSE(parseDeltaOp("insert").has_value());
  EXPECT_FALSE(parseDeltaOp("ERASE").has_value());
}

TEST(ExtractDelta, MakesAnInsertOfEveryColumn) {
  const Row after{makeColumns({"a", "b"}), {1, Null{}}};
  const auto delta = extractDelta(nullptr, &after, kContext);
  ASSERT_TRUE(delta);
  EXPECT_EQ(delta->op, DeltaOp::insert);
  EXPECT_TRUE(delta->columns == (std::vector<ColumnValue>{{"a", 1}, {"b", Null{}}}));
  EXPECT_EQ(delta->table, "users");
  EXPECT_EQ(delta->deltaId, computeDeltaId(*delta));
}

TEST(ExtractDelta, MakesAnUpdateOfWhatChangedOnly) {
  const Columns columns = makeColumns({"a", "b", "c"});
  const Row before{columns, {1, "x", Decimal{"1.50"}}};
  const Row after{columns, {1.0, "y", Decimal{"1.5"}}};
  const auto delta = extractDelta(&before, &after, kContext);
  ASSERT_TRUE(delta);
  EXPECT_EQ(delta->op, DeltaOp::update);
  EXPECT_TRUE(delta->columns == (std::vector<ColumnValue>{{"b", "y"}}));
  EXPECT_FALSE(extractDelta(&before, &before, kContext).has_value());
}

TEST(ExtractDelta, SkipsAnAbsentColumnAndTakesANewOne) {
  const Row before{makeColumns({"a", "b"}), {1, 2}};
  const Row after{makeColumns({"c", "a"}), {Null{}, 1}};
  const auto delta = extractDelta(&before, &after, kContext);
  ASSERT_TRUE(delta);
  EXPECT_TRUE(delta->columns == (std::vector<ColumnValue>{{"c", Null{}}})) << "a new column, even null, is news";
}

TEST(ExtractDelta, MakesAnEraseWithoutColumns) {
  const Row before{makeColumns({"a"}), {1}};
  const auto delta = extractDelta(&before, nullptr, kContext);
  ASSERT_TRUE(delta);
  EXPECT_EQ(delta->op, DeltaOp::erase);
  EXPECT_TRUE(delta->columns.empty());
  EXPECT_FALSE(extractDelta(nullptr, nullptr, kContext).has_value());
}

TEST(ExtractDelta, HeedsTheSchemaAndLeavesIdsToWhoAsksForNone) {
  const TableSchema schema{"users", {{"a", ValueKind::int64, true, ""}}, {}};
  const Row before{makeColumns({"a", "b"}), {1, 1}};
  const Row after{makeColumns({"a", "b"}), {1, 2}};
  DeltaContext context = kContext;
  context.schema = &schema;
  context.computeId = false;
  EXPECT_FALSE(extractDelta(&before, &after, context).has_value());
  const auto insert = extractDelta(nullptr, &after, context);
  EXPECT_TRUE(insert->columns == (std::vector<ColumnValue>{{"a", 1}}));
  EXPECT_TRUE(insert->deltaId.isNull());
}

TEST(ApplyDelta, SetsAppendsAndErases) {
  RowDelta delta;
  delta.columns = {{"b", 2}, {"c", 3}, {"a", 9}, {"c", 4}};
  const auto row = applyDelta(Row{makeColumns({"a"}), {1}}, delta);
  ASSERT_TRUE(row);
  EXPECT_TRUE(*row == (Row{makeColumns({"a", "b", "c"}), {9, 2, 4}}));
  const auto made = applyDelta(std::nullopt, delta);
  EXPECT_TRUE(*made == (Row{makeColumns({"b", "c", "a"}), {2, 4, 9}}));
  delta.op = DeltaOp::erase;
  EXPECT_FALSE(applyDelta(row, delta).has_value());
}

TEST(ApplyDelta, TurnsBeforeIntoAfterForAnyTwoRows) {
  test::forEachSeed(2000, [](std::uint64_t seed) {
    test::Random random(seed);
    const auto randomRow = [&]() -> std::optional<Row> {
      if (random.chance(15)) return std::nullopt;
      std::vector<std::string> names;
      for (const char* name : {"a", "b", "c", "d"}) {
        if (random.chance(70)) names.push_back(name);
      }
      random.shuffle(names);
      Row row{makeColumns(names), {}};
      for (std::size_t i = 0; i < names.size(); ++i)
        row.values.push_back(random.chance(40) ? Value(random.between(0, 1)) : test::randomValue(random));
      return row;
    };
    const auto before = randomRow();
    const auto after = randomRow();
    const auto delta = extractDelta(before ? &*before : nullptr, after ? &*after : nullptr, kContext);
    const auto result = delta ? applyDelta(before, *delta) : before;
    ASSERT_EQ(result.has_value(), after.has_value());
    if (!after) return;
    for (const std::string& name : after->columns->names()) {
      ASSERT_NE(result->find(name), nullptr) << name;
      EXPECT_TRUE(sameValue(*result->find(name), *after->find(name))) << name;
    }
    if (!before) return;
    for (const std::string& name : before->columns->names()) {
      if (after->find(name)) continue;
      EXPECT_TRUE(*result->find(name) == *before->find(name)) << "absent is no change: " << name;
    }
  });
}

}  // namespace
}  // namespace tidegate
