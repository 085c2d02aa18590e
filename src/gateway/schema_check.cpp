#include "gateway/detail/schema_check.h"

#include <fmt/format.h>

namespace tidegate::detail {
namespace {

bool isNumber(ValueKind kind) {
  return kind == ValueKind::int64 || kind == ValueKind::uint64 || kind == ValueKind::real || kind == ValueKind::decimal;
}

bool textReadsAs(ValueKind kind, const std::string& text) {
  Date date;
  Time time;
  Timestamp timestamp;
  Uuid uuid;
  switch (kind) {
    case ValueKind::decimal:
      return isDecimal(text);
    case ValueKind::date:
      return parseDate(text, date);
    case ValueKind::time:
      return parseTime(text, time);
    case ValueKind::timestamp:
      return parseTimestamp(text, timestamp);
    case ValueKind::uuid:
      return parseUuid(text, uuid);
    case ValueKind::bytes:
      return true;
    default:
      return false;
  }
}

bool fits(ValueKind wanted, const Value& value) {
  const ValueKind kind = value.kind();
  if (wanted == ValueKind::null || wanted == ValueKind::json || kind == wanted) return true;
  if (wanted == ValueKind::int64 || wanted == ValueKind::uint64) {
    return kind == ValueKind::int64 || kind == ValueKind::uint64;
  }
  if (isNumber(wanted) && isNumber(kind)) return true;
  const std::string* text = value.getIf<std::string>();
  return text != nullptr && textReadsAs(wanted, *text);
}

}  // namespace

std::string schemaProblem(const TableSchema& schema, const ColumnValue& column) {
  const ColumnSchema* known = schema.find(column.column);
  if (known == nullptr) {
    return fmt::format("column \"{}\" is not in the schema of table \"{}\"; add it to the schema or leave it out",
                       column.column, schema.table);
  }
  if (column.value.isNull()) {
    if (known->nullable) return {};
    return fmt::format("column \"{}\" may not be null", column.column);
  }
  if (fits(known->kind, column.value)) return {};
  return fmt::format("column \"{}\" is {} in the schema, not {}", column.column, toString(known->kind),
                     toString(column.value.kind()));
}

}  // namespace tidegate::detail
