#include "source/detail/cursor_sql.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tidegate::detail {

CursorSql::CursorSql(Dialect dialect, const IngestTableConfig& table, const CursorStrategy& strategy)
    : dialect_(dialect),
      // The line break ends a comment in the last line of the user's query.
      source_(fmt::format("FROM ({}\n) AS tidegate_src", wrappableQuery(dialect, table.query))),
      cursor_(quoteIdentifier(dialect, strategy.cursorColumn)) {
  for (const std::string& column : table.rowIdColumns) {
    if (column == strategy.cursorColumn) continue;
    keyColumns_.push_back(column);
    keys_.push_back(quoteIdentifier(dialect, column));
  }
}

std::string CursorSql::bind(Query& query, const Value& value) const {
  query.params.push_back(value);
  return placeholder(dialect_, query.params.size());
}

std::string CursorSql::keyAfter(Query& query, const std::vector<Value>& ids, std::size_t at) const {
  std::string text = fmt::format("{} > {}", keys_[at], bind(query, ids[at]));
  if (at + 1 == keys_.size()) return text;
  const std::string equal = fmt::format("{} = {}", keys_[at], bind(query, ids[at]));
  return fmt::format("({} OR ({} AND {}))", text, equal, keyAfter(query, ids, at + 1));
}

void CursorSql::finish(Query& query, const std::string& where, bool byCursor, std::size_t limit) const {
  std::vector<std::string> order = keys_;
  if (byCursor) order.insert(order.begin(), cursor_);
  query.sql = fmt::format("SELECT * {} WHERE {}", source_, where);
  query.orderBy = fmt::format("{}", fmt::join(order, ", "));
  if (!order.empty()) query.sql += " ORDER BY " + query.orderBy;
  query.sql += fmt::format(" LIMIT {}", limit);
  query.wholeResult = true;
}

Query CursorSql::first(const Value* from, std::size_t limit) const {
  Query query;
  finish(query, from == nullptr ? cursor_ + " IS NOT NULL" : fmt::format("{} >= {}", cursor_, bind(query, *from)), true,
         limit);
  return query;
}

Query CursorSql::next(const PageEnd& after, std::size_t limit) const {
  Query query;
  if (keys_.empty()) {
    finish(query, fmt::format("{} > {}", cursor_, bind(query, after.cursor)), true, limit);
    return query;
  }
  // The leading range alone lets an index on (cursor, id) serve the page: planners do not derive it from the OR.
  std::string where = fmt::format("{} >= {}", cursor_, bind(query, after.cursor));
  where += fmt::format(" AND ({} > {}", cursor_, bind(query, after.cursor));
  where += fmt::format(" OR ({} = {}", cursor_, bind(query, after.cursor));
  where += fmt::format(" AND {}))", keyAfter(query, after.ids, 0));
  finish(query, where, true, limit);
  return query;
}

Query CursorSql::firstNulls(std::size_t limit) const {
  Query query;
  finish(query, cursor_ + " IS NULL", false, limit);
  return query;
}

Query CursorSql::nextNulls(const std::vector<Value>& afterIds, std::size_t limit) const {
  Query query;
  finish(query, fmt::format("{} IS NULL AND {}", cursor_, keyAfter(query, afterIds, 0)), false, limit);
  return query;
}

Query CursorSql::countNulls() const {
  Query query;
  query.sql = fmt::format("SELECT COUNT(*) AS n {} WHERE {} IS NULL", source_, cursor_);
  return query;
}

Query CursorSql::nthNewest(std::size_t rank, const Value* from) const {
  Query query;
  const std::string where =
      from == nullptr ? cursor_ + " IS NOT NULL" : fmt::format("{} >= {}", cursor_, bind(query, *from));
  query.sql =
      fmt::format("SELECT {0} {1} WHERE {2} ORDER BY {0} DESC LIMIT 1 OFFSET {3}", cursor_, source_, where, rank - 1);
  return query;
}

}  // namespace tidegate::detail
