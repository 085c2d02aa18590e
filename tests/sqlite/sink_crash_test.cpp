/// Kills a process that writes a SQLite sink at moments of all kinds: data and checkpoint are always of one unit.
///
/// TIDEGATE_CRASH_ROUNDS (default 40) and TIDEGATE_CRASH_SEED (default 1) make it longer and different.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <string>

#include "sqlite/killed_child.h"
#include "sqlite/sink_crash_units.h"
#include "sqlite/temp_database.h"
#include "tidegate/sqlite/sink.h"

namespace tidegate::sqlite {
namespace {

using testing::CrashRows;

/// Of output: some hundred units.
constexpr std::size_t kFullRun = 1'024;

std::uint64_t settingOr(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::stoull(text) : otherwise;
}

CrashRows rowsAfter(std::int64_t unit) {
  CrashRows rows;
  ChangeBatch unused;
  const Shape a = testing::crashShape("a"), b = testing::crashShape("b");
  for (std::int64_t n = 1; n <= unit; ++n) {
    unused.clear();
    testing::crashUnit(n, a, b, unused, rows);
  }
  return rows;
}

CrashRows rowsIn(Sink& sink) {
  CrashRows rows;
  for (const char* table : {"a", "b"}) {
    const auto stream = sink.readTable(testing::crashShape(table), {});
    for (std::vector<Value> row; stream->next(row);) {
      rows[{table, row[0].as<std::int64_t>()}] = {row[1].as<std::int64_t>(), row[2].as<std::string>()};
    }
  }
  return rows;
}

TEST(SqliteSinkCrash, DataAndCheckpointAreOfOneUnitWheneverTheWriterIsKilled) {
  const std::uint64_t seed = settingOr("TIDEGATE_CRASH_SEED", 1);
  SCOPED_TRACE("TIDEGATE_CRASH_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  testing::TempDir dir;
  const std::string path = dir / "replica.db";
  std::int64_t reached = 0;
  const std::uint64_t rounds = settingOr("TIDEGATE_CRASH_ROUNDS", 40);
  for (std::uint64_t round = 1; round <= rounds; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    // Some die while they open the file, most in full run; the last one surely does.
    const std::size_t octets = random() % (std::size_t{1} << random() % 10);
    const std::string output =
        testing::outputUntilKilled(TIDEGATE_SINK_CRASH_CHILD, {path}, round == rounds ? kFullRun : octets);
    const auto end = output.find_last_of('\n');
    const std::int64_t said =
        end == std::string::npos || end == 0 ? 0 : std::stoll(output.substr(output.find_last_of('\n', end - 1) + 1));
    const auto after = sink({.path = path});
    const auto checkpoint = after->open({.pipeline = "crash"});
    const std::int64_t unit = checkpoint ? std::stoll(*checkpoint) : 0;
    ASSERT_GE(unit, std::max(said, reached)) << "an acknowledged unit is lost";
    if (unit > 0) {
      ASSERT_TRUE(rowsIn(*after) == rowsAfter(unit)) << "the file is not as unit " << unit << " left it";
    }
    reached = unit;
  }
  RecordProperty("units", std::to_string(reached));
  EXPECT_GT(reached, 50);
}

}  // namespace
}  // namespace tidegate::sqlite
