#include "mysql/detail/read_row.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "tidegate/core/query.h"

namespace tidegate::mysql::detail {
namespace {

/// A key's value as a literal that the server compares by the column's type.
std::string keyLiteral(const Value& value) {
  if (const auto* number = value.getIf<std::int64_t>()) return std::to_string(*number);
  if (const auto* large = value.getIf<std::uint64_t>()) return std::to_string(*large);
  if (const auto* decimal = value.getIf<Decimal>()) return decimal->text;
  if (const auto* real = value.getIf<double>()) return fmt::format("{}", *real);
  if (const auto* bytes = value.getIf<Bytes>()) {
    std::string hex = "x'";
    for (const char c : bytes->octets) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
    return hex + "'";
  }
  if (const auto* date = value.getIf<Date>()) return literal(toIso(*date));
  if (const auto* time = value.getIf<Time>()) return literal(toIso(*time));
  if (const auto* moment = value.getIf<Timestamp>()) {
    std::string text = toIso(Timestamp::local(moment->micros));
    std::replace(text.begin(), text.end(), 'T', ' ');
    return literal(text);
  }
  const auto* text = value.getIf<std::string>();
  return text != nullptr ? literal(*text) : "NULL";
}

/// Sets that have all of Unicode: no text of ours is lost on the way into them.
bool isUnicode(const std::string& charset) {
  return charset.empty() || charset.starts_with("utf") || charset == "ucs2" || charset == "gb18030";
}

/// What has the same octets in all sets of the servers that hold ASCII.
bool isPlain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c >= ' ' && c <= '?');
  });
}

/// By the index of the key. A text in a smaller set may have no way back into it: see `whereText`.
std::string whereRow(const TableBinding& table, const std::vector<Value>& row) {
  std::string where;
  for (const std::uint32_t i : table.shape->key) {
    const CatalogueColumn& column = table.columns[i];
    std::string value = keyLiteral(row[i]);
    if (row[i].getIf<std::string>() != nullptr && !isUnicode(column.charset))
      value = fmt::format("CONVERT({} USING {})", value, column.charset);
    where += fmt::format("{}{}{} = {}", where.empty() ? "" : " AND ", quoteIdentifier(Dialect::mysql, column.name),
                         column.dataType == "float" ? " * 1e0" : "", value);
  }
  return where;
}

/// By the letters that the server reads, without an index; empty where `whereRow` finds all that there is.
std::string whereText(const TableBinding& table, const std::vector<Value>& row) {
  std::string where;
  bool needed = false;
  for (const std::uint32_t i : table.shape->key) {
    const CatalogueColumn& column = table.columns[i];
    const auto* text = row[i].getIf<std::string>();
    const bool converts = text != nullptr && !isUnicode(column.charset);
    needed = needed || (converts && !isPlain(*text));
    const std::string name = quoteIdentifier(Dialect::mysql, column.name);
    where += fmt::format("{}{}{} = {}", where.empty() ? "" : " AND ",
                         converts ? fmt::format("CONVERT({} USING utf8mb4) COLLATE utf8mb4_bin", name) : name,
                         column.dataType == "float" ? " * 1e0" : "", keyLiteral(row[i]));
  }
  return needed ? where : std::string();
}

/// @return nullopt where the table, or one of the columns, is there no more.
std::optional<Cells> askRow(CLink& link, const TableBinding& table, const std::vector<std::uint32_t>& columns,
                            const std::string& where) {
  std::vector<CatalogueColumn> read;
  for (const std::uint32_t i : columns) read.push_back(table.columns[i]);
  try {
    return link.ask(fmt::format("SELECT {} FROM {} WHERE {} LOCK IN SHARE MODE",
                                read.empty() ? std::string("1") : selectList(read), table.name.quoted(), where));
  } catch (const Error& e) {
    if (e.code() == ErrorCode::columnNotFound || e.code() == ErrorCode::tableNotFound) return std::nullopt;
    throw;
  }
}

bool hasColumn(const CatalogueTable& table, const std::string& name) {
  return std::any_of(table.columns.begin(), table.columns.end(), [&](const auto& c) { return c.name == name; });
}

Value leastOf(const CatalogueColumn& column) {
  if (column.nullable) return {};
  switch (kindOf(column)) {
    case ValueKind::uint64:
    case ValueKind::int64:
      return Value(0);
    case ValueKind::decimal:
      return Value(Decimal{"0"});
    case ValueKind::real:
      return Value(0.0);
    case ValueKind::bytes:
      return Value(Bytes{});
    case ValueKind::date:
      return Value(Date{});
    case ValueKind::time:
      return Value(Time{});
    case ValueKind::timestamp:
      return column.dataType == "datetime" ? Value(Timestamp::local(0)) : Value(Timestamp{});
    case ValueKind::json:
      return Value(Json{"null"});
    default:
      return Value(std::string());
  }
}

}  // namespace

std::string selectList(const std::vector<CatalogueColumn>& columns) {
  std::string list;
  for (const CatalogueColumn& column : columns) {
    if (!list.empty()) list += ", ";
    list += quoteIdentifier(Dialect::mysql, column.name);
    // The text of a FLOAT has six digits only.
    if (column.dataType == "float") list += " * 1e0";
  }
  return list;
}

bool readRowAgain(CLink& link, const TableBinding& table, std::vector<Value>& row,
                  const std::vector<std::uint32_t>& columns) {
  std::string where = whereRow(table, row);
  if (where.empty()) return false;
  std::vector<std::uint32_t> left = columns;
  std::optional<Cells> cells = askRow(link, table, left, where);
  if (!cells) {
    const std::optional<CatalogueTable> now = readCatalogueTable(link, table.name);
    if (!now) return false;
    std::erase_if(left, [&](std::uint32_t i) { return !hasColumn(*now, table.columns[i].name); });
    cells = askRow(link, table, left, where);
  }
  if (cells && cells->empty() && !(where = whereText(table, row)).empty()) cells = askRow(link, table, left, where);
  if (!cells || cells->size() != 1) return false;
  for (const std::uint32_t i : columns) row[i] = leastOf(table.columns[i]);
  std::vector<CatalogueColumn> read;
  for (const std::uint32_t i : left) read.push_back(table.columns[i]);
  const std::vector<TextForm> forms = textForms(read);
  for (std::size_t i = 0; i < left.size(); ++i) {
    const Cell& cell = cells->front()[i];
    if (cell)
      readTextCell(forms[i], *cell, row[left[i]]);
    else
      row[left[i]].variant() = Null{};
  }
  return true;
}

}  // namespace tidegate::mysql::detail
