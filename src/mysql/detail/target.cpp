#include "mysql/detail/target.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace tidegate::mysql::detail {
namespace {

/// InnoDB's limits of an index: octets in all, and utf8mb4 characters that may take four each.
constexpr std::size_t kMaxKeyOctets = 3072;
constexpr std::size_t kMaxNameCharacters = 64;

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

[[noreturn]] void refuse(const TargetName& name, const std::string& what) {
  throw Error(ErrorCode::invalidConfig, Retry::afterOperator, fmt::format("target table \"{}\": {}", name.text, what));
}

void checkIdentifier(std::string_view name) {
  const auto characters = std::count_if(name.begin(), name.end(), [](char c) { return (c & 0xC0) != 0x80; });
  const bool beyond =
      std::any_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) >= 0xF0; });
  if (static_cast<std::size_t>(characters) <= kMaxNameCharacters && !name.ends_with(' ') && !beyond) return;
  throw Error(
      ErrorCode::invalidConfig, Retry::afterOperator,
      fmt::format("\"{}\" is no name that MySQL and MariaDB take (at most 64 characters, none beyond U+FFFF, no "
                  "space at the end): give the table or column another by the pipeline's route",
                  name));
}

bool isKey(const Shape& shape, const std::string& column) {
  const auto& key = shape->schema.primaryKey;
  return std::find(key.begin(), key.end(), column) != key.end();
}

/// Octets that one key column may take where several share the index.
std::size_t keyShare(const Shape& shape) { return kMaxKeyOctets / shape->key.size(); }

/// "numeric(10,2)" or "decimal(10,2)" as precision and scale that a DECIMAL can have.
bool decimalLimits(std::string_view type, int& precision, int& scale) {
  const auto open = type.find('(');
  if (open == std::string_view::npos || (!type.starts_with("numeric") && !type.starts_with("decimal"))) return false;
  return std::sscanf(std::string(type.substr(open)).c_str(), "(%d,%d)", &precision, &scale) == 2 && precision >= 1 &&
         precision <= 65 && scale >= 0 && scale <= 30 && scale <= precision;
}

std::size_t declaredLength(std::string_view type, std::size_t otherwise) {
  if (!has(type, "char")) return otherwise;
  const auto open = type.find('(');
  unsigned length = 0;
  if (open == std::string_view::npos || std::sscanf(std::string(type.substr(open)).c_str(), "(%u)", &length) != 1) {
    return otherwise;
  }
  return std::min<std::size_t>(length, otherwise);
}

std::string textDefinition(const SinkConnection& connection, const Shape& shape, const ColumnSchema& column) {
  const std::string exact = fmt::format(" CHARACTER SET utf8mb4 COLLATE {}", connection.exactCollation());
  if (!isKey(shape, column.name)) return "longtext" + exact;
  return fmt::format("varchar({})", declaredLength(column.sourceType, keyShare(shape) / 4)) + exact;
}

bool isLongText(const CatalogColumn& c) {
  return c.dataType == "longtext" || c.dataType == "mediumtext" || c.dataType == "text";
}
bool isAnyText(const CatalogColumn& c) { return isLongText(c) || c.dataType == "varchar" || c.dataType == "tinytext"; }

/// Whether the DECIMAL there holds every value that the source's type can.
bool decimalFits(const ColumnSchema& column, const CatalogColumn& there) {
  int precision = 0, scale = 0, sourcePrecision = 0, sourceScale = 0;
  if (!decimalLimits(there.type, precision, scale)) return false;
  if (column.kind == ValueKind::uint64) return precision - scale >= 20;
  if (column.kind == ValueKind::int64) return precision - scale >= 19;
  return decimalLimits(column.sourceType, sourcePrecision, sourceScale) && scale >= sourceScale &&
         precision - scale >= sourcePrecision - sourceScale;
}

bool isWholeNumber(const CatalogColumn& c) {
  return c.dataType == "bigint" || c.dataType == "int" || c.dataType == "mediumint" || c.dataType == "smallint" ||
         c.dataType == "tinyint";
}

bool putInto(const ColumnSchema& column, const CatalogColumn& there, Put& put) {
  const auto either = [&](Put p, bool fits) { return put = p, fits; };
  const std::string& type = there.dataType;
  if (there.charset == "utf8mb4" && isAnyText(there) && column.kind != ValueKind::text) {
    return either(column.kind == ValueKind::null ? Put::tagged : Put::textForm, true);
  }
  switch (column.kind) {
    case ValueKind::null:
      return false;
    case ValueKind::boolean:
      return either(Put::boolean, isWholeNumber(there));
    case ValueKind::int64:
      return either(Put::integer, isWholeNumber(there) || type == "year" || decimalFits(column, there));
    case ValueKind::uint64:
      return either(Put::unsignedInteger,
                    there.type.starts_with("bigint") ? has(there.type, "unsigned") : decimalFits(column, there));
    case ValueKind::real:
      return either(Put::real, type == "double" || (type == "float" && column.sourceType.starts_with("float")));
    case ValueKind::decimal:
      return either(Put::decimal, type == "decimal" && decimalFits(column, there));
    case ValueKind::text:
      return either(Put::text, (there.charset == "utf8mb4" && (isAnyText(there) || type == "char")) || type == "enum" ||
                                   type == "set" || type == "uuid" || type == "inet6");
    case ValueKind::bytes:
      return either(Put::bytes, has(type, "blob") || type == "varbinary");
    case ValueKind::date:
      return either(Put::date, type == "date");
    case ValueKind::time:
      return either(Put::time, type == "time" && (there.type == "time(6)" || there.type == column.sourceType));
    case ValueKind::timestamp:
      return either(Put::dateTime,
                    zoneOf(column.sourceType) >= 0 && (there.type == "datetime(6)" || there.type == column.sourceType));
    case ValueKind::uuid:
      return either(Put::textForm, type == "uuid" || there.type == "char(36)");
    case ValueKind::json:
      return either(Put::textForm, type == "json");
  }
  return false;
}

std::string keyMarkFor(const ColumnPlan& plan, const CatalogColumn& there) {
  if (plan.put == Put::bytes) return "UNHEX(?)";
  // As text it would be compared as a double.
  return there.dataType == "decimal" ? fmt::format("CAST(? AS {})", there.type) : "?";
}

void checkKey(const SinkConnection& connection, const TargetName& name, const Shape& shape, const CatalogTable& table,
              const std::vector<ColumnPlan>& plans) {
  std::vector<std::string> key;
  std::string list;
  for (const std::uint32_t k : shape->key) {
    key.push_back(plans[k].quotedName);
    list += (list.empty() ? "" : ", ") + plans[k].quotedName;
  }
  std::sort(key.begin(), key.end());
  bool found = false;
  for (const auto& [index, columns] : table.uniqueKeys) {
    std::vector<std::string> there;
    for (const std::string& c : columns) there.push_back(quoted(c));
    std::sort(there.begin(), there.end());
    if (there == key) {
      found = true;
    } else {
      refuse(name,
             fmt::format("its unique index {} is not on ({}), by which the source names rows; an upsert would take "
                         "a row for another: ALTER TABLE {} DROP INDEX {}, or give the pipeline another target",
                         quoted(index), list, name.quotedName, quoted(index)));
    }
  }
  if (!found) {
    refuse(name, fmt::format("its key is not ({}), by which the source names rows: ALTER TABLE {} ADD UNIQUE ({}), or "
                             "give the pipeline another target",
                             list, name.quotedName, list));
  }
  for (const std::uint32_t k : shape->key) {
    const std::string bare = plans[k].quotedName;
    for (const auto& [column, there] : table.columns) {
      const bool exact = there.collation.empty() || there.collation.ends_with("nopad_bin") ||
                         there.collation.ends_with("0900_bin") || there.type == "char(36)" ||
                         there.dataType == "uuid" || there.dataType == "inet6" || there.dataType == "enum";
      if (quoted(column) != bare || exact) continue;
      refuse(name,
             fmt::format("key column \"{}\" has collation {}, which finds texts equal that are not the same (case, "
                         "accents or spaces at the end), and would merge rows: ALTER TABLE {} MODIFY {} {} "
                         "CHARACTER SET utf8mb4 COLLATE {} NOT NULL",
                         column, there.collation, name.quotedName, bare, there.type, connection.exactCollation()));
    }
  }
}

void checkOthers(const TargetName& name, const CatalogTable& table, const std::vector<ColumnPlan>& plans) {
  for (const auto& [column, there] : table.columns) {
    const std::string itself = quoted(column);
    const bool sent = std::any_of(plans.begin(), plans.end(), [&](const auto& p) { return p.quotedName == itself; });
    if (sent || !there.notNull || there.hasDefault || there.generated) continue;
    refuse(name,
           fmt::format("column \"{}\" is NOT NULL without a default, and the source does not send it: ALTER TABLE "
                       "{} MODIFY {} {} NULL",
                       column, name.quotedName, quoted(column), there.definition()));
  }
}

}  // namespace

TargetName::TargetName(std::string_view name, const std::string& connected) : text(name), database(connected) {
  const auto dot = name.find('.');
  const bool divided = dot != std::string_view::npos && dot > 0 && dot + 1 < name.size();
  if (divided) database = name.substr(0, dot);
  table = divided ? name.substr(dot + 1) : name;
  checkIdentifier(database);
  checkIdentifier(table);
  quotedName = divided ? quoted(database) + "." + quoted(table) : quoted(table);
}

std::string CatalogColumn::definition() const {
  return charset.empty() ? type : fmt::format("{} CHARACTER SET {} COLLATE {}", type, charset, collation);
}

CatalogTable readCatalog(SinkConnection& connection, const TargetName& name) {
  CatalogTable out;
  const std::vector<std::string> where = {name.database, name.table};
  const TextRows self = connection.ask(
      "SELECT TABLE_TYPE, ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?", where);
  if (self.empty()) return out;
  out.exists = true;
  out.isInnoDb = self[0][0] == "BASE TABLE" && self[0][1] == "InnoDB";
  for (const auto& row : connection.ask(
           "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME, IS_NULLABLE = 'NO', "
           "COLUMN_DEFAULT IS NOT NULL OR EXTRA LIKE '%auto_increment%', GENERATION_EXPRESSION <> '' FROM "
           "information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?",
           where)) {
    out.columns[*row[0]] = {.dataType = *row[1],
                            .type = *row[2],
                            .charset = row[3].value_or(""),
                            .collation = row[4].value_or(""),
                            .notNull = row[5] == "1",
                            .hasDefault = row[6] == "1",
                            .generated = row[7] == "1"};
  }
  for (const auto& row : connection.ask("SELECT INDEX_NAME, COLUMN_NAME, SUB_PART FROM information_schema.STATISTICS "
                                        "WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND NON_UNIQUE = 0",
                                        where)) {
    // A prefix index names rows by less than the column: marked so that it is no column's name.
    out.uniqueKeys[*row[0]].push_back(row[1].value_or("?") + (row[2] ? " (prefix)" : ""));
  }
  return out;
}

int zoneOf(std::string_view sourceType) {
  if (has(sourceType, "without time zone") || sourceType.starts_with("datetime")) return 0;
  if (has(sourceType, "with time zone") || sourceType.starts_with("timestamp")) return 1;
  return -1;
}

std::string definitionFor(const SinkConnection& connection, const Shape& shape, const ColumnSchema& column) {
  int precision = 0, scale = 0;
  switch (column.kind) {
    case ValueKind::boolean:
      return "tinyint(1)";
    case ValueKind::int64:
      return "bigint";
    case ValueKind::uint64:
      return "bigint unsigned";
    case ValueKind::real:
      return "double";
    case ValueKind::decimal:
      if (!decimalLimits(column.sourceType, precision, scale)) break;
      return fmt::format("decimal({},{})", precision, scale);
    case ValueKind::bytes:
      return isKey(shape, column.name) ? fmt::format("varbinary({})", keyShare(shape)) : "longblob";
    case ValueKind::date:
      return "date";
    case ValueKind::time:
      return "time(6)";
    case ValueKind::timestamp:
      if (zoneOf(column.sourceType) < 0) break;
      return "datetime(6)";
    case ValueKind::uuid:
      return "char(36) CHARACTER SET ascii COLLATE ascii_bin";
    case ValueKind::null:
    case ValueKind::text:
    case ValueKind::json:
      break;
  }
  return textDefinition(connection, shape, column);
}

bool planFor(const ColumnSchema& column, const CatalogColumn& there, ColumnPlan& plan) {
  plan = {
      .name = column.name, .quotedName = quoted(column.name), .kind = column.kind, .zone = zoneOf(column.sourceType)};
  if (!putInto(column, there, plan.put)) return false;
  plan.keyMark = keyMarkFor(plan, there);
  return true;
}

std::string createTableSql(const SinkConnection& connection, const TargetName& name, const Shape& shape,
                           const std::string& softDeleteColumn) {
  std::string sql = "CREATE TABLE IF NOT EXISTS " + name.quotedName + " (", keys;
  for (const ColumnSchema& column : shape->schema.columns) {
    checkIdentifier(column.name);
    const bool nullable = column.nullable && !isKey(shape, column.name);
    sql += fmt::format("{} {} {}, ", quoted(column.name), definitionFor(connection, shape, column),
                       nullable ? "NULL" : "NOT NULL");
  }
  if (!softDeleteColumn.empty()) sql += quoted(softDeleteColumn) + " datetime(6) NULL, ";
  for (const std::string& column : shape->schema.primaryKey) keys += (keys.empty() ? "" : ", ") + quoted(column);
  return sql + "PRIMARY KEY (" + keys + ")) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 ROW_FORMAT = DYNAMIC";
}

std::vector<ColumnPlan> matchColumns(const SinkConnection& connection, const TargetName& name, const Shape& shape,
                                     const CatalogTable& table, const std::string& softDeleteColumn,
                                     const Moved& moved) {
  if (!table.isInnoDb)
    refuse(name, "it is no InnoDB table, so that nothing in it can be undone: ALTER TABLE … ENGINE = InnoDB");
  if (!softDeleteColumn.empty() && shape->columns->find(softDeleteColumn)) {
    refuse(name,
           fmt::format("the source sends a column \"{}\" itself: choose another softDeleteColumn", softDeleteColumn));
  }
  std::vector<ColumnPlan> plans(shape->columns->size());
  for (std::size_t i = 0; i < plans.size(); ++i) {
    const ColumnSchema& column = shape->schema.columns[i];
    const auto now = moved.find(column.name);
    const bool renamed = now != moved.end() && table.columns.count(column.name) == 0;
    const CatalogColumn& there = table.columns.at(renamed ? now->second : column.name);
    if (!planFor(column, there, plans[i])) {
      if (now == moved.end()) {
        refuse(name,
               fmt::format("column \"{}\" is {}, which does not hold every {} exactly: ALTER TABLE {} MODIFY {} {}",
                           column.name, there.type, toString(column.kind), name.quotedName, quoted(column.name),
                           definitionFor(connection, shape, column)));
      }
      plans[i].put = column.kind == ValueKind::text ? Put::text : Put::textForm;  // the server converts it, or refuses
    }
    if (renamed) plans[i].quotedName = quoted(now->second);
    if (there.generated || (there.notNull && column.nullable && !isKey(shape, column.name))) {
      refuse(name,
             fmt::format("column \"{}\" is {}: ALTER TABLE {} MODIFY {} {} NULL", column.name,
                         there.generated ? "generated and cannot be written" : "NOT NULL, and the source's may be null",
                         name.quotedName, quoted(column.name), there.definition()));
    }
  }
  checkKey(connection, name, shape, table, plans);
  checkOthers(name, table, plans);
  return plans;
}

}  // namespace tidegate::mysql::detail
