#include <gtest/gtest.h>

#include <string>

#include "jobs/jobs_rig.h"
#include "support/property.h"

namespace tidegate::test {
namespace {

/// A table that is written to at random: ties, rows without a time, late commits, deletes, changed and new columns.
class Writer {
 public:
  Writer(JobsRig& rig, Random& random) : rig_(rig), random_(random) {}

  void write() {
    for (std::uint64_t i = random_.below(30); i > 0; --i) one();
    if (random_.chance(5)) {
      rig_.source.exec("ALTER TABLE users ADD COLUMN extra" + std::to_string(columns_++) + " TEXT");
    }
  }

 private:
  /// Now, or up to four seconds ago: a transaction that commits late.
  std::string stamp() {
    if (random_.chance(30)) now_ += static_cast<std::int64_t>(random_.below(3'000'000));
    const std::int64_t back = random_.chance(20) ? random_.between(0, 4'000'000) : 0;
    // Milliseconds, so that rows share them.
    return toIso(Timestamp::utc((now_ - back) / 1'000 * 1'000 + 1));
  }
  void one() {
    const std::string id = std::to_string(random_.between(1, 60));
    if (random_.chance(10)) return rig_.source.exec("DELETE FROM users WHERE id = " + id);
    const std::string at = random_.chance(10) ? "NULL" : "'" + stamp() + "'";
    rig_.source.exec("INSERT INTO users(id, name, updated_at) VALUES (" + id + ", 'n" + std::to_string(++names_) +
                     "', " + at +
                     ") ON CONFLICT(id) DO UPDATE SET name = excluded.name, updated_at = "
                     "excluded.updated_at");
  }

  JobsRig& rig_;
  Random& random_;
  std::int64_t now_ = 1'767'225'600'000'000;
  int names_ = 0, columns_ = 0;
};

void checkLaw(std::uint64_t seed, JobMode mode) {
  Random random(seed);
  JobsRig rig;
  Writer writer(rig, random);
  ReplicationJob job = rig.users();
  job.batchSize = static_cast<std::size_t>(random.between(1, 9));
  job.maxDeleteFraction = 1;
  job.mode = mode;
  if (mode == JobMode::incremental) {
    job.pageCap = static_cast<std::size_t>(random.between(1, 6));
    job.deleteCheck = std::chrono::seconds(60);
  } else {
    job.trackingColumn = "";
  }
  rig.jobs->create(job);
  const std::string all = "SELECT id || ' ' || name || ' ' || coalesce(updated_at, '-') FROM users ORDER BY id";
  for (int round = 0; round < 8; ++round) {
    writer.write();
    rig.clock.advance(std::chrono::seconds(random.between(1, 50)));
    rig.run();
    ASSERT_FALSE(::testing::Test::HasFailure());
    if (mode == JobMode::diff) {
      ASSERT_EQ(rig.replica(all), rig.source.texts(all)) << "round " << round;
    }
    if (random.chance(30)) rig.jobs = rig.make();  // another process
  }
  rig.clock.advance(std::chrono::minutes(2));
  for (int runs = 0; rig.run().more; ++runs) ASSERT_LT(runs, 200) << "a run goes on for ever";
  EXPECT_EQ(rig.replica(all), rig.source.texts(all));
  EXPECT_EQ(rig.run().rowsSynced, 0u) << "nothing changed";
}

TEST(JobLaws, AnIncrementalJobThatLooksForDeletesEndsWithTheSourcesRows) {
  forEachSeed(25, [](std::uint64_t seed) { checkLaw(seed, JobMode::incremental); });
}

TEST(JobLaws, ADiffJobHasTheSourcesRowsAfterEachRun) {
  forEachSeed(15, [](std::uint64_t seed) { checkLaw(500 + seed, JobMode::diff); });
}

}  // namespace
}  // namespace tidegate::test
