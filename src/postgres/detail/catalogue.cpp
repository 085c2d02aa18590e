#include "postgres/detail/catalogue.h"

#include <fmt/format.h>

#include "postgres/detail/server_versions.h"
#include "postgres/detail/sql.h"
#include "tidegate/core/error.h"

namespace tidegate::postgres::detail {
namespace {

/// Where a name without a schema is found, first of search_path first.
constexpr const char* kFindTable = R"(
SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND (n.nspname = $2 OR ($2 IS NULL AND n.nspname = ANY (pg_catalog.current_schemas(false))))
ORDER BY pg_catalog.array_position(pg_catalog.current_schemas(false), n.nspname) LIMIT 1)";

/// Sizes of a partitioned table are those of its leaves. A table never analysed is taken for one of 100-octet rows.
constexpr const char* kTable = R"(
WITH leaf AS (
  SELECT l.* FROM pg_catalog.pg_class l WHERE l.oid = $1 AND l.relkind <> 'p'
  UNION ALL
  SELECT l.* FROM pg_catalog.pg_partition_tree($1) t JOIN pg_catalog.pg_class l ON l.oid = t.relid
  WHERE t.isleaf AND t.relid <> $1)
SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, c.relreplident,
  pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND (pg_catalog.has_table_privilege(c.oid, 'SELECT') OR NOT EXISTS (
    SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      AND NOT pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT'))) AS selectable,
  pg_catalog.row_security_active(c.oid) AS secured,
  (SELECT rn.nspname FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
   WHERE c.relispartition AND r.oid = pg_catalog.pg_partition_root(c.oid)) AS root_schema,
  (SELECT r.relname FROM pg_catalog.pg_class r
   WHERE c.relispartition AND r.oid = pg_catalog.pg_partition_root(c.oid)) AS root_name,
  (SELECT coalesce(sum(pg_catalog.pg_relation_size(l.oid)), 0)::int8 FROM leaf l) AS bytes,
  (SELECT coalesce(sum(CASE
     WHEN l.reltuples >= 0 AND l.relpages > 0 THEN l.reltuples / l.relpages *
       (pg_catalog.pg_relation_size(l.oid) / pg_catalog.current_setting('block_size')::float8)
     ELSE pg_catalog.pg_relation_size(l.oid) / 100.0 END), 0)::int8 FROM leaf l) AS estimate,
  (SELECT coalesce(sum(l.relfilenode::int8), 0)::int8 FROM leaf l) AS file
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1)";

/// From 18 on a NOT NULL may be NOT VALID: then rows of before may still have none.
constexpr const char* kColumns = R"(
SELECT a.attname, a.attnum, a.atttypid, a.atttypmod, a.attnotnull AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND NOT k.convalidated
      AND k.conkey = ARRAY[a.attnum]) AS filled, a.attgenerated
FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)";

constexpr const char* kKeys = R"(
SELECT a.attname, i.indisprimary, i.indisreplident
FROM pg_catalog.pg_index i
CROSS JOIN LATERAL pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k(attnum, place)
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = $1 AND i.indisvalid AND (i.indisprimary OR i.indisreplident) AND k.place <= i.indnkeyatts
ORDER BY i.indexrelid, k.place)";

/// The replica identity is the leaf's own, also where changes are published under the root's name.
constexpr const char* kLeaves = R"(
SELECT n.nspname, c.relname, CASE c.relreplident
  WHEN 'f' THEN true
  WHEN 'd' THEN EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid)
  WHEN 'i' THEN EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisreplident AND i.indisvalid)
  ELSE false END AS usable
FROM pg_catalog.pg_partition_tree($1) t
JOIN pg_catalog.pg_class c ON c.oid = t.relid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE t.isleaf AND t.relid <> $1 ORDER BY n.nspname, c.relname)";

void readColumns(PGconn* connection, const std::string& oid, TableFacts& facts) {
  const OwnedResult rows = runSql(connection, kColumns, {oid});
  std::vector<TypeAsked> asked;
  for (int i = 0; i < PQntuples(rows.get()); ++i) {
    ColumnFacts column;
    column.name = cell(rows.get(), i, 0);
    column.number = static_cast<int>(integerCell(rows.get(), i, 1));
    column.nullable = !isTrue(rows.get(), i, 4);
    const std::string_view generated = cell(rows.get(), i, 5);
    if (!generated.empty()) column.generated = static_cast<Generated>(generated.front());
    column.published = column.generated == Generated::no;
    asked.push_back({static_cast<unsigned>(integerCell(rows.get(), i, 2)),
                     static_cast<std::int32_t>(integerCell(rows.get(), i, 3))});
    facts.columns.push_back(std::move(column));
  }
  std::vector<TypeFacts> types = describeTypes(connection, asked);
  for (std::size_t i = 0; i < types.size(); ++i) facts.columns[i].type = std::move(types[i]);
}

void readKeys(PGconn* connection, const std::string& oid, TableFacts& facts) {
  const OwnedResult rows = runSql(connection, kKeys, {oid});
  for (int i = 0; i < PQntuples(rows.get()); ++i) {
    const bool primary = isTrue(rows.get(), i, 1), replica = isTrue(rows.get(), i, 2);
    if (primary) facts.primaryKey.emplace_back(cell(rows.get(), i, 0));
    if ((facts.identity == ReplicaIdentity::byDefault && primary) ||
        (facts.identity == ReplicaIdentity::usingIndex && replica)) {
      facts.identityKey.emplace_back(cell(rows.get(), i, 0));
    }
  }
  facts.identityUsable = facts.identity == ReplicaIdentity::full || !facts.identityKey.empty();
}

void readLeaves(PGconn* connection, const std::string& oid, TableFacts& facts) {
  const OwnedResult rows = runSql(connection, kLeaves, {oid});
  for (int i = 0; i < PQntuples(rows.get()); ++i) {
    facts.leaves.push_back(fullNameOf(cell(rows.get(), i, 0), cell(rows.get(), i, 1)));
    if (!isTrue(rows.get(), i, 2)) facts.leavesWithoutIdentity.push_back(facts.leaves.back());
  }
  facts.identityUsable = facts.leavesWithoutIdentity.empty();
}

/// Whether the publication lists the table, and from 15 on its column list and row filter there.
void readListing(PGconn* connection, const std::string& publication, TableFacts& facts) {
  const bool lists = PQserverVersion(connection) >= kColumnListsSince;
  const std::string sql = fmt::format(
      "SELECT {} FROM pg_catalog.pg_publication_tables p "
      "WHERE p.pubname = $1 AND p.schemaname = $2 AND p.tablename = $3",
      lists
          ? "p.rowfilter, ARRAY(SELECT a.attnum FROM pg_catalog.pg_attribute a WHERE a.attrelid = $4::oid "
            "AND a.attname = ANY (p.attnames))::text, EXISTS (SELECT FROM pg_catalog.pg_publication_rel r JOIN "
            "pg_catalog.pg_publication o ON o.oid = r.prpubid WHERE o.pubname = p.pubname AND r.prrelid = $4::oid AND "
            "r.prattrs IS NOT NULL)"
          : "NULL, NULL, $4::oid");
  const OwnedResult rows = runSql(connection, sql, {publication, facts.schema, facts.name, std::to_string(facts.oid)});
  facts.publication.listed = PQntuples(rows.get()) > 0;
  if (!facts.publication.listed || !lists) return;
  facts.publication.rowFilter = cell(rows.get(), 0, 0);
  std::string numbers{cell(rows.get(), 0, 1)};  // "{1,2}"
  numbers.front() = numbers.back() = ',';
  const bool sendsGenerated = PQserverVersion(connection) >= kGeneratedSince;
  for (ColumnFacts& column : facts.columns) {
    column.published = (sendsGenerated || column.generated == Generated::no) &&
                       numbers.find(fmt::format(",{},", column.number)) != std::string::npos;
  }
  facts.publication.columnList = isTrue(rows.get(), 0, 2);
}

void readPublication(PGconn* connection, const std::string& publication, TableFacts& facts) {
  const std::string viaRoot = PQserverVersion(connection) >= kViaRootSince ? "pubviaroot" : "false";
  const OwnedResult rows = runSql(connection,
                                  "SELECT pubinsert, pubupdate, pubdelete, pubtruncate, " + viaRoot +
                                      " FROM pg_catalog.pg_publication WHERE pubname = $1",
                                  {publication});
  PublicationFacts& out = facts.publication;
  out.exists = PQntuples(rows.get()) > 0;
  if (!out.exists) {
    out.listed = false;
    return;
  }
  out.inserts = isTrue(rows.get(), 0, 0);
  out.updates = isTrue(rows.get(), 0, 1);
  out.erases = isTrue(rows.get(), 0, 2);
  out.truncates = isTrue(rows.get(), 0, 3);
  out.viaRoot = isTrue(rows.get(), 0, 4);
  readListing(connection, publication, facts);
}

/// The row of kTable.
TableFacts tableRow(const PGresult* rows) {
  TableFacts facts;
  facts.oid = static_cast<unsigned>(integerCell(rows, 0, 0));
  facts.schema = cell(rows, 0, 1);
  facts.name = cell(rows, 0, 2);
  facts.kind = cell(rows, 0, 3).front();
  facts.persistence = cell(rows, 0, 4).front();
  facts.identity = static_cast<ReplicaIdentity>(cell(rows, 0, 5).front());
  facts.canSelect = isTrue(rows, 0, 6);
  facts.rowSecurity = isTrue(rows, 0, 7);
  if (!cell(rows, 0, 9).empty()) facts.root = fullNameOf(cell(rows, 0, 8), cell(rows, 0, 9));
  facts.bytes = integerCell(rows, 0, 10);
  facts.estimatedRows = static_cast<double>(integerCell(rows, 0, 11));
  facts.file = integerCell(rows, 0, 12);
  return facts;
}

}  // namespace

std::optional<TableFacts> readTableFacts(PGconn* connection, const std::string& table, const std::string& publication) {
  const TableName name = parseTableName(table);
  const OwnedResult found =
      runSql(connection, kFindTable, {name.name, name.schema.empty() ? std::nullopt : std::optional(name.schema)});
  if (PQntuples(found.get()) == 0) return std::nullopt;
  const std::string oid{cell(found.get(), 0, 0)};
  const OwnedResult rows = runSql(connection, kTable, {oid});
  if (PQntuples(rows.get()) == 0) return std::nullopt;  // dropped just now
  TableFacts facts = tableRow(rows.get());
  facts.serverVersion = PQserverVersion(connection);
  readColumns(connection, oid, facts);
  readKeys(connection, oid, facts);
  if (facts.kind == 'p') readLeaves(connection, oid, facts);
  if (!publication.empty()) readPublication(connection, publication, facts);
  return facts;
}

TableFacts requireTable(PGconn* connection, const std::string& table, const std::string& publication) {
  std::optional<TableFacts> facts = readTableFacts(connection, table, publication);
  if (!facts) {
    throw Error(
        ErrorCode::tableNotFound, Retry::afterOperator,
        fmt::format("there is no table \"{}\" in this database; check its name, its schema and search_path", table));
  }
  return *std::move(facts);
}

}  // namespace tidegate::postgres::detail
