/// Connect options are settled before anything is connected.
#include <gtest/gtest.h>

#include "servers/support.h"
#include "tidegate/mysql/query_fn.h"
#include "tidegate/postgres/query_fn.h"

namespace tidegate::servers {
namespace {

Error refusedPostgres(const postgres::ConnectOptions& options) {
  return errorOf([&] { postgres::queryFn(options); });
}
Error refusedMysql(const mysql::ConnectOptions& options) {
  return errorOf([&] { mysql::queryFn(options); });
}

TEST(PostgresOptions, RefuseAUrlThatDoesNotParseWithoutRepeatingIt) {
  for (const std::string url :
       {"postgresql://u:s3cr3t@[::1/db", "hots=x password=s3cr3t", "postgresql://u:s3cr3t%zz@h/db"}) {
    const Error e = refusedPostgres({.url = url});
    EXPECT_EQ(e.code(), ErrorCode::invalidConfig);
    EXPECT_EQ(std::string(e.what()).find("s3cr3t"), std::string::npos) << e.what();
  }
}

TEST(PostgresOptions, RefuseTlsThatMayBeNone) {
  for (const std::string mode : {"prefer", "allow"}) {
    const Error e = refusedPostgres({.url = "postgresql://h/db?sslmode=" + mode});
    EXPECT_EQ(e.code(), ErrorCode::invalidConfig);
    EXPECT_NE(e.message().find("verifyFull"), std::string::npos) << e.what();
  }
}

TEST(PostgresOptions, RefuseContradictions) {
  EXPECT_EQ(refusedPostgres({.caFile = "/ca.pem"}).code(), ErrorCode::invalidConfig);
  EXPECT_EQ(refusedPostgres({.tls = postgres::TlsMode::requireUnverified, .caFile = "/ca.pem"}).code(),
            ErrorCode::invalidConfig);
  EXPECT_EQ(refusedPostgres({.connectTimeout = std::chrono::milliseconds{0}}).code(), ErrorCode::invalidConfig);
  EXPECT_EQ(refusedPostgres({.statementTimeout = std::chrono::milliseconds{-1}}).code(), ErrorCode::invalidConfig);
  EXPECT_EQ(refusedPostgres({.user = std::string("a\0b", 3)}).code(), ErrorCode::invalidConfig);
}

// "require" verifies nothing in libpq; here whoever asks for TLS gets it verified.
TEST(PostgresOptions, SslmodeRequireVerifies) {
  const std::string url =
      "postgresql://tidegate:tidegate-secret@127.0.0.1:" + environment("TIDEGATE_POSTGRES_PORT") + "/tidegate?sslmode=";
  const std::string ca = environment("TIDEGATE_TLS_DIR") + "/ca.pem";
  EXPECT_EQ(errorOf([&] { readAll(postgres::queryFn({.url = url + "require", .caFile = ca}), "SELECT 1"); }).code(),
            ErrorCode::connectionFailed);
  EXPECT_EQ(readAll(postgres::queryFn({.url = url + "verify-ca", .caFile = ca}), "SELECT 1").size(), 1u);
}

TEST(PostgresOptions, ExtraSettingsAreSet) {
  const QueryFn query = postgres::queryFn(
      {.url = environment("TIDEGATE_POSTGRES_URL"), .applicationName = "it's me", .settings = {{"work_mem", "12MB"}}});
  const Rows rows = readAll(query, "SELECT current_setting('work_mem') AS m, current_setting('application_name') AS a");
  EXPECT_TRUE(rows[0][0] == Value("12MB"));
  EXPECT_TRUE(rows[0][1] == Value("it's me"));
}

TEST(MysqlOptions, RefuseAUrlThatDoesNotParseWithoutRepeatingIt) {
  for (const std::string url :
       {"postgresql://u:s3cr3t@h/db", "u:s3cr3t@h", "mysql://u:s3cr3t%@h/db", "mysql://u:s3cr3t@h:0/db",
        "mysql://u:s3cr3t@h:port/db", "mysql://u:s3cr3t@h/db?sslmode=require"}) {
    const Error e = refusedMysql({.url = url});
    EXPECT_EQ(e.code(), ErrorCode::invalidConfig) << url;
    EXPECT_EQ(std::string(e.what()).find("s3cr3t"), std::string::npos) << e.what();
  }
}

TEST(MysqlOptions, RefuseTlsThatMayBeNone) {
  for (const std::string mode : {"PREFERRED", "VERIFY_CA", "maybe"}) {
    EXPECT_EQ(refusedMysql({.url = "mysql://h/db?ssl-mode=" + mode}).code(), ErrorCode::invalidConfig);
  }
}

TEST(MysqlOptions, RefuseContradictions) {
  EXPECT_EQ(refusedMysql({.caFile = "/ca.pem"}).code(), ErrorCode::invalidConfig);
  EXPECT_EQ(refusedMysql({.host = "h", .unixSocket = "/s"}).code(), ErrorCode::invalidConfig);
  EXPECT_EQ(refusedMysql({.unixSocket = "/s", .tls = mysql::TlsMode::verifyFull}).code(), ErrorCode::invalidConfig);
  EXPECT_EQ(refusedMysql({.tls = mysql::TlsMode::requireUnverified, .caFile = "/ca.pem"}).code(),
            ErrorCode::invalidConfig);
  EXPECT_EQ(refusedMysql({.connectTimeout = std::chrono::milliseconds{0}}).code(), ErrorCode::invalidConfig);
}

TEST(MysqlOptions, SslModeRequiredVerifies) {
  const std::string url = "mysql://tidegate:tidegate-secret@127.0.0.1:" + environment("TIDEGATE_MYSQL_PORT") +
                          "/tidegate?ssl-mode=required";
  const std::string ca = environment("TIDEGATE_TLS_DIR") + "/ca.pem";
  EXPECT_EQ(errorOf([&] { readAll(mysql::queryFn({.url = url, .caFile = ca}), "SELECT 1"); }).code(),
            ErrorCode::connectionFailed);
  EXPECT_EQ(readAll(mysql::queryFn({.url = url, .host = "localhost", .caFile = ca}), "SELECT 1").size(), 1u);
}

}  // namespace
}  // namespace tidegate::servers
