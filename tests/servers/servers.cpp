#include "servers/servers.h"

#include "tidegate/mysql/query_fn.h"
#include "tidegate/postgres/query_fn.h"

namespace tidegate::servers {
namespace {

std::uint16_t portOf(const char* variable) { return static_cast<std::uint16_t>(std::stoi(environment(variable))); }

QueryFn connectPostgres(const Access& access) {
  postgres::ConnectOptions options{.url = environment("TIDEGATE_POSTGRES_URL"),
                                   .host = access.host,
                                   .port = access.port,
                                   .user = access.user,
                                   .password = access.password,
                                   .database = access.database,
                                   .caFile = access.caFile,
                                   .connectTimeout = access.connectTimeout,
                                   .statementTimeout = access.statementTimeout,
                                   .readOnly = access.readOnly};
  if (access.tls == Access::Tls::verifyFull) options.tls = postgres::TlsMode::verifyFull;
  if (access.tls == Access::Tls::requireUnverified) options.tls = postgres::TlsMode::requireUnverified;
  return postgres::queryFn(options);
}

QueryFn connectMysql(const Access& access) {
  mysql::ConnectOptions options{.url = environment("TIDEGATE_MYSQL_URL"),
                                .host = access.host,
                                .port = access.port,
                                .user = access.user,
                                .password = access.password,
                                .database = access.database,
                                .caFile = access.caFile,
                                .connectTimeout = access.connectTimeout,
                                .statementTimeout = access.statementTimeout,
                                .readOnly = access.readOnly};
  if (options.port == 0) options.port = portOf("TIDEGATE_MYSQL_PORT");
  if (access.tls == Access::Tls::verifyFull) options.tls = mysql::TlsMode::verifyFull;
  if (access.tls == Access::Tls::requireUnverified) options.tls = mysql::TlsMode::requireUnverified;
  return mysql::queryFn(options);
}

}  // namespace

QueryFn Server::connect(const Access& access) const {
  return isPostgres() ? connectPostgres(access) : connectMysql(access);
}

std::string Server::sleeping(const std::string& marker) const {
  // A SLEEP that ends a MySQL's statement makes no error of it.
  return (isPostgres() ? "SELECT 1 AS n FROM pg_sleep(60) /* "
                       : "SELECT SUM(SLEEP(30)) AS n FROM (SELECT 1 UNION ALL SELECT 2) AS two /* ") +
         marker + " */";
}

std::string Server::slowRows(const std::string& marker) const {
  return (isPostgres()
              ? "SELECT n, pg_sleep(0.005)::text AS s, repeat('x', 1000) AS pad FROM generate_series(1, "
                "100000) AS n /* "
              : "SELECT seq AS n, SLEEP(0.005) AS s, REPEAT('x', 1000) AS pad FROM " + numbersTo(100'000) + " /* ") +
         marker + " */";
}

std::string Server::numbers(std::size_t count) const {
  const std::string last = std::to_string(count);
  return isPostgres() ? "SELECT n FROM generate_series(1, " + last + ") AS n"
                      : "SELECT seq AS n FROM " + numbersTo(count);
}

std::size_t Server::running(const QueryFn& admin, const std::string& marker) const {
  const std::string like = "%/* " + marker + " */";
  return isPostgres()
             ? readAll(admin, Query{.sql = "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1",
                                    .params = {like}})
                   .size()
             : readAll(admin, Query{.sql = "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE ?",
                                    .params = {like}})
                   .size();
}

void Server::cancel(const QueryFn& admin, const std::string& marker) const {
  const std::string like = "%/* " + marker + " */";
  if (isPostgres()) {
    readAll(admin,
            Query{.sql = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE $1", .params = {like}});
    return;
  }
  for (const auto& row : readAll(
           admin, Query{.sql = "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE ?", .params = {like}})) {
    execute(admin, {"KILL QUERY " + describe(row[0])});
  }
}

}  // namespace tidegate::servers
