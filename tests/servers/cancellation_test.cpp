/// Statements that are stopped, run out of time, or are given up.
#include <unistd.h>

#include <fstream>
#include <thread>

#include "servers/server_test.h"

namespace tidegate::servers {
namespace {

/// Whether a thread of this process waits for something.
bool sleeps(pid_t thread) {
  std::ifstream stat("/proc/self/task/" + std::to_string(thread) + "/stat");
  std::string line;
  std::getline(stat, line);
  const auto name = line.rfind(')');
  return name != std::string::npos && line.substr(name, 3) == ") S";
}

class ServerCancellation : public ServerTest {
 protected:
  QueryFn query = server.connect();

  void expectUsable() { EXPECT_EQ(readAll(query, server.numbers(3)).size(), 3u); }
  void expectEnded(const std::string& marker) {
    EXPECT_TRUE(eventually([&] { return server.running(admin, marker) == 0; }))
        << marker << " still runs on the server";
  }
};
TIDEGATE_FOR_BOTH_SERVERS(ServerCancellation);

TEST_P(ServerCancellation, AStopTokenEndsARunningStatement) {
  for (const bool wholeResult : {false, true}) {
    const std::string marker = wholeResult ? "stop_stream" : "stop_page";
    std::stop_source stop;
    const std::jthread stopper([&] {
      const QueryFn watcher = server.writer();
      eventually([&] { return server.running(watcher, marker) > 0; });
      stop.request_stop();
    });
    const Error e = errorOf([&] {
      readAll(query, Query{.sql = server.sleeping(marker), .stop = stop.get_token(), .wholeResult = wholeResult});
    });
    EXPECT_EQ(e.code(), ErrorCode::queryCancelled) << e.what();
    expectEnded(marker);
    expectUsable();
  }
}

TEST_P(ServerCancellation, ATokenThatIsStoppedAlreadySendsNothing) {
  std::stop_source stop;
  stop.request_stop();
  const Error e = errorOf([&] { readAll(query, Query{.sql = "DROP TABLE nothing_to_see", .stop = stop.get_token()}); });
  EXPECT_EQ(e.code(), ErrorCode::queryCancelled);
  expectUsable();
}

TEST_P(ServerCancellation, AStopTokenEndsAStreamBetweenItsRows) {
  std::stop_source stop;
  ResultSet result =
      query(Query{.sql = server.slowRows("stop_between"), .stop = stop.get_token(), .wholeResult = true});
  std::vector<Value> row;
  ASSERT_TRUE(result.next(row));
  stop.request_stop();
  EXPECT_EQ(errorOf([&] {
              while (result.next(row)) {
              }
            }).code(),
            ErrorCode::queryCancelled);
  EXPECT_FALSE(result.next(row));
  expectEnded("stop_between");
  expectUsable();
}

TEST_P(ServerCancellation, AStopAfterTheEndHarmsNobody) {
  for (const bool wholeResult : {false, true}) {
    std::stop_source stop;
    ResultSet result = query(Query{.sql = server.numbers(2), .stop = stop.get_token(), .wholeResult = wholeResult});
    std::vector<Value> row;
    while (result.next(row)) {
    }
    std::thread([&] { stop.request_stop(); }).join();
    expectUsable();
  }
}

TEST_P(ServerCancellation, TheStatementTimeoutEndsIt) {
  for (const bool wholeResult : {false, true}) {
    const Error e = errorOf([&] {
      readAll(query, Query{.sql = server.sleeping("timeout"),
                           .timeout = std::chrono::milliseconds{200},
                           .wholeResult = wholeResult});
    });
    EXPECT_EQ(e.code(), ErrorCode::queryCancelled) << e.what();
    EXPECT_NE(e.message().find("timeout"), std::string::npos) << e.what();
    expectEnded("timeout");
    expectUsable();
  }
}

TEST_P(ServerCancellation, TheOptionsTimeoutHoldsWhereTheQueryNamesNone) {
  query = server.connect({.statementTimeout = std::chrono::milliseconds{200}});
  EXPECT_EQ(errorOf([&] { readAll(query, server.sleeping("default_timeout")); }).code(), ErrorCode::queryCancelled);
  // A query's own timeout counts instead, and only for itself.
  const std::string half = server.isPostgres() ? "SELECT 1 AS n FROM pg_sleep(0.5)" : "SELECT SLEEP(0.5) AS n";
  EXPECT_EQ(readAll(query, Query{.sql = half, .timeout = std::chrono::milliseconds{30'000}}).size(), 1u);
  EXPECT_EQ(errorOf([&] { readAll(query, server.sleeping("default_timeout")); }).code(), ErrorCode::queryCancelled);
}

// The worst a driver can do to a diff poller: end half-way and call it the end.
TEST_P(ServerCancellation, AStreamThatFailsAfterItsFirstRowsSaysSo) {
  std::size_t rows = 0;
  const Error e = errorOf([&] {
    ResultSet result = query(Query{
        .sql = server.slowRows("fails_midway"), .timeout = std::chrono::milliseconds{1'000}, .wholeResult = true});
    std::vector<Value> row;
    while (result.next(row)) ++rows;
  });
  EXPECT_EQ(e.code(), ErrorCode::queryCancelled) << e.what();
  EXPECT_GT(rows, 0u);
  expectUsable();
}

TEST_P(ServerCancellation, AStreamThatAnAdministratorCancelsSaysSo) {
  ResultSet result = query(Query{.sql = server.slowRows("admin_cancels"), .wholeResult = true});
  std::vector<Value> row;
  ASSERT_TRUE(result.next(row));
  server.cancel(admin, "admin_cancels");
  EXPECT_EQ(errorOf([&] {
              while (result.next(row)) {
              }
            }).code(),
            ErrorCode::queryCancelled);
  expectUsable();
}

TEST_P(ServerCancellation, AStreamDestroyedEarlyEndsItsStatement) {
  {
    ResultSet result = query(Query{.sql = server.slowRows("abandoned"), .wholeResult = true});
    std::vector<Value> row;
    ASSERT_TRUE(result.next(row));
  }
  expectEnded("abandoned");
  expectUsable();
}

TEST_P(ServerCancellation, ASecondQueryDuringAStreamIsRefusedAndHarmsNothing) {
  ResultSet result = query(Query{.sql = server.numbers(50'000), .wholeResult = true});
  std::vector<Value> row;
  ASSERT_TRUE(result.next(row));
  EXPECT_EQ(errorOf([&] { readAll(query, "SELECT 1 AS n"); }).code(), ErrorCode::invalidArgument);
  std::size_t rows = 1;
  while (result.next(row)) ++rows;
  EXPECT_EQ(rows, 50'000u);
  expectUsable();  // the result object still lives
}

TEST_P(ServerCancellation, AFrozenServerCannotHoldAStoppedQueryForLong) {
  query = server.connect({.statementTimeout = std::chrono::milliseconds{100}});
  expectUsable();
  server.control("freeze");
  std::stop_source stop;
  std::jthread stopper;
  // Postgres: the stop alone ends it. MySQL: no second connection gets through, so the read timeout does.
  if (server.isPostgres())
    stopper =
        std::jthread([&, waiting = gettid()] { eventually([&] { return sleeps(waiting); }), stop.request_stop(); });
  std::optional<Error> e;
  try {
    readAll(query, Query{.sql = server.numbers(3), .stop = stop.get_token()});
  } catch (const Error& caught) {
    e = caught;
  }
  server.control("thaw");
  ASSERT_TRUE(e.has_value());
  EXPECT_EQ(e->code(), server.isPostgres() ? ErrorCode::queryCancelled : ErrorCode::connectionFailed) << e->what();
  expectUsable();
}

}  // namespace
}  // namespace tidegate::servers
