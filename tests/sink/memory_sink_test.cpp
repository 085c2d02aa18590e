#include "tidegate/sink/memory_sink.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "support/property.h"

namespace tidegate {
namespace {

using test::forEachSeed;
using test::Random;
using Values = std::vector<Value>;

Shape people() {
  static const Shape shape = makeShape({.table = "people",
                                        .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                                                    {.name = "name", .kind = ValueKind::text},
                                                    {.name = "age", .kind = ValueKind::int64}},
                                        .primaryKey = {"id"}});
  return shape;
}

/// A sink with a pipeline on it.
struct Rig {
  explicit Rig(MemorySinkOptions options = {}) : sink(std::move(options)) {
    sink.open({.pipeline = "p"});
    sink.prepareTable(people());
  }
  void put(Values row) { batch.add(ChangeOp::insert, people()).after = std::move(row); }
  void erase(std::int64_t id) { batch.add(ChangeOp::erase, people()).before = {id, nullptr, nullptr}; }
  void commit() {
    sink.apply(batch);
    batch.clear();
    sink.commit("p");
  }
  MemorySink sink;
  ChangeBatch batch;
};

std::vector<std::int64_t> ids(const std::vector<Row>& rows) {
  std::vector<std::int64_t> out;
  for (const Row& row : rows) out.push_back(row.values[0].as<std::int64_t>());
  return out;
}

using Ids = std::vector<std::int64_t>;

class MemoryQueries : public ::testing::TestWithParam<bool> {
 protected:
  /// The same questions must have the same answers with indexes and without.
  MemoryQueries()
      : rig(GetParam() ? MemorySinkOptions{.indexes = {{"people", "name", false}, {"people", "age", true}}}
                       : MemorySinkOptions{}) {
    rig.put({1, "ada", 36});
    rig.put({2, "bob", 20});
    rig.put({3, "ada", 7});
    rig.put({4, nullptr, nullptr});
    rig.put({5, "eve", 20});
    rig.commit();
  }
  Rig rig;
};

INSTANTIATE_TEST_SUITE_P(Indexes, MemoryQueries, ::testing::Bool());

TEST_P(MemoryQueries, ARowIsFoundByItsKey) {
  const MemoryView view = rig.sink.view();
  EXPECT_EQ(view.get("people", {3})->find("age")->as<std::int64_t>(), 7);
  EXPECT_FALSE(view.get("people", {9}));
  EXPECT_EQ(view.count("people"), 5u);
}

TEST_P(MemoryQueries, RowsAreFoundByAValue) {
  {
    const MemoryView view = rig.sink.view();
    EXPECT_EQ(ids(view.equals("people", "name", "ada")), (Ids{1, 3}));
    EXPECT_EQ(ids(view.equals("people", "name", "ada", 1)), (Ids{1}));
    EXPECT_EQ(ids(view.equals("people", "name", nullptr)), (Ids{4}));
    EXPECT_EQ(ids(view.equals("people", "age", 20)), (Ids{2, 5}));
    EXPECT_TRUE(view.equals("people", "age", "20").empty());
  }
  rig.put({1, "Ada", 36});
  rig.erase(3);
  rig.put({6, "ada", 1});
  rig.commit();
  EXPECT_EQ(ids(rig.sink.view().equals("people", "name", "ada")), (Ids{6}));
}

TEST_P(MemoryQueries, RowsComeInAColumnsOrder) {
  const MemoryView view = rig.sink.view();
  EXPECT_EQ(ids(view.range("people", "age")), (Ids{4, 3, 2, 5, 1}));
  EXPECT_EQ(ids(view.range("people", "age", {.from = Value(7), .to = Value(20)})), (Ids{3}));
  EXPECT_EQ(ids(view.range("people", "age", {.from = Value(8), .to = Value(20), .includeTo = true})), (Ids{2, 5}));
  EXPECT_EQ(ids(view.range("people", "age", {.from = Value(7.5), .limit = 1})), (Ids{2}));
  EXPECT_EQ(ids(view.range("people", "age", {.descending = true, .limit = 1})), (Ids{1}));
  EXPECT_TRUE(view.range("people", "age", {.from = Value(30), .to = Value(10)}).empty());
}

TEST_P(MemoryQueries, RowsAreScannedAndCountedByAPredicate) {
  const MemoryView view = rig.sink.view();
  EXPECT_EQ(view.count("people", [](const Row& row) { return *row.find("age") == Value(20); }), 2u);
  int seen = 0;
  view.scan("people", [&](const Row&) { return ++seen < 3; });
  EXPECT_EQ(seen, 3);
}

TEST_P(MemoryQueries, NamesThatAreNotThereAreRefused) {
  const MemoryView view = rig.sink.view();
  EXPECT_FALSE(view.has("pets"));
  EXPECT_THROW(view.count("pets"), Error);
  EXPECT_THROW(view.equals("people", "colour", 1), Error);
  EXPECT_THROW(view.get("people", {1, 2}), Error);
}

TEST(MemorySink, IndexesFollowARenamedColumn) {
  Rig rig({.indexes = {{"people", "full name", false}, {"people", "age", true}}});
  rig.put({1, "ada", 36});
  rig.commit();
  const Shape renamed = makeShape({.table = "people",
                                   .columns = {{.name = "full name", .kind = ValueKind::text},
                                               {.name = "id", .kind = ValueKind::int64, .nullable = false},
                                               {.name = "age", .kind = ValueKind::int64}},
                                   .primaryKey = {"id"}});
  rig.batch.add(ChangeOp::schemaChange, renamed).schemaChange =
      std::make_shared<SchemaChange>(SchemaChange{.before = people(), .renamed = {{"name", "full name"}}});
  rig.commit();
  const MemoryView view = rig.sink.view();
  EXPECT_EQ(view.equals("people", "full name", "ada").size(), 1u);
  EXPECT_EQ(view.range("people", "age").size(), 1u);
  EXPECT_EQ(view.shape("people")->columns->names(), renamed->columns->names());
}

TEST(MemorySink, TellsWhatACommitDid) {
  std::vector<std::string> told;
  Rig rig({.onCommit = [&](const std::vector<MemoryChange>& changes) {
    for (const MemoryChange& c : changes) {
      told.push_back(std::string(toString(c.op)) + (c.key.empty() ? "" : " " + describe(c.key[0])));
    }
  }});
  rig.put({1, "ada", 36});
  rig.put({2, "bob", 20});
  rig.commit();
  rig.put({1, "ada", 36});  // nothing new
  rig.put({2, "Bob", 20});
  rig.erase(1);
  rig.erase(7);
  rig.batch.add(ChangeOp::truncate, people());
  rig.commit();
  EXPECT_EQ(told, (std::vector<std::string>{"insert 1", "insert 2", "update 2", "erase 1", "truncate"}));
}

TEST(MemorySink, TryCommitWaitsForNoReader) {
  Rig rig;
  rig.put({1, "ada", 36});
  rig.sink.apply(rig.batch);
  {
    const MemoryView view = rig.sink.view();
    std::thread([&] { EXPECT_FALSE(rig.sink.tryCommit("first")); }).join();
    EXPECT_EQ(view.count("people"), 0u);
  }
  EXPECT_TRUE(rig.sink.tryCommit("first"));
  EXPECT_EQ(rig.sink.view().count("people"), 1u);
  EXPECT_EQ(rig.sink.open({.pipeline = "p"}), "first");
}

TEST(MemorySink, TryCommitLeavesWhatConcernsAllRowsToCommit) {
  for (const ChangeOp op : {ChangeOp::truncate, ChangeOp::baselineEnd, ChangeOp::schemaChange}) {
    Rig rig;
    rig.put({1, "ada", 36});
    rig.batch.add(ChangeOp::baselineBegin, people());
    rig.sink.apply(rig.batch);
    rig.batch.clear();
    EXPECT_TRUE(rig.sink.tryCommit("first"));
    rig.batch.add(op, people());
    rig.sink.apply(rig.batch);
    EXPECT_FALSE(rig.sink.tryCommit("second")) << toString(op);
    rig.sink.rollback();
    EXPECT_TRUE(rig.sink.tryCommit("third")) << toString(op);
  }
}

TEST(MemorySink, TryCommitLeavesTheHostsFunctionToCommit) {
  std::size_t told = 0;
  Rig rig({.onCommit = [&](const std::vector<MemoryChange>& changes) { told += changes.size(); }});
  rig.put({1, "ada", 36});
  rig.sink.apply(rig.batch);
  EXPECT_FALSE(rig.sink.tryCommit("first"));
  EXPECT_EQ(told, 0u);
  rig.sink.commit("first");
  EXPECT_EQ(told, 1u);
}

TEST(MemorySink, AViewIsOneCommitWhateverTheWriterDoes) {
  constexpr std::int64_t kRows = 50;
  Rig rig({.indexes = {{"people", "age", false}}});
  std::atomic<bool> done{false}, whole{true};
  std::atomic<std::uint64_t> looks{0};
  const auto look = [&] {
    while (!done) {
      const MemoryView view = rig.sink.view();
      if (view.unit() == 0) continue;
      const std::size_t count = view.count("people");
      std::optional<Value> age;
      view.scan("people", [&](const Row& row) {
        if (!age) age = row.values[2];
        if (row.values[2] != *age) whole = false;
        return true;
      });
      if (count != kRows || view.equals("people", "age", *age).size() != count) whole = false;
      ++looks;
    }
  };
  std::jthread first(look), second(look);
  for (std::int64_t unit = 0; unit < 300 || looks < 50; ++unit) {
    for (std::int64_t id = 0; id < kRows; ++id)
      rig.put({id, std::string(static_cast<std::size_t>(unit % 40), 'x'), unit});
    rig.commit();
  }
  done = true;
  first.join();
  second.join();
  EXPECT_TRUE(whole);
}

TEST(MemorySink, ReadingATableGoesOnBesideCommits) {
  Rig rig;
  for (int id = 0; id < 2'000; ++id) rig.put({id, "a", 0});
  rig.commit();
  const auto stream = rig.sink.readTable(people(), {});
  std::size_t rows = 0;
  for (Values row; stream->next(row); ++rows) {
    if (rows % 100 != 0) continue;
    rig.put({static_cast<std::int64_t>(rows), "b", 1});
    rig.commit();
  }
  EXPECT_EQ(rows, 2'000u);
}

TEST(MemorySink, MemoryOfReplacedRowsIsUsedAgain) {
  Rig rig;
  const auto round = [&](char c) {
    for (int id = 0; id < 2'000; ++id) rig.put({id, std::string(1'000, c), 0});
    rig.commit();
  };
  round('a');
  const std::size_t once = rig.sink.bytes();
  for (int i = 0; i < 50; ++i) round(static_cast<char>('b' + i % 20));
  EXPECT_LT(rig.sink.bytes(), 4 * once);
  EXPECT_EQ(rig.sink.view().get("people", {1'999})->values[1].as<std::string>(), std::string(1'000, 'k'));
}

TEST(MemorySink, AgreesWithAMapThroughChurnAndTidying) {
  forEachSeed(15, [](std::uint64_t seed) {
    Random random(seed);
    Rig rig({.indexes = {{"people", "name", false}, {"people", "age", true}}});
    std::map<std::int64_t, Values> model;
    for (int unit = 0; unit < 60; ++unit) {
      std::map<std::int64_t, Values> next = model;
      for (std::uint64_t n = random.below(200); n > 0; --n) {
        const std::int64_t id = random.between(0, 300);
        if (random.chance(25)) {
          rig.erase(id);
          next.erase(id);
        } else {
          Values row = {id, std::string(random.index(20'000), static_cast<char>('a' + random.below(3))),
                        random.between(0, 9)};
          rig.put(row);
          next[id] = row;
        }
      }
      if (random.chance(10)) {
        rig.sink.apply(rig.batch);
        rig.batch.clear();
        rig.sink.rollback();
        continue;
      }
      rig.commit();
      model = next;
      const MemoryView view = rig.sink.view();
      ASSERT_EQ(view.count("people"), model.size());
      std::map<std::int64_t, std::size_t> ages;
      for (const auto& [id, row] : model) {
        const auto found = view.get("people", {id});
        ASSERT_TRUE(found && found->values == row) << id;
        ++ages[row[2].as<std::int64_t>()];
      }
      for (const auto& [age, count] : ages) ASSERT_EQ(view.equals("people", "age", age).size(), count);
      ASSERT_EQ(view.range("people", "age").size(), model.size());
    }
  });
}

}  // namespace
}  // namespace tidegate
