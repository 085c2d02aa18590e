/// Kills a pushing process at moments of all kinds, and checks what the next one finds.
///
/// TIDEGATE_CRASH_ROUNDS (default 30) and TIDEGATE_CRASH_SEED (default 1) make it longer and different.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "sqlite/killed_child.h"
#include "sqlite/temp_database.h"
#include "tidegate/gateway/gateway.h"
#include "tidegate/sqlite/gateway_store.h"

namespace tidegate::sqlite {
namespace {

using testing::TempDir;

struct Acknowledged {
  SyncPush push;
  Hlc serverHlc;
};

struct Round {
  std::vector<Acknowledged> pushes;
  std::optional<Hlc> startedAt;  ///< nullopt: killed before it was open
};

std::uint64_t numberFrom(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::stoull(text) : otherwise;
}

/// Octets of output: some thousand pushes.
constexpr std::size_t kFullRun = std::size_t{1} << 19;

std::string outputUntilKilled(const std::string& database, std::uint64_t round, std::size_t octets) {
  return testing::outputUntilKilled(TIDEGATE_CRASH_CHILD, {database, std::to_string(round)}, octets);
}

Round parse(const std::string& output) {
  Round round;
  std::size_t at = 0;
  for (std::size_t end; (end = output.find('\n', at)) != std::string::npos; at = end + 1) {
    const std::string line = output.substr(at, end - at);
    const auto tab = line.find('\t');
    if (tab == std::string::npos) {
      round.startedAt = Hlc::parse(line);
    } else {
      round.pushes.push_back({pushFromJson(line.substr(0, tab)), Hlc::parse(line.substr(tab + 1)).value()});
    }
  }
  return round;  // a torn last line was not wholly said: it may have been acknowledged or not
}

class SqliteCrash : public ::testing::Test {
 protected:
  /// Each push's rows are all there or none is, and the acknowledged ones are.
  void checkRows(Gateway& gateway) {
    std::map<std::string, std::pair<std::int64_t, std::int64_t>> batches;  // name -> {rows seen, rows it had}
    GatewaySnapshot snapshot = gateway.snapshot();
    for (RowDelta row; snapshot.next(row);) {
      if (row.rowId == "shared") continue;
      auto& [seen, of] = batches[row.rowId.substr(0, row.rowId.find('/'))];
      ++seen;
      for (const ColumnValue& c : row.columns) {
        if (c.column == "of") of = c.value.as<std::int64_t>();
      }
    }
    for (const auto& [name, counts] : batches) ASSERT_EQ(counts.first, counts.second) << "half a batch: " << name;
    for (const auto& name : acknowledged) ASSERT_TRUE(batches.contains(name)) << "lost: " << name;
  }

  /// What the log tells readers is what the rows hold.
  void checkLog(Gateway& gateway) {
    const GatewayStats stats = gateway.stats();
    if (stats.logEntries == 0) return;
    SyncPull pull{.clientId = "checker", .sinceHlc = {stats.firstHlc.raw - 1}, .maxDeltas = 1'000};
    std::size_t entries = 0;
    std::map<std::string, Value> lastWriter;
    for (bool more = true; more;) {
      const PullResult page = gateway.handlePull(pull);
      ASSERT_FALSE(page.mustResync) << page.reason;
      for (const RowDelta& d : page.deltas) {
        const auto row = gateway.row(d.table, d.rowId);
        ASSERT_TRUE(row) << "in the log, not in the rows: " << d.rowId;
        for (const ColumnValue& c : d.columns) {
          if (c.column == "by") lastWriter[d.rowId] = c.value;
        }
      }
      entries += page.deltas.size();
      more = page.hasMore;
      pull.sinceHlc = page.serverHlc;
    }
    ASSERT_EQ(entries, stats.logEntries);
    for (const auto& [rowId, writer] : lastWriter) {
      const auto row = gateway.row("t", rowId);
      ASSERT_TRUE(*row->find("by") == writer) << describe(*row->find("by")) << ", the log says " << describe(writer);
    }
  }

  void checkStamps(const Round& round) {
    if (round.startedAt) {
      ASSERT_GE(*round.startedAt, greatest) << "the log's end went back";
    }
    const Hlc before = greatest;
    for (const Acknowledged& a : round.pushes) {
      ASSERT_GT(a.serverHlc, before) << "a stamp from before the crash";
      ASSERT_TRUE(stamps.insert(a.serverHlc.raw).second) << "repeated: " << a.serverHlc.text();
      greatest = std::max(greatest, a.serverHlc);
    }
  }

  void checkAgainIsSilent(Gateway& gateway, const Round& round) {
    const Hlc last = gateway.stats().lastHlc;
    ASSERT_GE(last, greatest);
    for (const Acknowledged& a : round.pushes) {
      const PushResult again = gateway.handlePush(a.push);
      ASSERT_EQ(again.status, PushStatus::accepted) << again.message;
      ASSERT_EQ(again.applied, 0u);
      ASSERT_EQ(again.duplicates, a.push.deltas.size());
    }
    ASSERT_EQ(gateway.stats().lastHlc, last);
  }

  void note(const Round& round) {
    for (const Acknowledged& a : round.pushes) {
      const std::string& rowId = a.push.deltas.at(0).rowId;
      acknowledged.insert(rowId.substr(0, rowId.find('/')));
    }
  }

  TempDir dir;
  std::string path = dir / "gateway.db";
  std::set<std::string> acknowledged;
  std::set<std::uint64_t> stamps;
  Hlc greatest;
};

TEST_F(SqliteCrash, NothingAcknowledgedIsLostHalfAppliedOrStampedTwice) {
  const std::uint64_t seed = numberFrom("TIDEGATE_CRASH_SEED", 1);
  const std::uint64_t rounds = numberFrom("TIDEGATE_CRASH_ROUNDS", 30);
  SCOPED_TRACE("TIDEGATE_CRASH_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (std::uint64_t number = 1; number <= rounds; ++number) {
    SCOPED_TRACE("round " + std::to_string(number));
    // Some die while they open the store, some on their first commits, most in full run; the last one surely does.
    const std::size_t most = std::size_t{1} << (random() % 20);
    const std::size_t octets = random() % most;
    const Round round = parse(outputUntilKilled(path, number, number == rounds ? kFullRun : octets));
    ASSERT_NO_FATAL_FAILURE(checkStamps(round));
    note(round);
    Gateway gateway({.retention = {.maxLogBytes = 1u << 20}, .store = gatewayStore({.path = path})});
    ASSERT_NO_FATAL_FAILURE(checkRows(gateway));
    ASSERT_NO_FATAL_FAILURE(checkLog(gateway));
    ASSERT_NO_FATAL_FAILURE(checkAgainIsSilent(gateway, round));
    greatest = std::max(greatest, gateway.stats().lastHlc);
  }
  RecordProperty("acknowledged", std::to_string(acknowledged.size()));
  EXPECT_GT(acknowledged.size(), rounds);
}

}  // namespace
}  // namespace tidegate::sqlite
