#include "tidegate/core/conflict.h"

#include <gtest/gtest.h>

#include <optional>

#include "support/random_value.h"

namespace tidegate {
namespace {

RowDelta insertAt(std::uint64_t hlc, std::vector<ColumnValue> columns, std::string client = "a") {
  return {.op = DeltaOp::insert,
          .table = "t",
          .rowId = "1",
          .clientId = std::move(client),
          .columns = std::move(columns),
          .hlc = Hlc{hlc},
          .deltaId = {}};
}
RowDelta updateAt(std::uint64_t hlc, std::vector<ColumnValue> columns, std::string client = "a") {
  RowDelta delta = insertAt(hlc, std::move(columns), std::move(client));
  delta.op = DeltaOp::update;
  return delta;
}
RowDelta eraseAt(std::uint64_t hlc, std::string client = "a") {
  RowDelta delta = insertAt(hlc, {}, std::move(client));
  delta.op = DeltaOp::erase;
  return delta;
}

RowState stateOf(const std::vector<RowDelta>& deltas) {
  RowState state;
  for (const RowDelta& delta : deltas) merge(state, delta);
  return state;
}

TEST(Merge, KeepsEachColumnsNewestWrite) {
  RowState state =
      stateOf({insertAt(1, {{"x", 1}, {"y", 1}}), updateAt(5, {{"x", 5}}), updateAt(3, {{"x", 3}, {"y", 3}})});
  EXPECT_TRUE(state.columns.at("x") == (Register{5, {Hlc{5}, "a"}}));
  EXPECT_TRUE(state.columns.at("y") == (Register{3, {Hlc{3}, "a"}})) << "y keeps its own stamp, not x's";
}

TEST(Merge, BreaksTiesByClientAndThenByCanonicalJson) {
  EXPECT_TRUE(stateOf({updateAt(1, {{"x", "z"}}, "a"), updateAt(1, {{"x", "b"}}, "b")}).columns.at("x").value ==
              Value("b"));
  EXPECT_TRUE(stateOf({updateAt(1, {{"x", "b"}}), updateAt(1, {{"x", "a"}})}).columns.at("x").value == Value("b"));
  const RowState one = stateOf({updateAt(1, {{"x", "1"}}), updateAt(1, {{"x", Decimal{"1"}}})});
  const RowState other = stateOf({updateAt(1, {{"x", Decimal{"1"}}}), updateAt(1, {{"x", "1"}})});
  EXPECT_TRUE(one == other) << "values with one JSON form still need one winner";
}

TEST(Merge, LetsAnEraseHideOnlyWhatIsNotLater) {
  RowState state = stateOf({insertAt(1, {{"x", 1}, {"y", 1}}), updateAt(5, {{"y", 5}}), eraseAt(3)});
  EXPECT_TRUE(state.visible());
  EXPECT_EQ(state.columns.size(), 1u);
  EXPECT_EQ(state.columns.count("y"), 1u);
  merge(state, eraseAt(5, "b"));
  EXPECT_FALSE(state.visible());
  merge(state, updateAt(4, {{"x", 4}}));
  EXPECT_FALSE(state.visible()) << "older than the erase";
  merge(state, updateAt(6, {{"x", 6}}));
  EXPECT_TRUE(state.visible());
  EXPECT_EQ(state.columns.count("y"), 0u) << "a later write brings back only what it wrote";
}

TEST(Merge, LetsAnEraseWinOverWritesOfItsOwnStamp) {
  EXPECT_FALSE(stateOf({insertAt(3, {{"x", 1}}), eraseAt(3)}).visible());
  EXPECT_FALSE(stateOf({eraseAt(3), insertAt(3, {{"x", 1}})}).visible());
}

TEST(Merge, ShowsARowInsertedWithoutColumns) {
  RowState state;
  const MergeEffect effect = merge(state, insertAt(1, {}));
  EXPECT_TRUE(state.visible());
  ASSERT_EQ(effect.steps.size(), 1u);
  EXPECT_EQ(effect.steps[0].op, DeltaOp::insert);
  EXPECT_TRUE(effect.steps[0].columns.empty());
}

TEST(Merge, ReportsAnUpdateOfAMissingRowAsInsert) {
  RowState state;
  const MergeEffect effect = merge(state, updateAt(1, {{"x", 1}}));
  ASSERT_EQ(effect.steps.size(), 1u);
  EXPECT_EQ(effect.steps[0].op, DeltaOp::insert);
  EXPECT_EQ(effect.steps[0].columns.size(), 1u);
}

TEST(Merge, ReportsALateEraseOfSomeColumnsAsEraseAndInsert) {
  RowState state = stateOf({insertAt(1, {{"x", 1}}), updateAt(5, {{"y", 5}})});
  const MergeEffect effect = merge(state, eraseAt(3));
  ASSERT_EQ(effect.steps.size(), 2u);
  EXPECT_EQ(effect.steps[0].op, DeltaOp::erase);
  EXPECT_EQ(effect.steps[1].op, DeltaOp::insert);
  EXPECT_TRUE(effect.steps[1].columns == (std::vector<ColumnValue>{{"y", 5}}));
}

TEST(Merge, SaysWhetherTheStateChangedEvenWhereNobodySeesIt) {
  RowState state = stateOf({insertAt(1, {{"x", 1}})});
  EXPECT_FALSE(merge(state, insertAt(1, {{"x", 1}})).stateChanged);
  const MergeEffect sameValueLater = merge(state, updateAt(2, {{"x", 1.0}}));
  EXPECT_TRUE(sameValueLater.stateChanged);
  EXPECT_TRUE(sameValueLater.steps.empty());
  EXPECT_TRUE(merge(state, eraseAt(9)).stateChanged);
  EXPECT_TRUE(merge(state, eraseAt(10)).stateChanged);
  EXPECT_FALSE(merge(state, eraseAt(10)).stateChanged);
  EXPECT_FALSE(merge(state, updateAt(4, {{"x", 4}})).stateChanged);
}

// The model: the greatest of everything, found by looking at all deltas at once. It shares nothing with merge().
// Values are small ints, whose canonical JSON has one digit, so the tie rule is plain comparison.
struct Model {
  std::map<std::string, int> row;
  bool visible = false;
};

using ModelStamp = std::pair<std::uint64_t, std::string>;

Model modelOf(const std::vector<RowDelta>& deltas) {
  ModelStamp erased{0, ""};
  ModelStamp inserted{0, ""};
  for (const RowDelta& d : deltas) {
    const ModelStamp stamp{d.hlc.raw, d.clientId};
    if (d.op == DeltaOp::erase && stamp > erased) erased = stamp;
    if (d.op == DeltaOp::insert && stamp > inserted) inserted = stamp;
  }
  std::map<std::string, std::pair<ModelStamp, int>> best;
  for (const RowDelta& d : deltas) {
    const ModelStamp stamp{d.hlc.raw, d.clientId};
    if (d.op == DeltaOp::erase || stamp <= erased) continue;
    for (const ColumnValue& c : d.columns) {
      const std::pair<ModelStamp, int> candidate{stamp, static_cast<int>(c.value.as<std::int64_t>())};
      const auto [at, added] = best.emplace(c.column, candidate);
      if (!added && candidate > at->second) at->second = candidate;
    }
  }
  Model model;
  for (const auto& [column, held] : best) model.row[column] = held.second;
  model.visible = inserted > erased || !best.empty();
  return model;
}

std::vector<RowDelta> randomDeltas(test::Random& random) {
  static const std::string kColumns[] = {"x", "y", "z"};
  static const std::string kClients[] = {"a", "b"};
  std::vector<RowDelta> deltas;
  for (std::size_t n = random.index(14); n > 0; --n) {
    const std::uint64_t hlc = 1 + random.below(8);
    const std::string client = random.pick(kClients);
    if (random.chance(25)) {
      deltas.push_back(eraseAt(hlc, client));
      continue;
    }
    std::vector<ColumnValue> columns;
    for (std::size_t c = random.index(4); c > 0; --c) {
      columns.push_back({random.pick(kColumns), random.between(0, 5)});
    }
    deltas.push_back(random.chance(50) ? insertAt(hlc, columns, client) : updateAt(hlc, columns, client));
  }
  return deltas;
}

void expectModel(const RowState& state, const std::vector<RowDelta>& deltas) {
  const Model model = modelOf(deltas);
  EXPECT_EQ(state.visible(), model.visible);
  std::map<std::string, int> row;
  for (const auto& [column, held] : state.columns) row[column] = static_cast<int>(held.value.as<std::int64_t>());
  EXPECT_EQ(row, model.row);
}

TEST(Merge, EndsInOneStateWhateverTheOrderAndHoweverOften) {
  test::forEachSeed(3000, [](std::uint64_t seed) {
    test::Random random(seed);
    const std::vector<RowDelta> deltas = randomDeltas(random);
    const RowState expected = stateOf(deltas);
    expectModel(expected, deltas);
    std::vector<RowDelta> again = deltas;
    for (const RowDelta& delta : deltas) {
      if (random.chance(30)) again.push_back(delta);
    }
    random.shuffle(again);
    EXPECT_TRUE(stateOf(again) == expected);
  });
}

TEST(Merge, OfStatesIsCommutativeAssociativeIdempotentAndAgreesWithDeltas) {
  test::forEachSeed(2000, [](std::uint64_t seed) {
    test::Random random(seed);
    const auto first = randomDeltas(random);
    const auto second = randomDeltas(random);
    const auto third = randomDeltas(random);
    const RowState a = stateOf(first);
    const RowState b = stateOf(second);
    const RowState c = stateOf(third);
    EXPECT_TRUE(merge(a, b) == merge(b, a));
    EXPECT_TRUE(merge(merge(a, b), c) == merge(a, merge(b, c)));
    EXPECT_TRUE(merge(a, a) == a);
    EXPECT_TRUE(merge(a, RowState{}) == a);
    std::vector<RowDelta> all = first;
    all.insert(all.end(), second.begin(), second.end());
    EXPECT_TRUE(merge(a, b) == stateOf(all));
  });
}

/// What a reader holds: nothing, or columns.
using ReaderRow = std::optional<std::map<std::string, Value>>;

void follow(ReaderRow& row, const MergeEffect::Step& step) {
  if (step.op == DeltaOp::erase) {
    EXPECT_TRUE(row.has_value()) << "an erase of a row that no reader has";
    row.reset();
    return;
  }
  EXPECT_EQ(row.has_value(), step.op == DeltaOp::update);
  EXPECT_TRUE(step.op == DeltaOp::insert || !step.columns.empty());
  if (!row) row.emplace();
  for (const ColumnValue& c : step.columns) (*row)[c.column] = c.value;
}

TEST(Merge, GivesStepsThatKeepAReaderEqualToTheVisibleRow) {
  test::forEachSeed(2000, [](std::uint64_t seed) {
    test::Random random(seed);
    RowState state;
    ReaderRow reader;
    for (RowDelta& delta : randomDeltas(random)) {
      for (ColumnValue& c : delta.columns) {
        if (random.chance(30)) c.value = test::randomValue(random);
      }
      const RowState before = state;
      const MergeEffect effect = merge(state, delta);
      EXPECT_EQ(effect.stateChanged, !(state == before));
      EXPECT_TRUE(effect.stateChanged || effect.steps.empty());
      for (const auto& step : effect.steps) follow(reader, step);
      ASSERT_EQ(reader.has_value(), state.visible());
      if (!reader) continue;
      ASSERT_EQ(reader->size(), state.columns.size());
      for (const auto& [column, held] : state.columns) {
        EXPECT_TRUE(sameValue(reader->at(column), held.value)) << column;
      }
    }
  });
}

}  // namespace
}  // namespace tidegate
