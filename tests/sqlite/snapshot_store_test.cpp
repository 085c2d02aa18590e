#include "tidegate/sqlite/snapshot_store.h"

#include "contract/snapshot_store_contract.h"
#include "sqlite/detail/slot_set.h"
#include "sqlite/temp_database.h"
#include "tidegate/core/error.h"

namespace tidegate::contract {
namespace {

using sqlite::snapshotStore;
using testing::PlainDb;
using testing::TempDir;

SnapshotStoreCase::Opener sqliteSnapshots() {
  return [dir = std::make_shared<TempDir>()] { return snapshotStore(*dir / "snapshots.db"); };
}

INSTANTIATE_TEST_SUITE_P(Sqlite, SnapshotStoreContract,
                         ::testing::Values(SnapshotStoreCase{.name = "sqlite", .make = sqliteSnapshots}),
                         snapshotStoreCaseName);

std::string rowId(int i) { return "row-" + std::to_string(i); }

TEST(SqliteSnapshot, AnUnchangedPollWritesNothing) {
  TempDir dir;
  auto snapshot = snapshotStore(dir / "s.db")->open("t");
  for (int i = 0; i < 1000; ++i) snapshot->put(rowId(i), "packed");
  snapshot->commit();
  PlainDb watcher(dir / "s.db");
  const std::string version = watcher.text("PRAGMA data_version");
  for (int poll = 0; poll < 3; ++poll) {
    snapshot->beginPoll();
    std::string before;
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(snapshot->mark(rowId(i), "packed", before), TableSnapshot::Found::same);
    snapshot->visitUnmarked([](std::string_view id, std::string_view) { FAIL() << id; });
    snapshot->commit();
  }
  EXPECT_EQ(watcher.text("PRAGMA data_version"), version);
}

TEST(SqliteSnapshot, MemoryIsBoundedWhateverTheRowsHold) {
  TempDir dir;
  auto snapshot = snapshotStore(dir / "s.db")->open("t");
  const std::string wide(10'000, 'w');
  snapshot->beginPoll();
  std::string before;
  for (int i = 0; i < 6'000; ++i) {
    snapshot->mark(rowId(i), wide, before);
    snapshot->put(rowId(i), wide);
  }
  snapshot->commit();
  EXPECT_EQ(snapshot->rows(), 6'000u);
  EXPECT_LT(snapshot->bytes(), 40u << 20);  // 60 MB of rows
}

TEST(SqliteSnapshot, TwoTablesMayBePolledAtOnce) {
  TempDir dir;
  auto store = snapshotStore(dir / "s.db");
  auto a = store->open("a");
  auto b = store->open("b");
  a->beginPoll();
  b->beginPoll();
  std::string before;
  EXPECT_EQ(a->mark("1", "x", before), TableSnapshot::Found::missing);
  EXPECT_EQ(b->mark("1", "x", before), TableSnapshot::Found::missing);
  a->put("1", "x");
  a->commit();
  b->put("1", "y");  // `b` began to read before `a` wrote
  b->commit();
  EXPECT_EQ(a->rows() + b->rows(), 2u);
}

TEST(SqliteSnapshot, AFailedChangeIsUndoneToTheLastCommit) {
  TempDir dir;
  auto store = snapshotStore(dir / "s.db");
  auto snapshot = store->open("t");
  snapshot->put("1", "a");
  snapshot->commit();
  PlainDb(dir / "s.db")
      .exec(
          "CREATE TRIGGER no BEFORE INSERT ON rows_1 WHEN NEW.id = x'626164' BEGIN "
          "SELECT RAISE(ABORT, 'refused by the test'); END");
  snapshot->put("2", "b");
  snapshot->erase("1");
  EXPECT_THROW(snapshot->put("bad", "c"), Error);
  snapshot->beginPoll();
  std::string before;
  EXPECT_EQ(snapshot->rows(), 1u);
  EXPECT_EQ(snapshot->mark("1", "a", before), TableSnapshot::Found::same);
  EXPECT_EQ(snapshot->mark("2", "b", before), TableSnapshot::Found::missing);
}

TEST(SqliteSnapshot, SlotsOfErasedRowsAreUsedAgain) {
  TempDir dir;
  auto snapshot = snapshotStore(dir / "s.db")->open("t");
  for (int i = 0; i < 5'000; ++i) {
    snapshot->put(rowId(i), "p");
    if (i >= 100) snapshot->erase(rowId(i - 100));
  }
  snapshot->commit();
  EXPECT_EQ(snapshot->rows(), 100u);
  EXPECT_LE(std::stoi(PlainDb(dir / "s.db").text("SELECT max(slot) FROM rows_1")), 200);
}

TEST(SqliteSnapshot, RefusesAFileOfSomethingElse) {
  TempDir dir;
  PlainDb(dir / "app.db").exec("CREATE TABLE users(id)");
  EXPECT_THROW(snapshotStore(dir / "app.db"), Error);
}

TEST(SlotSet, AgreesWithASetOfNumbers) {
  for (std::uint64_t seed = 1; seed <= 1'000; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    sqlite::detail::SlotSet slots;
    std::map<std::int64_t, bool> model;  // slot -> marked
    for (int step = 0; step < 150; ++step) {
      const auto any = static_cast<std::int64_t>(random() % 200 + 1);
      switch (random() % 4) {
        case 0: {
          const std::int64_t slot = slots.takeFree();
          ASSERT_TRUE(model.emplace(slot, false).second) << "taken twice: " << slot;
          break;
        }
        case 1:
          slots.take(any);
          model.emplace(any, false);
          break;
        case 2:
          ASSERT_EQ(slots.has(any), model.contains(any));
          if (!model.contains(any)) break;
          ASSERT_EQ(slots.release(any), model[any]);
          model.erase(any);
          break;
        default:
          if (!model.contains(any)) break;
          slots.mark(any);
          model[any] = true;
      }
      std::vector<std::int64_t> unmarked, expected;
      for (std::int64_t slot = 0; (slot = slots.nextUnmarked(slot)) != 0;) unmarked.push_back(slot);
      for (const auto& [slot, marked] : model) {
        if (!marked) expected.push_back(slot);
      }
      ASSERT_EQ(unmarked, expected);
      ASSERT_EQ(slots.used(), model.size());
      ASSERT_EQ(slots.allMarked(), expected.empty());
    }
  }
}

}  // namespace
}  // namespace tidegate::contract
