#include "mysql/detail/column_change.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "mysql/detail/binlog_tables.h"

namespace tidegate::mysql::detail {
namespace {

bool among(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

/// 20 of "varchar(20)"; 0: none.
unsigned lengthIn(std::string_view columnType) {
  const auto open = columnType.find('(');
  unsigned length = 0;
  if (open == std::string_view::npos) return 0;
  std::from_chars(columnType.data() + open + 1, columnType.data() + columnType.size(), length);
  return length;
}

int integerRank(std::string_view type) {
  constexpr std::array<std::string_view, 5> kRanks{"tinyint", "smallint", "mediumint", "int", "bigint"};
  const auto at = std::find(kRanks.begin(), kRanks.end(), type);
  return at == kRanks.end() ? -1 : static_cast<int>(at - kRanks.begin());
}

const CatalogueColumn* named(const std::vector<CatalogueColumn>& columns, const std::string& name) {
  const auto at = std::find_if(columns.begin(), columns.end(), [&](const auto& c) { return c.name == name; });
  return at == columns.end() ? nullptr : &*at;
}

}  // namespace

bool keepsValues(const CatalogueColumn& before, const CatalogueColumn& after) {
  if (after.generated && (!before.generated || after.expression != before.expression)) return false;
  // A session that is not strict puts question marks for letters that the new set lacks.
  if (!before.charset.empty() && after.charset != before.charset && after.charset != "utf8mb4") return false;
  if (before.columnType == after.columnType) return before.nullable == after.nullable || after.nullable;
  if (!before.nullable || after.nullable) {
    const int was = integerRank(before.dataType), is = integerRank(after.dataType);
    if (was >= 0 && is >= was) return before.isUnsigned() == after.isUnsigned();
    if (before.dataType != after.dataType) return false;
    if (among(after.dataType, {"varchar", "varbinary"}))
      return lengthIn(after.columnType) >= lengthIn(before.columnType);
    if (among(after.dataType, {"enum", "set"})) {
      const auto old = labelsOf(before.columnType), now = labelsOf(after.columnType);
      return old.size() <= now.size() && std::equal(old.begin(), old.end(), now.begin());
    }
  }
  return false;
}

SchemaChange changeBetween(const ToldTable& before, const std::vector<CatalogueColumn>& after) {
  SchemaChange change{.before = before.shape};
  // A column that was renamed looks like one that went and one that came: its rows have values that no event brings.
  const bool lost = std::any_of(before.columns.begin(), before.columns.end(),
                                [&](const auto& column) { return named(after, column.name) == nullptr; });
  for (const CatalogueColumn& column : after) {
    const CatalogueColumn* was = named(before.columns, column.name);
    const bool keeps = was != nullptr ? keepsValues(*was, column) : !column.filled && !lost;
    change.rowsChanged = change.rowsChanged || !keeps;
  }
  return change;
}

bool suits(const WireColumn& wire, const CatalogueColumn& column) {
  const std::string& type = column.dataType;
  switch (wire.type) {
    case WireType::tiny:
      return type == "tinyint";
    case WireType::shortInteger:
      return type == "smallint";
    case WireType::int24:
      return type == "mediumint";
    case WireType::longInteger:
      return type == "int";
    case WireType::longLong:
      return type == "bigint";
    case WireType::floating:
      return type == "float";
    case WireType::doubling:
      return type == "double";
    case WireType::decimal:
      return type == "decimal";
    case WireType::bit:
      return type == "bit";
    case WireType::year:
      return type == "year";
    case WireType::date:
    case WireType::newDate:
      return type == "date";
    case WireType::time:
    case WireType::time2:
      return type == "time";
    case WireType::dateTime:
    case WireType::dateTime2:
      return type == "datetime";
    case WireType::timestamp:
    case WireType::timestamp2:
      return type == "timestamp";
    case WireType::enumeration:
      return type == "enum";
    case WireType::set:
      return type == "set";
    case WireType::json:
      return type == "json";
    case WireType::geometry:
      return among(type, {"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
                          "geometrycollection", "geomcollection"});
    case WireType::string:
      return among(type, {"char", "binary", "uuid", "inet4", "inet6"});
    case WireType::varchar:
    case WireType::varString:
    case WireType::varcharCompressed:
      return among(type, {"varchar", "varbinary", "vector"});
    default:
      return among(type, {"tinytext", "text", "mediumtext", "longtext", "tinyblob", "blob", "mediumblob", "longblob",
                          "json", "vector"});
  }
}

}  // namespace tidegate::mysql::detail
