/// What is asked of a polled table besides polling it: its columns, and all of its rows.
#pragma once

#include <functional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/query.h"
#include "tidegate/core/schema.h"
#include "tidegate/source/ingest_config.h"

namespace tidegate::detail {

/// A table's columns, as its first rows show them.
struct LearnedTable {
  TableSchema schema;
  std::set<std::string, std::less<>> untyped;  ///< columns in which only nulls were seen
};

/// What was known of the table before goes before what its rows show now, where they have the column still: a table may
/// be empty just now.
void recall(const LearnedTable& known, LearnedTable& learned);
std::string encodeTable(const LearnedTable& table);
/// @throws Error{storeCorrupt}
LearnedTable decodeTable(std::string_view octets);

/// @throws Error as the query function's; Error{columnNotFound} for row id or cursor columns that the result lacks.
LearnedTable learnTable(const QueryFn& query, const IngestTableConfig& table, std::size_t rows, std::stop_token stop);

/// All rows of the table, NULL cursors left out where the strategy skips them. `each` may take the values.
void readWholeTable(const QueryFn& query, const IngestTableConfig& table, std::chrono::milliseconds timeout,
                    std::stop_token stop,
                    const std::function<void(const Columns& columns, std::vector<Value>& values)>& each);

/// Passes a query's rows on, and tells of the kinds of the row id columns once, before its first row.
QueryFn watchKeys(QueryFn query, std::vector<std::string> rowIdColumns,
                  std::function<void(const std::vector<ValueKind>& kinds)> tell);

}  // namespace tidegate::detail
