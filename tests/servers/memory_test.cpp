/// A million rows are read in memory that does not grow with them.
#include <fstream>

#include "servers/polling.h"
#include "servers/server_test.h"

namespace tidegate::servers {
namespace {

constexpr std::size_t kRows = 1'000'000;
/// A push of 5,000 rows of about 120 octets, in a driver's form and as values, with room for allocators.
constexpr std::size_t kPushBytes = 64u << 20;
/// One row and the socket's and library's buffers.
constexpr std::size_t kStreamBytes = 8u << 20;

/// This process's greatest resident size since `resetPeak`, in octets.
std::size_t peakResident() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoul(line.substr(6)) * 1024;
  }
  throw std::runtime_error("/proc/self/status has no VmHWM");
}

std::size_t resetPeak() {
  std::ofstream("/proc/self/clear_refs") << "5";
  return peakResident();
}

class ServerMemory : public ServerTest {
 protected:
  void SetUp() override {
    const std::string n = server.isPostgres() ? "n::bigint" : "n";
    execute(admin, {"DROP TABLE IF EXISTS million",
                    "CREATE TABLE million (id BIGINT PRIMARY KEY, a VARCHAR(60), b VARCHAR(60), c DOUBLE PRECISION, d "
                    "DECIMAL(12,2))",
                    "INSERT INTO million SELECT " + n +
                        ", CONCAT('a text of some length, number ', n), 'another one', n / 3.0, n / 100.0 FROM (" +
                        server.numbers(kRows) + ") AS t"});
  }
};
TIDEGATE_FOR_BOTH_SERVERS(ServerMemory);

TEST_P(ServerMemory, AStreamedResultIsNeverHeldWhole) {
  const QueryFn query = server.connect();
  const std::size_t before = resetPeak();
  ResultSet rows = query(Query{.sql = "SELECT * FROM million", .wholeResult = true});
  std::vector<Value> row;
  std::size_t count = 0;
  while (rows.next(row)) ++count;
  EXPECT_EQ(count, kRows);
  EXPECT_LT(peakResident() - before, kStreamBytes);
}

TEST_P(ServerMemory, AFirstPollHoldsOnePushAtATime) {
  IngestSourceConfig config;
  config.name = "source";
  config.query = server.connect();
  config.tables.push_back(
      {.table = "million", .query = "SELECT * FROM million", .strategy = CursorStrategy{.cursorColumn = "id"}});
  Gateway gateway;  // only its clock is used: what it holds is not what is measured here
  std::size_t pushed = 0;
  SourcePoller poller(config, gateway,
                      {.observer = std::make_shared<QuietObserver>(), .push = [&](const SyncPush& push, PushContext) {
                         pushed += push.deltas.size();
                         PushResult result;
                         result.verdicts.resize(push.deltas.size());
                         result.applied = push.deltas.size();
                         return result;
                       }});
  const std::size_t before = resetPeak();
  const PollReport report = poller.pollOnce();
  ASSERT_TRUE(report.ok()) << report.tables[0].error->what();
  EXPECT_EQ(report.tables[0].rowsRead - report.tables[0].suppressed, kRows);
  EXPECT_EQ(pushed, kRows);
  EXPECT_LT(peakResident() - before, kPushBytes);
}

}  // namespace
}  // namespace tidegate::servers
