#include "tidegate/postgres/job_driver.h"

#include <fmt/format.h>

#include "postgres/detail/catalogue.h"
#include "tidegate/core/error.h"
#include "tidegate/postgres/query_fn.h"
#include "tidegate/postgres/source.h"

namespace tidegate::postgres {
namespace {

constexpr const char* kFindJobTable = R"(
SELECT c.oid::int8, n.nspname::text, c.relname::text,
  pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AS selectable
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname::text = $1::text AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND (n.nspname::text = $2::text OR ($2::text = '' AND n.nspname = ANY (pg_catalog.current_schemas(false))))
ORDER BY pg_catalog.array_position(pg_catalog.current_schemas(false), n.nspname) LIMIT 1)";

/// A domain's kind is that of its base type, down to the bottom.
constexpr const char* kJobColumns = R"(
SELECT a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, (
  WITH RECURSIVE base AS (
    SELECT t.oid, t.typtype, t.typbasetype FROM pg_catalog.pg_type t WHERE t.oid = a.atttypid
    UNION ALL
    SELECT t.oid, t.typtype, t.typbasetype FROM base b
    JOIN pg_catalog.pg_type t ON b.typtype = 'd' AND t.oid = b.typbasetype)
  SELECT oid::int8 FROM base WHERE typtype <> 'd' LIMIT 1) AS base
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = $1::int8::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)";

/// Columns of expressions have no name; an index with a condition does not serve every row.
constexpr const char* kJobIndexes = R"(
SELECT i.indexrelid::int8, coalesce(a.attname::text, ''), i.indisprimary
FROM pg_catalog.pg_index i
CROSS JOIN LATERAL pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k(attnum, place)
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0
WHERE i.indrelid = $1::int8::oid AND i.indisvalid AND i.indpred IS NULL AND k.place <= i.indnkeyatts
ORDER BY i.indexrelid, k.place)";

/// Of the table, or of the partitions and children that hold its rows: each has its own.
constexpr const char* kJobIdentity = R"(
WITH RECURSIVE parts AS (
  SELECT $1::int8::oid AS oid
  UNION
  SELECT h.inhrelid FROM parts p JOIN pg_catalog.pg_inherits h ON h.inhparent = p.oid)
SELECT DISTINCT c.relreplident = 'f' AS whole, coalesce(a.attname::text, '') AS name
FROM parts p
JOIN pg_catalog.pg_class c ON c.oid = p.oid AND c.relkind = 'r'
LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisvalid
  AND (c.relreplident = 'd' AND i.indisprimary OR c.relreplident = 'i' AND i.indisreplident)
LEFT JOIN LATERAL pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k(attnum, place) ON k.place <= i.indnkeyatts
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
ORDER BY 1, 2)";

std::optional<TlsMode> tlsOf(const JobSource& source) {
  if (!source.tls) return std::nullopt;
  switch (*source.tls) {
    case JobTls::off:
      return TlsMode::off;
    case JobTls::verifyFull:
      return TlsMode::verifyFull;
    case JobTls::verifyCa:
      return TlsMode::verifyCa;
    case JobTls::requireUnverified:
      return TlsMode::requireUnverified;
  }
  return std::nullopt;
}

ConnectOptions connectOptionsOf(const JobSource& source) {
  return {.url = source.dsn,
          .host = source.host,
          .port = source.port,
          .user = source.user,
          .password = source.password,
          .database = source.database,
          .tls = tlsOf(source),
          .caFile = source.caFile,
          .certFile = source.certFile,
          .keyFile = source.keyFile,
          .applicationName = "tidegate-jobs"};
}

void readJobColumns(const QueryFn& query, const Value& oid, const std::stop_token& stop, JobTable& out) {
  ResultSet rows = query({.sql = kJobColumns, .params = {oid}, .stop = stop});
  std::vector<Value> row;
  while (rows.next(row)) {
    ColumnSchema column{.name = row[0].as<std::string>(), .sourceType = row[1].as<std::string>()};
    column.nullable = !row[2].as<bool>();
    column.kind = detail::mappingOf(static_cast<unsigned>(row[3].as<std::int64_t>()), true).kind;
    out.schema.columns.push_back(std::move(column));
  }
}

void readJobIndexes(const QueryFn& query, const Value& oid, const std::stop_token& stop, JobTable& out) {
  ResultSet rows = query({.sql = kJobIndexes, .params = {oid}, .stop = stop});
  std::vector<Value> row;
  Value last;
  while (rows.next(row)) {
    if (!(row[0] == last)) out.indexes.emplace_back();
    last = row[0];
    out.indexes.back().push_back(row[1].as<std::string>());
    if (row[2].as<bool>()) out.schema.primaryKey.push_back(row[1].as<std::string>());
  }
}

void readJobIdentity(const QueryFn& query, const Value& oid, const std::stop_token& stop, JobTable& out) {
  ResultSet rows = query({.sql = kJobIdentity, .params = {oid}, .stop = stop});
  std::vector<Value> row;
  while (rows.next(row)) {
    if (row[0].as<bool>()) out.identityIsWholeRow = true;
    if (const auto& name = row[1].as<std::string>(); !name.empty()) out.identity.push_back(name);
  }
}

JobTable describeJobTable(const QueryFn& query, const std::string& text, const std::stop_token& stop) {
  const detail::TableName name = detail::parseTableName(text);
  std::vector<Value> found;
  {
    ResultSet rows = query({.sql = kFindJobTable, .params = {name.name, name.schema}, .stop = stop});
    if (!rows.next(found)) {
      throw Error(ErrorCode::tableNotFound, Retry::afterOperator,
                  fmt::format("there is no table \"{}\": name one that is there, with its schema", text));
    }
  }
  JobTable out;
  const std::string schema = found[1].as<std::string>(), table = found[2].as<std::string>();
  out.schema.table = detail::fullNameOf(schema, table);
  out.sqlName = quoteIdentifier(Dialect::postgres, schema) + "." + quoteIdentifier(Dialect::postgres, table);
  if (!found[3].as<bool>()) {
    throw Error(ErrorCode::permissionDenied, Retry::afterOperator,
                fmt::format("table {0} may not be read: GRANT USAGE ON SCHEMA {1} and GRANT SELECT ON {0} to the role",
                            out.sqlName, quoteIdentifier(Dialect::postgres, schema)));
  }
  readJobColumns(query, found[0], stop, out);
  readJobIndexes(query, found[0], stop, out);
  readJobIdentity(query, found[0], stop, out);
  return out;
}

std::shared_ptr<SyncSource> streamOf(const JobSource& from, const JobStream& stream) {
  PublicationOptions publication{.name = stream.name};
  if (!stream.columns.empty()) publication.tables[stream.table].columns = stream.columns;
  return source({.connect = connectOptionsOf(from), .slot = stream.name, .publication = std::move(publication)});
}

}  // namespace

JobDriver jobDriver() {
  return {.connect = [](const JobSource& from) { return queryFn(connectOptionsOf(from)); },
          .describe = [](const QueryFn& query, const std::string& table,
                         std::stop_token stop) { return describeJobTable(query, table, stop); },
          .stream = streamOf};
}

}  // namespace tidegate::postgres
