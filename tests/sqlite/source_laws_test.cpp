// Random histories, however the source is stopped, paused, acknowledged and restarted: whoever applies its events holds
// what the database holds.
#include <gtest/gtest.h>

#include "sqlite/source_support.h"
#include "sqlite/source_workload.h"

namespace tidegate::sqlite {
namespace {

using testing::SourceRig;
using testing::SourceWorkload;
using testing::workloadTables;

void awaitAll(SourceRig& rig) {
  for (const std::string& table : workloadTables()) rig.awaitRows(table);
}

void history(std::uint64_t seed, const char* journal, bool foreignTrigger) {
  SourceRig rig(journal);
  test::Random random(seed * 31);
  rig.options.batchEvents = 1 + random.index(20);
  rig.options.trimRows = 1 + random.index(20);
  rig.writer.exec(testing::workloadSchema());
  if (random.chance(30)) rig.writer.exec("PRAGMA recursive_triggers = ON");
  if (foreignTrigger) {
    rig.writer.exec(
        "CREATE TRIGGER touch AFTER INSERT ON orders BEGIN UPDATE orders SET note = 'touched' WHERE id = NEW.id; "
        "END; CREATE TRIGGER again AFTER UPDATE ON words WHEN NEW.v IS NULL BEGIN DELETE FROM words WHERE word = "
        "NEW.word; END");
  }
  SourceWorkload work(rig.writer.handle(), seed);
  for (int i = 0; i < 10; ++i) work.transaction();
  rig.follow(workloadTables());
  for (int step = 0; step < 40; ++step) {
    work.transaction(random.chance(30) ? borderStatement() : "");
    if (random.chance(10)) {
      rig.stop();
      if (random.chance(50)) work.transaction();
      if (random.chance(50)) rig.makeSource();
      rig.start(workloadTables());
    }
    if (random.chance(10)) {
      rig.source->pause();
      work.transaction();
      rig.source->resume();
    }
    if (random.chance(20)) {
      awaitAll(rig);
      rig.source->ack(rig.place);
    }
  }
  awaitAll(rig);
  rig.stop();
  if (foreignTrigger) rig.replica.faults.clear();  // nested changes come in their own order
}

TEST(SqliteSourceLaws, AReplicaOfARandomHistoryHoldsWhatTheDatabaseHolds) {
  test::forEachSeed(40, [](std::uint64_t seed) { history(seed, "WAL", false); });
}

TEST(SqliteSourceLaws, TheSameWithARollbackJournal) {
  test::forEachSeed(8, [](std::uint64_t seed) { history(seed, "TRUNCATE", false); });
}

TEST(SqliteSourceLaws, TheSameWithTriggersOfTheApplication) {
  test::forEachSeed(15, [](std::uint64_t seed) { history(seed, "WAL", true); });
}

}  // namespace
}  // namespace tidegate::sqlite
