#include "check.h"

#include <fmt/core.h>

#include <map>
#include <utility>
#include <vector>

#include "tidegate/core/json.h"

namespace quickstart {

namespace {

using Rows = std::map<std::string, std::string>;  // key -> cells, each as JSON

/// SQLite has no type for times: the replica keeps them as text. Their JSON is the same.
Rows readAll(const tidegate::QueryFn& database, const std::string& sql) {
  Rows rows;
  tidegate::ResultSet result = database({.sql = sql, .wholeResult = true});
  std::vector<tidegate::Value> cells;
  while (result.next(cells)) {
    std::string text;
    for (std::size_t i = 1; i < cells.size(); ++i) text += tidegate::toJson(cells[i]) + " ";
    rows.emplace(tidegate::describe(cells[0]), std::move(text));
  }
  return rows;
}

}  // namespace

Comparison compare(const tidegate::QueryFn& source, const tidegate::QueryFn& replica, const TableCheck& check) {
  const Rows want = readAll(source, check.sourceSql);
  const Rows have = readAll(replica, check.replicaSql);
  Comparison result;
  const auto differs = [&](const std::string& key, const std::string& left, const std::string& right) {
    if (++result.differences <= 5) {
      fmt::print("  {} {}:\n    source  {}\n    replica {}\n", check.name, key, left, right);
    }
  };
  for (const auto& [key, cells] : want) {
    const auto found = have.find(key);
    if (found == have.end()) {
      differs(key, cells, "(no such row)");
      continue;
    }
    ++result.rows;
    if (found->second != cells) differs(key, cells, found->second);
  }
  for (const auto& [key, cells] : have) {
    if (!want.contains(key)) differs(key, "(no such row)", cells);
  }
  return result;
}

}  // namespace quickstart
