#include "source/detail/commit_horizon.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <vector>

#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace horizon_detail {

// Every session of this database counts that has a transaction open, with a transaction id or without: one that has
// only read so far may write with its start as the cursor (now() is the start) later on. Hidden sessions show a null
// xact_start. usesysid is null for the server's own workers.
constexpr const char* kPostgres =
    "SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint AS now_micros,"
    " COALESCE((EXTRACT(EPOCH FROM clock_timestamp() - MIN(a.xact_start)) * 1000000)::bigint, 0) AS age_micros,"
    " COUNT(*) FILTER (WHERE a.query = '<insufficient privilege>') AS hidden,"
    " (SELECT COUNT(*) FROM pg_prepared_xacts p WHERE p.database = current_database()) AS prepared"
    " FROM pg_stat_activity a"
    " WHERE a.datid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())"
    " AND a.pid <> pg_backend_pid() AND a.usesysid IS NOT NULL";

// trx_started is in the server's zone and whole seconds; NOW is in the session's. One second more covers a statement
// whose NOW() precedes its InnoDB transaction. A prepared XA transaction keeps its trx_started.
constexpr const char* kMysql =
    "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED) AS now_micros,"
    " COALESCE(TIMESTAMPDIFF(MICROSECOND, MIN(t.trx_started),"
    " CONVERT_TZ(NOW(6), @@session.time_zone, 'SYSTEM')) + 1000000, 0) AS age_micros,"
    " 0 AS hidden, 0 AS prepared"
    " FROM information_schema.innodb_trx t WHERE t.trx_mysql_thread_id <> CONNECTION_ID()";

std::int64_t number(const Value& v, const char* column) {
  if (const auto* i = v.getIf<std::int64_t>()) return *i;
  if (const auto* d = v.getIf<double>()) return static_cast<std::int64_t>(*d);
  std::string_view text;
  if (const auto* d = v.getIf<Decimal>()) text = d->text;
  if (const auto* s = v.getIf<std::string>()) text = *s;
  std::int64_t n = 0;
  if (!text.empty() && std::from_chars(text.data(), text.data() + text.size(), n).ec == std::errc()) return n;
  throw Error(ErrorCode::queryFailed, Retry::later,
              fmt::format("the commit horizon's {} came back as {}, which is no number", column, describe(v)));
}

[[noreturn]] void denied(Dialect dialect, std::string_view why) {
  throw Error(
      ErrorCode::permissionDenied, Retry::afterOperator,
      fmt::format("commitHorizon cannot see other sessions' transactions ({}): {}, or turn commitHorizon off", why,
                  dialect == Dialect::postgres ? "GRANT pg_read_all_stats TO the polling role"
                                               : "GRANT PROCESS ON *.* TO the polling user"));
}

bool isDenied(const Error& e) {
  return e.code() == ErrorCode::permissionDenied || e.message().find("PROCESS") != std::string::npos;
}

}  // namespace horizon_detail

std::string commitHorizonSql(Dialect dialect) {
  return dialect == Dialect::postgres ? horizon_detail::kPostgres : horizon_detail::kMysql;
}

CommitHorizon askCommitHorizon(PollRun& run, Dialect dialect) {
  using namespace horizon_detail;
  Query query;
  query.sql = commitHorizonSql(dialect);
  std::vector<Value> row;
  try {
    GuardedRows rows = run.ask(std::move(query));
    if (!rows.next(row) || row.size() != 4) {
      throw Error(ErrorCode::queryFailed, Retry::later, "the commit horizon's question brought no row of four columns");
    }
  } catch (const Error& e) {
    if (isDenied(e)) denied(dialect, e.message());
    throw;
  }
  if (const std::int64_t hidden = number(row[2], "hidden"); hidden > 0) {
    denied(dialect, fmt::format("{} of them are hidden", hidden));
  }
  CommitHorizon horizon;
  horizon.age = std::chrono::microseconds(std::max<std::int64_t>(0, number(row[1], "age_micros")));
  horizon.oldest = std::chrono::microseconds(number(row[0], "now_micros")) - horizon.age;
  horizon.prepared = number(row[3], "prepared") > 0;
  return horizon;
}

}  // namespace tidegate::detail
