// The little SQL that the quickstart needs besides Tidegate: statements that return nothing, run through a QueryFn.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tidegate/core/query.h"

namespace quickstart {

/// Runs one statement to its end.
inline void execute(const tidegate::QueryFn& database, std::string sql, std::vector<tidegate::Value> params = {}) {
  tidegate::ResultSet result = database({.sql = std::move(sql), .params = std::move(params)});
  std::vector<tidegate::Value> row;
  while (result.next(row)) {
  }
}

/// "(?, ?, ?)", or "($4, $5, $6)": placeholders for one row, the first of them with number `first`.
inline std::string placeholders(tidegate::Dialect dialect, std::size_t first, std::size_t count) {
  std::string list;
  for (std::size_t i = 0; i < count; ++i) list += (i ? ", " : "(") + tidegate::placeholder(dialect, first + i);
  return list + ")";
}

}  // namespace quickstart
