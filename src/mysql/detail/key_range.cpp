#include "mysql/detail/key_range.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

#include "tidegate/core/error.h"
#include "tidegate/core/query.h"

namespace tidegate::mysql::detail {
namespace {

/// How a key's value is printed, and read again exactly.
enum class KeyForm : std::uint8_t {
  number,  ///< as digits
  labels,  ///< ENUM, SET: by their number, which is how the server orders them
  octets,  ///< in hexadecimal and with its character set: no conversion changes it
  quoted   ///< dates, times, UUIDs, addresses
};

bool isAnyOf(const std::string& type, std::initializer_list<std::string_view> types) {
  return std::find(types.begin(), types.end(), type) != types.end();
}

KeyForm keyFormOf(const CatalogueColumn& column) {
  const std::string& type = column.dataType;
  if (isAnyOf(type, {"enum", "set"})) return KeyForm::labels;
  if (isAnyOf(type, {"date", "time", "datetime", "timestamp", "uuid", "inet4", "inet6"})) return KeyForm::quoted;
  const ValueKind kind = kindOf(column);
  return kind == ValueKind::text || kind == ValueKind::bytes ? KeyForm::octets : KeyForm::number;
}

[[noreturn]] void refuseKey(const CatalogueColumn& column) {
  throw Error(ErrorCode::parseError, Retry::afterOperator,
              fmt::format("column {} of the key has another type than when its table was begun; reload the table",
                          column.name));
}

bool onlyOf(std::string_view text, std::string_view letters) {
  return text.find_first_not_of(letters) == std::string_view::npos;
}

/// Texts come from a position, and so from outside: each must be of its column's form.
std::string keyLiteralOf(const CatalogueColumn& column, const std::string& text) {
  switch (keyFormOf(column)) {
    case KeyForm::number:
    case KeyForm::labels:
      if (text.empty() || !onlyOf(text, "0123456789+-.eE")) refuseKey(column);
      return text;
    case KeyForm::octets: {
      const auto colon = text.find(':');
      if (colon == std::string::npos || colon == 0) refuseKey(column);
      const std::string charset = text.substr(0, colon), hex = text.substr(colon + 1);
      if (!onlyOf(charset, "abcdefghijklmnopqrstuvwxyz0123456789")) refuseKey(column);
      if (hex.size() % 2 != 0 || !onlyOf(hex, "0123456789ABCDEF")) refuseKey(column);
      return fmt::format("_{} x'{}'", charset, hex);
    }
    case KeyForm::quoted:
      return literal(text);
  }
  refuseKey(column);
}

std::string nameOf(const CatalogueColumn& column) { return quoteIdentifier(Dialect::mysql, column.name); }

/// What is compared: the column itself, so that its index serves, but for labels, which would be compared as texts.
std::string comparedOf(const CatalogueColumn& column) {
  return keyFormOf(column) == KeyForm::labels ? nameOf(column) + " + 0" : nameOf(column);
}

/// (a, b) > (x, y) in a form that the server takes to its index: a >= x AND (a > x OR (a = x AND b > y)).
std::string compareKey(const std::vector<CatalogueColumn>& key, const std::vector<std::string>& values, char direction,
                       bool orEqual, std::size_t at = 0) {
  const std::string column = comparedOf(key[at]), value = keyLiteralOf(key[at], values.at(at));
  if (at + 1 == key.size()) return fmt::format("{} {}{} {}", column, direction, orEqual ? "=" : "", value);
  return fmt::format("{0} {1}= {2} AND ({0} {1} {2} OR ({0} = {2} AND {3}))", column, direction, value,
                     compareKey(key, values, direction, orEqual, at + 1));
}

}  // namespace

std::vector<CatalogueColumn> keyColumns(const CatalogueTable& table) {
  std::vector<CatalogueColumn> columns;
  for (const std::string& name : table.key) {
    for (const CatalogueColumn& column : table.columns) {
      if (column.name == name) columns.push_back(column);
    }
  }
  return columns;
}

std::string keyList(const std::vector<CatalogueColumn>& key) {
  std::string list;
  for (const CatalogueColumn& column : key) list += (list.empty() ? "" : ", ") + nameOf(column);
  return list;
}

std::string keyTexts(const std::vector<CatalogueColumn>& key) {
  std::string list;
  for (const CatalogueColumn& column : key) {
    if (!list.empty()) list += ", ";
    switch (keyFormOf(column)) {
      case KeyForm::number:
      case KeyForm::labels:
        // The text of a FLOAT has six digits only; that of a BIT is its octets.
        list += nameOf(column);
        if (column.dataType == "float") list += " * 1e0";
        if (column.dataType == "bit" || keyFormOf(column) == KeyForm::labels) list += " + 0";
        break;
      case KeyForm::octets:
        list += fmt::format("CONCAT({}, HEX({}))", literal((column.charset.empty() ? "binary" : column.charset) + ":"),
                            nameOf(column));
        break;
      case KeyForm::quoted:
        list += nameOf(column);
    }
  }
  return list;
}

std::string rangeCondition(const std::vector<CatalogueColumn>& key, const std::vector<std::string>& after,
                           const std::vector<std::string>& upTo) {
  for (const auto* bound : {&after, &upTo}) {
    if (!bound->empty() && bound->size() != key.size()) {
      throw Error(ErrorCode::parseError, Retry::afterOperator,
                  "a table's key has another number of columns than when it was begun; reload the table");
    }
  }
  std::string condition;
  if (!after.empty()) condition = compareKey(key, after, '>', false);
  if (upTo.empty()) return condition;
  return condition + (condition.empty() ? "" : " AND ") + compareKey(key, upTo, '<', true);
}

}  // namespace tidegate::mysql::detail
