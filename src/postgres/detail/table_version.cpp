#include "postgres/detail/table_version.h"

#include <fmt/format.h>

#include <algorithm>

#include "postgres/detail/catalogue.h"
#include "postgres/detail/encode.h"
#include "postgres/detail/sql.h"
#include "postgres/detail/type_map.h"
#include "tidegate/core/query.h"

namespace tidegate::postgres::detail {
namespace {

/// A partitioned table has no rows of its own: its partitions' columns tell whether they were filled. What a slot may
/// still read is described by rows of its catalog_xmin and older, so an older row was there before all of it.
constexpr const char* kVersion = R"(
SELECT a.attname, a.attnum, a.atttypid, a.atttypmod, c.relnatts,
  a.atthasdef OR a.attidentity <> '' OR EXISTS (
    SELECT FROM pg_catalog.pg_attribute m
    WHERE m.atthasmissing AND m.attname = a.attname AND (m.attrelid = c.oid
      OR (c.relkind = 'p' AND m.attrelid IN (SELECT t.relid FROM pg_catalog.pg_partition_tree(c.oid) t)))) AS filled,
  pg_catalog.age(a.xmin) BETWEEN 0 AND coalesce((SELECT pg_catalog.age(s.catalog_xmin)
    FROM pg_catalog.pg_replication_slots s WHERE s.slot_name = $2), -1) AS recent
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
WHERE c.oid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)";

constexpr const char* kFingerprints = R"(
SELECT a.attrelid, pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws(' ', a.attnum, a.attname, a.atttypid,
  a.atttypmod, a.attisdropped, a.attnotnull), ',' ORDER BY a.attnum))
FROM pg_catalog.pg_attribute a WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 GROUP BY 1)";

std::string quoted(const std::string& column) { return quoteIdentifier(Dialect::postgres, column); }

/// SELECT of the unchanged columns by key; `params` gets the key's values.
std::string lookupSql(const ChangeEvent& event, std::vector<Value>& params) {
  const ColumnList& columns = *event.shape->columns;
  std::string selected, condition;
  for (const std::uint32_t i : event.unchanged) selected += (selected.empty() ? "" : ", ") + quoted(columns[i]);
  for (const std::uint32_t i : event.shape->key) {
    params.push_back(event.after[i]);
    condition += fmt::format("{}{} = ${}", condition.empty() ? "" : " AND ", quoted(columns[i]), params.size());
  }
  const TableName name = parseTableName(event.shape->schema.table);
  return fmt::format("SELECT {} FROM {} WHERE {}", selected, quotedName(name.schema, name.name), condition);
}

}  // namespace

TableVersion readTableVersion(PGconn* connection, unsigned oid, const std::string& slot) {
  const OwnedResult rows = runSql(connection, kVersion, {std::to_string(oid), slot});
  TableVersion version;
  for (int i = 0; i < PQntuples(rows.get()); ++i) {
    version.highestNumber = static_cast<int>(integerCell(rows.get(), i, 4));
    version.columns.push_back({std::string(cell(rows.get(), i, 0)), static_cast<int>(integerCell(rows.get(), i, 1)),
                               static_cast<unsigned>(integerCell(rows.get(), i, 2)),
                               static_cast<std::int32_t>(integerCell(rows.get(), i, 3)), isTrue(rows.get(), i, 5)});
    version.recent = version.recent || isTrue(rows.get(), i, 6);
  }
  return version;
}

TableSeen seeTable(PGconn* connection, const std::string& table, const std::string& publication,
                   const std::string& slot) {
  runSql(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");  // several questions, one moment
  try {
    TableSeen seen{readTableFacts(connection, table, publication), {}};
    if (seen.facts) seen.version = readTableVersion(connection, seen.facts->oid, slot);
    runSql(connection, "COMMIT");
    return seen;
  } catch (const Error&) {
    if (PQstatus(connection) == CONNECTION_OK) runSql(connection, "ROLLBACK");
    throw;
  }
}

std::map<unsigned, std::string> readFingerprints(PGconn* connection, const std::vector<unsigned>& oids) {
  std::string list = "{";
  for (const unsigned oid : oids) list += (list.size() > 1 ? "," : "") + std::to_string(oid);
  const OwnedResult rows = runSql(connection, kFingerprints, {list + "}"});
  std::map<unsigned, std::string> prints;
  for (int i = 0; i < PQntuples(rows.get()); ++i) {
    prints[static_cast<unsigned>(integerCell(rows.get(), i, 0))] = cell(rows.get(), i, 1);
  }
  return prints;
}

void fillUnchanged(PGconn* connection, bool trustedEncoding, ChangeEvent& event) {
  std::vector<Value> key;
  const std::string sql = lookupSql(event, key);
  if (key.empty() || std::any_of(key.begin(), key.end(), [](const Value& v) { return v.isNull(); })) return;
  const EncodedParams encoded = encodeParams(key);
  SqlParams params;
  for (const char* text : encoded.pointers) params.emplace_back(text);
  const OwnedResult rows = runSql(connection, sql, params);
  if (PQntuples(rows.get()) != 1) return;
  std::vector<TypeAsked> asked;
  for (int i = 0; i < PQnfields(rows.get()); ++i) asked.push_back({PQftype(rows.get(), i), PQfmod(rows.get(), i)});
  const std::vector<TypeFacts> types = describeTypes(connection, asked);
  for (std::size_t i = 0; i < event.unchanged.size(); ++i) {
    const int column = static_cast<int>(i);
    Value& value = event.after[event.unchanged[i]];
    value = Null{};
    if (PQgetisnull(rows.get(), 0, column) == 0) {
      mappingOf(types[i].baseOid, trustedEncoding).text(cell(rows.get(), 0, column), value);
    }
  }
  event.unchanged.clear();
}

}  // namespace tidegate::postgres::detail
