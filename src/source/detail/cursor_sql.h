/// The SQL of cursor polling, by dialect. Names are quoted, values always bound.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tidegate/core/query.h"
#include "tidegate/source/ingest_config.h"

namespace tidegate::detail {

/// Where a page ended: the next one begins after it.
struct PageEnd {
  Value cursor;
  std::vector<Value> ids;  ///< in the order of `CursorSql::keyColumns`
};

/// `SELECT * FROM (<query>) AS tidegate_src WHERE … ORDER BY cursor, id… LIMIT n`
class CursorSql {
 public:
  CursorSql(Dialect dialect, const IngestTableConfig& table, const CursorStrategy& strategy);

  /// Row id columns that order ties: all but the cursor column itself.
  const std::vector<std::string>& keyColumns() const noexcept { return keyColumns_; }

  /// The first page: from a cursor, inclusive, or with null everything that has a cursor.
  Query first(const Value* from, std::size_t limit) const;
  Query next(const PageEnd& after, std::size_t limit) const;
  /// Rows whose cursor is NULL, from the first or after a key.
  Query firstNulls(std::size_t limit) const;
  Query nextNulls(const std::vector<Value>& afterIds, std::size_t limit) const;
  Query countNulls() const;
  /// The cursor of the `rank`-th newest row (1 is the newest) at or after `from`; no row if there are fewer.
  Query nthNewest(std::size_t rank, const Value* from) const;

 private:
  std::string bind(Query& query, const Value& value) const;
  /// `(a > ? OR (a = ? AND (b > ? …)))` over the key columns from `at` on.
  std::string keyAfter(Query& query, const std::vector<Value>& ids, std::size_t at) const;
  void finish(Query& query, const std::string& where, bool byCursor, std::size_t limit) const;

  Dialect dialect_;
  std::string source_;  ///< the wrapped query
  std::string cursor_;  ///< quoted
  std::vector<std::string> keyColumns_, keys_;
};

}  // namespace tidegate::detail
