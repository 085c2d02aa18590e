#include "mysql/detail/read_row.h"

#include <fmt/format.h>

#include <algorithm>

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

/// The binlog shows a commit before readers see it, but its rows are locked until they do: so a shared lock is asked
/// for. Who holds it for longer is a later transaction, and then what is seen is right without it.
Cells askCommitted(CLink& link, const std::string& select) {
  try {
    link.run("SET SESSION innodb_lock_wait_timeout = 1");
    return link.ask(select + " LOCK IN SHARE MODE");
  } catch (const Error& e) {
    const bool waited = e.code() == ErrorCode::queryFailed && e.retry() == Retry::later;
    if (!waited && e.code() != ErrorCode::permissionDenied) throw;
  }
  return link.ask(select);
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

void readRowAgain(CLink& link, const TableBinding& table, ChangeEvent& event) {
  std::vector<CatalogueColumn> columns;
  for (const std::uint32_t i : event.unchanged) columns.push_back(table.columns[i]);
  std::string where;
  for (const std::uint32_t i : table.shape->key) {
    where += fmt::format("{}{} = {}", where.empty() ? "" : " AND ",
                         quoteIdentifier(Dialect::mysql, table.columns[i].name), keyLiteral(event.after[i]));
  }
  if (where.empty()) return;
  Cells cells;
  try {
    cells =
        askCommitted(link, fmt::format("SELECT {} FROM {} WHERE {}", selectList(columns), table.name.quoted(), where));
  } catch (const Error& e) {
    // The table was altered or dropped since.
    if (e.code() == ErrorCode::columnNotFound || e.code() == ErrorCode::tableNotFound) return;
    throw;
  }
  if (cells.size() != 1) return;
  const std::vector<TextForm> forms = textForms(columns);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    Value& out = event.after[event.unchanged[i]];
    if (cells[0][i])
      readTextCell(forms[i], *cells[0][i], out);
    else
      out.variant() = Null{};
  }
  event.unchanged.clear();
}

}  // namespace tidegate::mysql::detail
