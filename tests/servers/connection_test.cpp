/// Logging in, TLS, and connections that break.
#include <thread>

#include "servers/server_test.h"

namespace tidegate::servers {
namespace {

class ServerConnection : public ServerTest {
 protected:
  std::string tlsFile(const char* name) { return environment("TIDEGATE_TLS_DIR") + "/" + name; }
  std::uint16_t port() {
    return static_cast<std::uint16_t>(
        std::stoi(environment(server.isPostgres() ? "TIDEGATE_POSTGRES_PORT" : "TIDEGATE_MYSQL_PORT")));
  }
  /// Over TCP to a host name under which the server listens.
  Access tcp(const std::string& host, Access::Tls tls, const std::string& caFile = {}) {
    return {.host = host, .port = port(), .tls = tls, .caFile = caFile};
  }
  /// "t" or a cipher's name where this connection is encrypted; empty where not.
  std::string encryption(const QueryFn& query) {
    if (!server.isPostgres()) return describe(readAll(query, "SHOW SESSION STATUS LIKE 'Ssl_cipher'")[0][1]);
    return describe(readAll(
        query,
        "SELECT CASE WHEN ssl THEN cipher ELSE '' END AS c FROM pg_stat_ssl WHERE pid = pg_backend_pid()")[0][0]);
  }
  Error failureOf(const Access& access) {
    return errorOf([&] { readAll(server.connect(access), "SELECT 1 AS n"); });
  }
};
TIDEGATE_FOR_BOTH_SERVERS(ServerConnection);

TEST_P(ServerConnection, AWrongPasswordIsNotRepeatedInTheMessage) {
  for (const Access& access : {Access{.password = "wr0ng-guess"}, tcp("127.0.0.1", Access::Tls::off)}) {
    Access with = access;
    with.password = "wr0ng-guess";
    const Error e = failureOf(with);
    EXPECT_EQ(e.code(), ErrorCode::authenticationFailed) << e.what();
    EXPECT_EQ(e.retry(), Retry::afterOperator);
    EXPECT_EQ(std::string(e.what()).find("wr0ng-guess"), std::string::npos) << e.what();
    EXPECT_EQ(std::string(e.what()).find("tidegate-secret"), std::string::npos) << e.what();
  }
}

TEST_P(ServerConnection, AnUnknownUserIsAnAuthenticationFailure) {
  EXPECT_EQ(failureOf({.user = "nobody_here", .password = "x"}).code(), ErrorCode::authenticationFailed);
}

TEST_P(ServerConnection, AnUnknownDatabaseIsNamed) {
  const Error e = failureOf({.database = "no_such_db"});
  EXPECT_EQ(e.code(), ErrorCode::connectionFailed);
  EXPECT_EQ(e.retry(), Retry::afterOperator);
  EXPECT_NE(e.message().find("no_such_db"), std::string::npos) << e.what();
}

TEST_P(ServerConnection, AServerThatIsNotThereIsForLater) {
  const Error e = failureOf({.host = "127.0.0.1", .port = 1});
  EXPECT_EQ(e.code(), ErrorCode::connectionFailed);
  EXPECT_EQ(e.retry(), Retry::later);
  EXPECT_NE(e.message().find("127.0.0.1:1"), std::string::npos) << e.what();
}

TEST_P(ServerConnection, VerifyFullAcceptsTheRightName) {
  const QueryFn query = server.connect(tcp("localhost", Access::Tls::verifyFull, tlsFile("ca.pem")));
  EXPECT_NE(encryption(query), "\"\"");
}

TEST_P(ServerConnection, VerifyFullRefusesAnotherName) {
  const Error e = failureOf(tcp("127.0.0.1", Access::Tls::verifyFull, tlsFile("ca.pem")));
  EXPECT_EQ(e.code(), ErrorCode::connectionFailed) << e.what();
  EXPECT_EQ(e.retry(), Retry::afterOperator) << e.what();
  EXPECT_NE(e.message().find("caFile"), std::string::npos) << e.what();
}

TEST_P(ServerConnection, VerifyFullRefusesAnotherAuthority) {
  for (const std::string& ca : {tlsFile("other-ca.pem"), std::string()}) {
    const Error e = failureOf(tcp("localhost", Access::Tls::verifyFull, ca));
    EXPECT_EQ(e.code(), ErrorCode::connectionFailed) << e.what();
    EXPECT_EQ(e.retry(), Retry::afterOperator) << e.what();
  }
}

TEST_P(ServerConnection, UnverifiedIsStillEncrypted) {
  const QueryFn query = server.connect(tcp("127.0.0.1", Access::Tls::requireUnverified));
  EXPECT_NE(encryption(query), "\"\"");
}

TEST_P(ServerConnection, OffIsPlainText) {
  EXPECT_EQ(encryption(server.connect(tcp("127.0.0.1", Access::Tls::off))), "\"\"");
}

TEST_P(ServerConnection, ALostConnectionIsMadeAgainWithItsSession) {
  const QueryFn query = server.connect();
  const std::string zone =
      server.isPostgres() ? "SELECT current_setting('TimeZone') AS z" : "SELECT @@session.time_zone AS z";
  const Value before = readAll(query, zone)[0][0];
  const std::string self = server.isPostgres() ? "SELECT pg_backend_pid() AS id" : "SELECT CONNECTION_ID() AS id";
  const std::string id = describe(readAll(query, self)[0][0]);
  execute(admin, {server.isPostgres() ? "SELECT pg_terminate_backend(" + id + ")" : "KILL " + id});
  const auto answers = [&] {
    try {
      return describe(readAll(query, self)[0][0]) != id;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::connectionFailed) << e.what();
      EXPECT_EQ(e.retry(), Retry::later) << e.what();
      return false;
    }
  };
  EXPECT_TRUE(eventually(answers));
  EXPECT_TRUE(readAll(query, zone)[0][0] == before);
}

TEST_P(ServerConnection, AServerKilledDuringAStreamFailsItAndIsFoundAgain) {
  const QueryFn query = server.connect();
  std::vector<Value> row;
  {
    ResultSet result = query(Query{.sql = server.slowRows("server_dies"), .wholeResult = true});
    ASSERT_TRUE(result.next(row));
    server.control("kill9");
    const Error e = errorOf([&] {
      while (result.next(row)) {
      }
    });
    EXPECT_EQ(e.code(), ErrorCode::connectionFailed) << e.what();
    EXPECT_EQ(e.retry(), Retry::later) << e.what();
  }
  EXPECT_EQ(errorOf([&] { readAll(query, "SELECT 1 AS n"); }).code(), ErrorCode::connectionFailed);
  server.control("start");
  EXPECT_EQ(readAll(query, server.numbers(3)).size(), 3u);
}

TEST_P(ServerConnection, AServerKilledDuringAPageFailsIt) {
  const QueryFn query = server.connect();
  std::jthread killer([&] {
    eventually([&] { return server.running(admin, "dies_in_page") > 0; });
    server.control("kill9");
  });
  const Error e = errorOf([&] { readAll(query, server.sleeping("dies_in_page")); });
  EXPECT_EQ(e.code(), ErrorCode::connectionFailed) << e.what();
  killer.join();
  server.control("start");
  EXPECT_EQ(readAll(query, server.numbers(3)).size(), 3u);
}

}  // namespace
}  // namespace tidegate::servers
