#include "postgres/detail/target.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace tidegate::postgres::detail {
namespace {

constexpr std::size_t kMaxNameBytes = 63;

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

[[noreturn]] void refuse(const TargetName& name, const std::string& what) {
  throw Error(ErrorCode::invalidConfig, Retry::afterOperator, fmt::format("target table \"{}\": {}", name.text, what));
}

/// Longer names would be cut by the server, silently, and meet others.
void checkLength(std::string_view name) {
  if (name.size() <= kMaxNameBytes) return;
  throw Error(
      ErrorCode::invalidConfig, Retry::afterOperator,
      fmt::format("\"{}\" is longer than the 63 bytes that Postgres keeps of a name: give the target another", name));
}

/// What the source says of a timestamp: 1 with a zone, 0 without, -1 nothing.
int zoneOf(std::string_view sourceType) {
  if (has(sourceType, "without time zone") || sourceType.starts_with("datetime")) return 0;
  if (has(sourceType, "with time zone") || sourceType.starts_with("timestamp")) return 1;
  return -1;
}

bool isText(const std::string& type) { return type == "text" || type == "character varying"; }

/// "numeric(10,2)" as precision and scale; false for an unconstrained one.
bool numericLimits(std::string_view type, int& precision, int& scale) {
  return std::sscanf(std::string(type).c_str(), "numeric(%d,%d)", &precision, &scale) == 2;
}

bool numericFits(const ColumnSchema& column, const std::string& type) {
  if (type == "numeric") return true;
  int precision = 0, scale = 0, sourcePrecision = 0, sourceScale = 0;
  if (!numericLimits(type, precision, scale)) return false;
  if (column.kind == ValueKind::uint64) return precision - scale >= 20;
  if (column.kind == ValueKind::int64) return precision - scale >= 19;
  return numericLimits(column.sourceType, sourcePrecision, sourceScale) && scale >= sourceScale &&
         precision - scale >= sourcePrecision - sourceScale;
}

/// "timestamp(3) with time zone" without its precision, where the source's type has the same: then nothing is rounded.
std::string withoutPrecision(const ColumnSchema& column, const std::string& type) {
  const auto open = type.find('('), close = type.find(')');
  const bool time = type.starts_with("time") || type.starts_with("interval");
  if (!time || type != column.sourceType || close == std::string::npos) return type;
  return type.substr(0, open) + type.substr(close + 1);
}

bool isWholeNumber(const std::string& type) {
  return type == "bigint" || type == "integer" || type == "smallint" || type == "oid";
}

/// The wire for a column of the kind whose type there is `type`; false if there is none.
bool wireInto(const ColumnSchema& column, const CatalogColumn& there, Wire& wire) {
  const std::string type = withoutPrecision(column, there.type);
  const auto either = [&](Wire w, bool fits) { return wire = w, fits; };
  if (isText(type)) return either(Wire::text, true);  // holds the text form of any kind
  switch (column.kind) {
    case ValueKind::null:
      return false;
    case ValueKind::boolean:
      return either(Wire::boolean, type == "boolean");
    case ValueKind::int64:
      return numericFits(column, type) ? either(Wire::numeric, true) : either(Wire::int8, isWholeNumber(type));
    case ValueKind::uint64:
    case ValueKind::decimal:
      return either(Wire::numeric, numericFits(column, type));
    case ValueKind::real:
      return either(Wire::float8, type == "double precision" || (type == "real" && column.sourceType == "real"));
    case ValueKind::text:
      return either(Wire::text, type.starts_with("character varying") || type == "citext" || there.isEnum ||
                                    (!column.sourceType.empty() && type == column.sourceType));
    case ValueKind::bytes:
      return either(Wire::bytea, type == "bytea");
    case ValueKind::date:
      return either(Wire::date, type == "date");
    case ValueKind::time:
      return type == "interval" ? either(Wire::interval, true) : either(Wire::time, type == "time without time zone");
    case ValueKind::timestamp:
      return type == "timestamp with time zone"
                 ? either(Wire::timestamptz, zoneOf(column.sourceType) != 0)
                 : either(Wire::timestamp, type == "timestamp without time zone" && zoneOf(column.sourceType) != 1);
    case ValueKind::uuid:
      return either(Wire::uuid, type == "uuid");
    case ValueKind::json:
      return type == "jsonb" ? either(Wire::jsonb, true) : either(Wire::json, type == "json");
  }
  return false;
}

bool inKey(const Shape& shape, const ColumnSchema& column) {
  const auto& key = shape->schema.primaryKey;
  return std::find(key.begin(), key.end(), column.name) != key.end();
}

std::vector<std::string> sortedKey(const Shape& shape) {
  std::vector<std::string> key = shape->schema.primaryKey;
  std::sort(key.begin(), key.end());
  return key;
}

std::string joined(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + quoted(name);
  return list;
}

void checkKey(const TargetName& name, const Shape& shape, const CatalogTable& table) {
  const std::vector<std::string> key = sortedKey(shape);
  const std::string list = joined(shape->schema.primaryKey);
  if (std::find(table.uniqueKeys.begin(), table.uniqueKeys.end(), key) == table.uniqueKeys.end()) {
    refuse(name, fmt::format("its key is not ({}), by which the source names rows: ALTER TABLE {} ADD UNIQUE ({}), or "
                             "give the pipeline another target",
                             list, name.quoted, list));
  }
  for (const std::string& column : key) {
    if (table.columns.at(column).mergesTexts) {
      refuse(name, fmt::format("key column \"{}\" finds texts equal that are not the same, and would merge rows: ALTER "
                               "TABLE {} ALTER COLUMN {} TYPE text COLLATE \"C\"",
                               column, name.quoted, quoted(column)));
    }
  }
}

/// Columns that the source does not send must be able to do without.
void checkOthers(const TargetName& name, const Shape& shape, const CatalogTable& table) {
  for (const auto& [column, there] : table.columns) {
    if (shape->columns->find(column) || !there.notNull || there.hasDefault || there.generated) continue;
    refuse(name,
           fmt::format("column \"{}\" is NOT NULL without a default, and the source does not send it: ALTER TABLE "
                       "{} ALTER COLUMN {} DROP NOT NULL",
                       column, name.quoted, quoted(column)));
  }
}

void checkColumn(const TargetName& name, const Shape& shape, const ColumnSchema& column, const CatalogColumn& there) {
  if (there.generated) {
    refuse(name, fmt::format("column \"{}\" is generated and cannot be written: ALTER TABLE {} ALTER COLUMN {} DROP "
                             "EXPRESSION, or leave the column out of the pipeline",
                             column.name, name.quoted, quoted(column.name)));
  }
  if (there.notNull && column.nullable && !inKey(shape, column)) {
    refuse(name, fmt::format("column \"{}\" is NOT NULL, and the source's may be null: ALTER TABLE {} ALTER COLUMN {} "
                             "DROP NOT NULL",
                             column.name, name.quoted, quoted(column.name)));
  }
}

const char* const kCatalogColumns = R"(
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       a.atthasdef OR a.attidentity <> '', a.attgenerated <> '' OR a.attidentity = 'a',
       t.typname = 'citext' OR NOT coalesce(l.collisdeterministic, true), t.typtype = 'e'
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_collation l ON l.oid = a.attcollation
WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped)";

const char* const kCatalogKeys = R"(
SELECT i.indexrelid, a.attname
FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey[0:i.indnkeyatts - 1])
WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL
  AND i.indexprs IS NULL
ORDER BY 1, a.attname COLLATE "C")";

}  // namespace

TargetName::TargetName(std::string_view name) : text(name) {
  const auto dot = name.find('.');
  if (dot != std::string_view::npos && dot > 0 && dot + 1 < name.size()) schema = name.substr(0, dot);
  table = schema.empty() ? std::string(name) : std::string(name.substr(dot + 1));
  checkLength(schema);
  checkLength(table);
  quoted = (schema.empty() ? "" : detail::quoted(schema) + ".") + detail::quoted(table);
}

CatalogTable readCatalog(SinkConnection& connection, const TargetName& name) {
  CatalogTable out;
  const SqlResult self =
      connection.ask("SELECT relkind FROM pg_class WHERE oid = to_regclass($1)", {std::optional(name.quoted)});
  if (PQntuples(self.get()) == 0) return out;
  out.exists = true;
  out.kind = cell(self, 0, 0)[0];
  const SqlResult columns = connection.ask(kCatalogColumns, {std::optional(name.quoted)});
  for (int i = 0; i < PQntuples(columns.get()); ++i) {
    out.columns[std::string(cell(columns, i, 0))] = {.type = std::string(cell(columns, i, 1)),
                                                     .notNull = cellIsTrue(columns, i, 2),
                                                     .hasDefault = cellIsTrue(columns, i, 3),
                                                     .generated = cellIsTrue(columns, i, 4),
                                                     .mergesTexts = cellIsTrue(columns, i, 5),
                                                     .isEnum = cellIsTrue(columns, i, 6)};
  }
  const SqlResult keys = connection.ask(kCatalogKeys, {std::optional(name.quoted)});
  for (int i = 0; i < PQntuples(keys.get()); ++i) {
    if (i == 0 || cell(keys, i, 0) != cell(keys, i - 1, 0)) out.uniqueKeys.emplace_back();
    out.uniqueKeys.back().emplace_back(cell(keys, i, 1));
  }
  return out;
}

Wire wireFor(const ColumnSchema& column) {
  switch (column.kind) {
    case ValueKind::boolean:
      return Wire::boolean;
    case ValueKind::int64:
      return Wire::int8;
    case ValueKind::uint64:
    case ValueKind::decimal:
      return Wire::numeric;
    case ValueKind::real:
      return Wire::float8;
    case ValueKind::bytes:
      return Wire::bytea;
    case ValueKind::date:
      return Wire::date;
    case ValueKind::time:  // an interval holds MySQL's 838 hours, and what is negative
      return has(column.sourceType, "without time zone") ? Wire::time : Wire::interval;
    case ValueKind::timestamp: {
      const int zone = zoneOf(column.sourceType);
      return zone == 1 ? Wire::timestamptz : zone == 0 ? Wire::timestamp : Wire::text;
    }
    case ValueKind::uuid:
      return Wire::uuid;
    case ValueKind::json:
      return column.sourceType == "jsonb" ? Wire::jsonb : Wire::json;
    case ValueKind::null:
    case ValueKind::text:
      break;
  }
  return Wire::text;
}

std::string_view typeNameFor(const Shape& shape, const ColumnSchema& column) {
  const Wire wire = wireFor(column);
  return typeOf(wire == Wire::json && inKey(shape, column) ? Wire::text : wire).name;  // no index orders json
}

bool planFor(const ColumnSchema& column, const CatalogColumn& there, ColumnPlan& plan, std::string& remedy) {
  plan = {.name = column.name, .quoted = quoted(column.name), .kind = column.kind};
  remedy = typeOf(wireFor(column)).name;
  if (!wireInto(column, there, plan.wire)) return false;
  plan.exact = there.type == typeOf(plan.wire).name;
  // An assignment refuses a text too long for varchar(n); an explicit cast would cut it.
  const bool assigned = plan.exact || there.type.starts_with("character varying") || plan.wire != Wire::text;
  if (!assigned) plan.cast = "::" + there.type;
  return true;
}

std::string createTableSql(const TargetName& name, const Shape& shape, const std::string& softDeleteColumn) {
  std::string sql = "CREATE TABLE " + name.quoted + " (";
  for (const ColumnSchema& column : shape->schema.columns) {
    checkLength(column.name);
    sql +=
        fmt::format("{} {}{}, ", quoted(column.name), typeNameFor(shape, column), column.nullable ? "" : " NOT NULL");
  }
  if (!softDeleteColumn.empty()) sql += quoted(softDeleteColumn) + " timestamp with time zone, ";
  return sql + "PRIMARY KEY (" + joined(shape->schema.primaryKey) + "))";
}

std::vector<ColumnPlan> matchColumns(const TargetName& name, const Shape& shape, const CatalogTable& table,
                                     const std::string& softDeleteColumn) {
  if (table.kind != 'r' && table.kind != 'p') refuse(name, "it is no table; give the pipeline another target");
  if (!softDeleteColumn.empty() && shape->columns->find(softDeleteColumn)) {
    refuse(name,
           fmt::format("the source sends a column \"{}\" itself: choose another softDeleteColumn", softDeleteColumn));
  }
  std::vector<ColumnPlan> plans(shape->columns->size());
  for (std::size_t i = 0; i < plans.size(); ++i) {
    const ColumnSchema& column = shape->schema.columns[i];
    const CatalogColumn& there = table.columns.at(column.name);
    std::string remedy;
    if (!planFor(column, there, plans[i], remedy)) {
      refuse(name, fmt::format("column \"{}\" is {}, which does not hold every {} exactly: ALTER TABLE {} ALTER COLUMN "
                               "{} TYPE {} USING {}::text::{}",
                               column.name, there.type, toString(column.kind), name.quoted, quoted(column.name), remedy,
                               quoted(column.name), remedy));
    }
    checkColumn(name, shape, column, there);
  }
  checkKey(name, shape, table);
  checkOthers(name, shape, table);
  return plans;
}

}  // namespace tidegate::postgres::detail
