#include "tidegate/mysql/job_driver.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "tidegate/core/error.h"
#include "tidegate/mysql/query_fn.h"

namespace tidegate::mysql {
namespace {

constexpr const char* kJobColumns =
    "SELECT column_name AS c, data_type AS t, column_type AS f, is_nullable AS n FROM information_schema.columns WHERE "
    "table_schema = COALESCE(NULLIF(?, ''), DATABASE()) AND table_name = ? ORDER BY ordinal_position";

constexpr const char* kJobIndexes =
    "SELECT index_name AS i, COALESCE(column_name, '') AS c FROM information_schema.statistics WHERE table_schema = "
    "COALESCE(NULLIF(?, ''), DATABASE()) AND table_name = ? ORDER BY index_name, seq_in_index";

/// "users", or "shop.users": the first dot divides.
std::pair<std::string, std::string> databaseAndTable(const std::string& text) {
  const std::size_t dot = text.find('.');
  if (dot == std::string::npos) return {"", text};
  return {text.substr(0, dot), text.substr(dot + 1)};
}

std::string cellText(const Value& value) {
  if (const auto* text = value.getIf<std::string>()) return *text;
  if (const auto* bytes = value.getIf<Bytes>()) return bytes->octets;
  return "";
}

/// What the query function makes of a type (docs/types.md).
ColumnSchema columnOf(std::string name, const std::string& type, const std::string& full) {
  static constexpr std::array<std::string_view, 6> kIntegers{"tinyint", "smallint", "mediumint",
                                                             "int",     "integer",  "year"};
  static constexpr std::array<std::string_view, 6> kBytes{"binary", "varbinary",  "tinyblob",
                                                          "blob",   "mediumblob", "longblob"};
  const auto in = [&](const auto& names) { return std::find(names.begin(), names.end(), type) != names.end(); };
  ColumnSchema out{.name = std::move(name), .sourceType = full};
  if (in(kIntegers)) {
    out.kind = ValueKind::int64;
  } else if (type == "bigint") {
    out.kind = full.find("unsigned") == std::string::npos ? ValueKind::int64 : ValueKind::uint64;
  } else if (type == "bit") {
    out.kind = ValueKind::uint64;
  } else if (type == "float" || type == "double") {
    out.kind = ValueKind::real;
  } else if (type == "decimal") {
    out.kind = ValueKind::decimal;
  } else if (type == "date") {
    out.kind = ValueKind::date;
  } else if (type == "time") {
    out.kind = ValueKind::time;
  } else if (type == "datetime" || type == "timestamp") {
    out.kind = ValueKind::timestamp;
    out.sourceType = type == "timestamp" ? "timestamp with time zone" : "timestamp without time zone";
  } else if (type == "json") {
    out.kind = ValueKind::json;
  } else if (in(kBytes)) {
    out.kind = ValueKind::bytes;
  } else if (type.ends_with("char") || type.ends_with("text") || type == "enum" || type == "set") {
    out.kind = ValueKind::text;
  } else {
    out.kind = ValueKind::null;  // geometry, and what other servers have: as it comes
  }
  return out;
}

JobTable describeJobTable(const QueryFn& query, const std::string& text, const std::stop_token& stop) {
  const auto [database, table] = databaseAndTable(text);
  JobTable out;
  out.schema.table = text;
  if (!database.empty()) out.sqlName = quoteIdentifier(Dialect::mysql, database) + ".";
  out.sqlName += quoteIdentifier(Dialect::mysql, table);
  std::vector<Value> row;
  {
    ResultSet rows = query({.sql = kJobColumns, .params = {database, table}, .stop = stop});
    while (rows.next(row)) {
      out.schema.columns.push_back(columnOf(cellText(row[0]), cellText(row[1]), cellText(row[2])));
      out.schema.columns.back().nullable = cellText(row[3]) != "NO";
    }
  }
  if (out.schema.columns.empty()) {
    throw Error(
        ErrorCode::tableNotFound, Retry::afterOperator,
        fmt::format("there is no table \"{}\", or it may not be seen: name one that is there, or GRANT SELECT", text));
  }
  ResultSet rows = query({.sql = kJobIndexes, .params = {database, table}, .stop = stop});
  std::string last;
  while (rows.next(row)) {
    const std::string index = cellText(row[0]);
    if (out.indexes.empty() || index != last) out.indexes.emplace_back();
    last = index;
    out.indexes.back().push_back(cellText(row[1]));
    if (index == "PRIMARY") out.schema.primaryKey.push_back(cellText(row[1]));
  }
  return out;
}

ConnectOptions connectOptionsOf(const JobSource& source) {
  ConnectOptions options{.url = source.dsn,
                         .port = source.port,
                         .user = source.user,
                         .password = source.password,
                         .database = source.database,
                         .caFile = source.caFile,
                         .certFile = source.certFile,
                         .keyFile = source.keyFile};
  if (source.host.starts_with("/")) {
    options.unixSocket = source.host;
  } else {
    options.host = source.host;
  }
  if (!source.tls) return options;
  if (*source.tls == JobTls::verifyCa) {
    throw Error(ErrorCode::invalidConfig, Retry::never,
                "source.tls: verify_ca is not for MySQL, whose library checks the name too: use verify_full");
  }
  options.tls = *source.tls == JobTls::off          ? TlsMode::off
                : *source.tls == JobTls::verifyFull ? TlsMode::verifyFull
                                                    : TlsMode::requireUnverified;
  return options;
}

}  // namespace

JobDriver jobDriver() {
  return {.connect = [](const JobSource& from) { return queryFn(connectOptionsOf(from)); },
          .describe = [](const QueryFn& query, const std::string& table,
                         std::stop_token stop) { return describeJobTable(query, table, stop); }};
}

}  // namespace tidegate::mysql
