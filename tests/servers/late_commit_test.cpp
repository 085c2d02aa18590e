/// Transactions that commit after polls have read past their rows' cursors.
#include <optional>

#include "servers/polling.h"
#include "servers/server_test.h"

namespace tidegate::servers {
namespace {

class ServerLateCommit : public ServerTest {
 protected:
  void SetUp() override {
    execute(admin, {"DROP TABLE IF EXISTS orders",
                    "CREATE TABLE orders (id INT PRIMARY KEY, changed " +
                        std::string(server.isPostgres() ? "timestamptz" : "DATETIME(6)") + " NOT NULL)",
                    "CREATE INDEX orders_changed ON orders (changed, id)"});
    put(admin, 0);
  }
  void put(const QueryFn& writer, int id) {
    execute(writer, {"INSERT INTO orders VALUES (" + std::to_string(id) + ", " +
                     (server.isPostgres() ? "clock_timestamp()" : "NOW(6)") + ")"});
  }
  /// The look-back alone reaches back no further than the newest cursor itself.
  static IngestTableConfig orders(bool commitHorizon) {
    return {.table = "orders",
            .query = "SELECT * FROM orders",
            .strategy = CursorStrategy{
                .cursorColumn = "changed", .lookback = std::chrono::milliseconds{0}, .commitHorizon = commitHorizon}};
  }
  void begin(const QueryFn& writer) { execute(writer, {server.isPostgres() ? "BEGIN" : "START TRANSACTION"}); }
};
TIDEGATE_FOR_BOTH_SERVERS(ServerLateCommit);

TEST_P(ServerLateCommit, NothingIsLostWithACommitHorizon) {
  Polling polling(server, orders(true));
  std::vector<QueryFn> writers;
  for (int i = 0; i < 3; ++i) {  // each holds its transaction open over several polls
    writers.push_back(server.writer());
    begin(writers.back());
    put(writers.back(), 100 + i);
    put(admin, i + 1);
    polling.poll();
    EXPECT_TRUE(polling.has(std::to_string(i + 1))) << "what is committed is not held back";
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(polling.has(std::to_string(100 + i)));
    execute(writers[static_cast<std::size_t>(i)], {"COMMIT"});
    put(admin, 10 + i);
    polling.poll();
    EXPECT_TRUE(polling.has(std::to_string(100 + i)));
    polling.expectEqualToSource();
  }
}

// The control: were the horizon without effect, the test above would prove nothing.
TEST_P(ServerLateCommit, WithoutItAndWithoutLookbackTheRowIsMissed) {
  Polling polling(server, orders(false));
  const QueryFn writer = server.writer();
  begin(writer);
  put(writer, 100);
  put(admin, 1);
  polling.poll();
  execute(writer, {"COMMIT"});
  put(admin, 2);
  polling.poll();
  EXPECT_TRUE(polling.has("2"));
  EXPECT_FALSE(polling.has("100"));
}

TEST_P(ServerLateCommit, APreparedTransactionIsWaitedForToo) {
  Polling polling(server, orders(true));
  {
    const QueryFn writer = server.writer();
    if (server.isPostgres()) {
      begin(writer);
      put(writer, 100);
      execute(writer, {"PREPARE TRANSACTION 'late'"});
    } else {
      execute(writer, {"XA START 'late'"});
      put(writer, 100);
      execute(writer, {"XA END 'late'", "XA PREPARE 'late'"});
    }
  }  // its connection is gone, the transaction is not
  for (int i = 1; i <= 3; ++i) {
    put(admin, i);
    polling.poll();
    EXPECT_FALSE(polling.has("100"));
  }
  const auto commit = [&] {
    try {
      execute(admin, {server.isPostgres() ? "COMMIT PREPARED 'late'" : "XA COMMIT 'late'"});
      return true;
    } catch (const Error&) {
      return false;  // MariaDB lets go of the closed connection in its own time
    }
  };
  ASSERT_TRUE(eventually(commit));
  put(admin, 10);
  polling.poll();
  polling.expectEqualToSource();
}

TEST_P(ServerLateCommit, WithoutTheRightToSeeOthersThePollSaysWhichGrantMendsIt) {
  if (server.isPostgres()) {
    if (!readAll(admin, "SELECT 1 FROM pg_roles WHERE rolname = 'horizonless'").empty()) {
      execute(admin, {"DROP OWNED BY horizonless", "DROP ROLE horizonless"});
    }
    execute(admin, {"CREATE ROLE horizonless LOGIN PASSWORD 'pw'", "GRANT SELECT ON orders TO horizonless"});
  } else {
    execute(admin, {"DROP USER IF EXISTS horizonless@localhost", "CREATE USER horizonless@localhost IDENTIFIED BY 'pw'",
                    "GRANT SELECT ON tidegate.* TO horizonless@localhost"});
  }
  const QueryFn writer = server.writer();
  begin(writer);
  put(writer, 100);
  Polling polling(server, orders(true), {.user = "horizonless", .password = "pw"});
  const Error e = polling.pollBadly();
  EXPECT_EQ(e.code(), ErrorCode::permissionDenied) << e.what();
  EXPECT_NE(e.message().find("GRANT"), std::string::npos) << e.what();
  execute(writer, {"ROLLBACK"});
}

}  // namespace
}  // namespace tidegate::servers
