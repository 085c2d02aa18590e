#include "gateway/detail/row_merge.h"

#include <gtest/gtest.h>

#include "contract/gateway_model.h"
#include "core/detail/packed.h"
#include "tidegate/core/conflict.h"

namespace tidegate::detail {
namespace {

using test::DeltaMaker;
using test::forEachSeed;
using test::Random;

/// One row held as a block, merged as the gateway does.
class PackedRow {
 public:
  MergeOutcome merge(const RowDelta& delta, bool ingest = false) {
    values_.clear();
    std::vector<std::size_t> ends;
    for (const ColumnValue& c : delta.columns) {
      packValue(c.value, values_);
      ends.push_back(values_.size());
    }
    std::vector<IncomingColumn> columns;
    std::size_t from = 0;
    for (std::size_t i = 0; i < ends.size(); ++i) {
      columns.push_back(
          {names_.intern(delta.columns[i].column), std::string_view(values_).substr(from, ends[i] - from)});
      from = ends[i];
    }
    if (block_ != nullptr)
      readRow(block_->octets(), image_);
    else
      image_.clear(names_.intern("users"), "1");
    MergeOutcome outcome;
    merger_.merge(image_, {delta.op, {delta.hlc.raw, names_.intern(delta.clientId)}, ingest, columns}, outcome);
    if (outcome.stateChanged) {
      RowBlock* fresh = makeBlock(image_, names_, scratch_);
      freeBlock(block_);
      block_ = fresh;
    }
    return outcome;
  }

  RowState state() {
    RowState state;
    if (block_ == nullptr) return state;
    readRow(block_->octets(), image_);
    state.inserted = stamp(image_.inserted);
    state.erased = stamp(image_.erased);
    for (const ColumnImage& column : image_.columns) {
      if (!column.hasRegister) continue;
      state.columns[std::string(names_.at(column.name))] = {PackedReader(column.value).value(), stamp(column.stamp)};
    }
    EXPECT_EQ(block_->visible != 0, state.visible());
    return state;
  }

  ~PackedRow() { freeBlock(block_); }

 private:
  Stamp stamp(const PackedStamp& s) { return {Hlc{s.hlc}, std::string(names_.at(s.client))}; }

  NameTable names_{1000, 7};
  RowMerger merger_{names_};
  RowImage image_;
  RowBlock* block_ = nullptr;
  std::string values_, scratch_;
};

/// What the steps of the free function say, in the packed merge's words.
MergeOutcome::Effect effectOf(const MergeEffect& effect) {
  using Effect = MergeOutcome::Effect;
  if (effect.steps.empty()) return Effect::none;
  if (effect.steps.size() == 2) return Effect::eraseThenInsert;
  switch (effect.steps[0].op) {
    case DeltaOp::insert:
      return Effect::insert;
    case DeltaOp::update:
      return Effect::update;
    case DeltaOp::erase:
      return Effect::erase;
  }
  return Effect::none;
}

TEST(RowMerge, AgreesWithTheFreeFunctionAndAPlainModelOnEveryStep) {
  forEachSeed(2'000, [](std::uint64_t seed) {
    Random random(seed);
    DeltaMaker maker{random, {"users"}, {"1"}, {"a", "b", "c", "d"}, 12};
    PackedRow packed;
    RowState state;
    test::LwwModel model;
    for (int i = 0; i < 25; ++i) {
      RowDelta delta = maker.make(random.chance(50) ? "x" : "y");
      const MergeEffect wanted = merge(state, delta);
      const MergeOutcome got = packed.merge(delta);
      model.add(delta);
      ASSERT_EQ(got.stateChanged, wanted.stateChanged) << "step " << i;
      ASSERT_EQ(got.effect, effectOf(wanted)) << "step " << i;
      ASSERT_TRUE(packed.state() == state) << "step " << i;
      const auto row = model.row({"users", "1"});
      ASSERT_EQ(row.has_value(), state.visible()) << "step " << i;
      if (!row) continue;
      test::ModelRow visible;
      for (const auto& [column, held] : state.columns) visible[column] = held.value;
      ASSERT_TRUE(test::sameRow(*row, visible)) << "step " << i;
      if (got.effect == MergeOutcome::Effect::update) {
        ASSERT_EQ(got.changed.size(), wanted.steps[0].columns.size());
      }
    }
  });
}

}  // namespace
}  // namespace tidegate::detail
