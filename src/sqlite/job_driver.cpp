#include "tidegate/sqlite/job_driver.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "sqlite/detail/sink_columns.h"
#include "tidegate/core/error.h"
#include "tidegate/sqlite/query_fn.h"

namespace tidegate::sqlite {

namespace {

struct SourceTable {
  std::string schema = "main", name{};
};

/// "users", or "main.users": the first dot divides.
SourceTable sourceTableOf(const std::string& text) {
  const std::size_t dot = text.find('.');
  if (dot == std::string::npos) return {"main", text};
  return {text.substr(0, dot), text.substr(dot + 1)};
}

std::string upperCase(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return text;
}

/// What the values of a column with a declared type are, where that type leaves no doubt; else any.
ValueKind kindOfDeclared(const std::string& type) {
  const std::string upper = upperCase(type);
  if (upper == "BOOLEAN" || upper == "BOOL") return ValueKind::boolean;
  if (upper == "JSON") return ValueKind::json;
  switch (detail::affinityOf(type)) {
    case detail::Affinity::integer:
      return ValueKind::int64;
    case detail::Affinity::real:
      return ValueKind::real;
    case detail::Affinity::text:
      return ValueKind::text;
    default:
      return ValueKind::null;
  }
}

std::string textOf(const Value& value) {
  const auto* text = value.getIf<std::string>();
  return text != nullptr ? *text : std::string();
}

std::int64_t numberOf(const Value& value) {
  if (const auto* yes = value.getIf<bool>()) return *yes ? 1 : 0;
  const auto* number = value.getIf<std::int64_t>();
  return number != nullptr ? *number : 0;
}

void readColumns(const QueryFn& query, const SourceTable& table, std::stop_token stop, JobTable& out) {
  // hidden: 1 is a hidden column of a virtual table, 2 and 3 are generated ones.
  ResultSet rows = query({.sql = "SELECT name, type, \"notnull\", pk FROM pragma_table_xinfo(?, ?) WHERE hidden <> 1",
                          .params = {table.name, table.schema},
                          .stop = std::move(stop)});
  std::map<std::int64_t, std::string> key;
  std::vector<Value> row;
  while (rows.next(row)) {
    ColumnSchema column{.name = textOf(row[0]), .sourceType = textOf(row[1])};
    column.kind = kindOfDeclared(column.sourceType);
    const std::int64_t place = numberOf(row[3]);
    column.nullable = numberOf(row[2]) == 0 && place == 0;
    if (place > 0) key[place] = column.name;
    out.schema.columns.push_back(std::move(column));
  }
  for (auto& [place, name] : key) out.schema.primaryKey.push_back(name);
}

void readIndexes(const QueryFn& query, const SourceTable& table, std::stop_token stop, JobTable& out) {
  if (!out.schema.primaryKey.empty()) out.indexes.push_back(out.schema.primaryKey);
  // An index with a condition does not serve every row.
  ResultSet rows = query({.sql = "SELECT l.name AS made, i.name AS part FROM pragma_index_list(?1, ?2) AS l JOIN "
                                 "pragma_index_info(l.name, ?2) AS i WHERE l.partial = 0 ORDER BY l.seq, i.seqno",
                          .params = {table.name, table.schema},
                          .stop = std::move(stop)});
  std::string last;
  std::vector<Value> row;
  while (rows.next(row)) {
    const std::string index = textOf(row[0]);
    if (index != last) out.indexes.emplace_back();
    last = index;
    out.indexes.back().push_back(textOf(row[1]));
  }
}

JobTable describeTable(const QueryFn& query, const std::string& text, const std::stop_token& stop) {
  const SourceTable table = sourceTableOf(text);
  JobTable out;
  out.schema.table = table.name;
  out.sqlName = quoteIdentifier(Dialect::sqlite, table.schema) + "." + quoteIdentifier(Dialect::sqlite, table.name);
  readColumns(query, table, stop, out);
  if (out.schema.columns.empty()) {
    throw Error(ErrorCode::tableNotFound, Retry::afterOperator,
                fmt::format("there is no table \"{}\" in the SQLite file: name one that is there", text));
  }
  readIndexes(query, table, stop, out);
  return out;
}

}  // namespace

JobDriver jobDriver() {
  return {.connect = [](const JobSource& source) { return queryFn({.path = source.database}); },
          .describe = [](const QueryFn& query, const std::string& table,
                         std::stop_token stop) { return describeTable(query, table, stop); }};
}

}  // namespace tidegate::sqlite
