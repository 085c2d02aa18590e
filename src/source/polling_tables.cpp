#include "source/detail/polling_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "core/detail/packed.h"
#include "source/detail/delta_shapes.h"
#include "source/detail/row_shape.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace {

std::string wholeQuery(const QueryFn& query, const IngestTableConfig& table) {
  return "SELECT * FROM (" + wrappableQuery(query.dialect(), table.query) + ") AS tidegate_src";
}

/// Where the cursor stands, if rows without one are left out.
std::optional<std::size_t> skippedBy(const IngestTableConfig& table, const ColumnList& columns) {
  const auto* cursor = std::get_if<CursorStrategy>(&table.strategy);
  if (cursor == nullptr || cursor->nullCursors != NullCursors::skip) return std::nullopt;
  return columns.find(cursor->cursorColumn);
}

/// Looks at the first row that has all its key values.
class KeyWatch final : public RowStream {
 public:
  using Tell = std::function<void(const std::vector<ValueKind>&)>;
  KeyWatch(ResultSet rows, std::vector<std::size_t> keys, Tell tell)
      : rows_(std::move(rows)), keys_(std::move(keys)), tell_(std::move(tell)) {}
  const Columns& columns() const override { return rows_.columns(); }
  bool next(std::vector<Value>& values) override {
    if (!rows_.next(values)) return false;
    if (told_) return true;
    std::vector<ValueKind> kinds;
    for (const std::size_t key : keys_) kinds.push_back(values.at(key).kind());
    if (std::find(kinds.begin(), kinds.end(), ValueKind::null) != kinds.end()) return true;
    told_ = true;
    tell_(kinds);
    return true;
  }

 private:
  ResultSet rows_;
  std::vector<std::size_t> keys_;
  Tell tell_;
  bool told_ = false;
};

}  // namespace

namespace {
/// Marks of a saved column: whether only nulls were seen in it, and what its timestamps are.
constexpr std::uint8_t kUntyped = 1;
constexpr std::array<std::string_view, 4> kTypes{"", "", "timestamp with time zone", "timestamp without time zone"};
}  // namespace

void recall(const LearnedTable& known, LearnedTable& learned) {
  for (ColumnSchema& column : learned.schema.columns) {
    const ColumnSchema* before = known.schema.find(column.name);
    if (before == nullptr || known.untyped.contains(column.name)) continue;
    column.kind = before->kind;
    column.sourceType = before->sourceType;
    learned.untyped.erase(column.name);
  }
}

std::string encodeTable(const LearnedTable& table) {
  std::string out(1, '\1');  // version
  putVarint(table.schema.columns.size(), out);
  for (const ColumnSchema& column : table.schema.columns) {
    putText(column.name, out);
    out.push_back(static_cast<char>(column.kind));
    const auto mark = table.untyped.contains(column.name)
                          ? kUntyped
                          : std::find(kTypes.begin(), kTypes.end(), column.sourceType) - kTypes.begin();
    out.push_back(static_cast<char>(mark));
  }
  return out;
}

LearnedTable decodeTable(std::string_view octets) {
  PackedReader in(octets);
  LearnedTable table;
  if (in.octet() != 1) {
    throw Error(ErrorCode::storeCorrupt, Retry::afterOperator, "a polled table's saved columns are of another version");
  }
  for (std::uint64_t left = in.varint(); left > 0; --left) {
    ColumnSchema column{.name = std::string(in.text())};
    column.kind = static_cast<ValueKind>(in.octet());
    if (column.kind > ValueKind::json) {
      throw Error(ErrorCode::storeCorrupt, Retry::afterOperator, "a polled table's saved columns cannot be read");
    }
    const std::uint8_t mark = in.octet();
    if (mark == kUntyped) table.untyped.insert(column.name);
    if (mark < kTypes.size()) column.sourceType = kTypes[mark];
    table.schema.columns.push_back(std::move(column));
  }
  return table;
}

LearnedTable learnTable(const QueryFn& query, const IngestTableConfig& table, std::size_t rows, std::stop_token stop) {
  ResultSet result =
      query({.sql = fmt::format("{} LIMIT {}", wholeQuery(query, table), rows), .stop = std::move(stop)});
  const Columns columns = result.columns();
  const RowShape shape(columns, table.rowIdColumns);
  if (const auto* cursor = std::get_if<CursorStrategy>(&table.strategy)) shape.require(cursor->cursorColumn, "cursor");
  LearnedTable learned;
  learned.schema.table = table.table;
  learned.schema.primaryKey = table.rowIdColumns;
  for (const std::string& name : columns->names()) {
    learned.schema.columns.push_back({.name = name, .kind = ValueKind::null});
    learned.untyped.insert(name);
  }
  for (const std::size_t key : shape.ids()) learned.schema.columns[key].nullable = false;
  std::vector<Value> row;
  while (result.next(row)) {
    for (std::size_t i = 0; i < row.size() && i < columns->size(); ++i) {
      if (row[i].isNull()) continue;
      ColumnSchema& column = learned.schema.columns[i];
      if (learned.untyped.erase(column.name) > 0) {
        column.kind = row[i].kind();
        column.sourceType = typeNameOf(row[i]);
      } else if (column.kind != row[i].kind()) {
        column.kind = ValueKind::null;
        column.sourceType.clear();
      } else if (!isOfType(column, row[i])) {
        column.sourceType.clear();
      }
    }
  }
  return learned;
}

void readWholeTable(const QueryFn& query, const IngestTableConfig& table, std::chrono::milliseconds timeout,
                    std::stop_token stop,
                    const std::function<void(const Columns& columns, std::vector<Value>& values)>& each) {
  ResultSet rows =
      query({.sql = wholeQuery(query, table), .stop = std::move(stop), .timeout = timeout, .wholeResult = true});
  const Columns columns = rows.columns();
  const auto cursor = skippedBy(table, *columns);
  std::vector<Value> row;
  while (rows.next(row)) {
    if (!cursor || !row[*cursor].isNull()) each(columns, row);
  }
}

QueryFn watchKeys(QueryFn query, std::vector<std::string> rowIdColumns,
                  std::function<void(const std::vector<ValueKind>& kinds)> tell) {
  const Dialect dialect = query.dialect();
  return QueryFn(dialect, [query = std::move(query), ids = std::move(rowIdColumns), tell](const Query& asked) {
    ResultSet rows = query(asked);
    std::vector<std::size_t> keys;
    for (const std::string& id : ids) {
      const auto at = rows.columns()->find(id);
      if (!at) return rows;  // no rows of the table: a question about it
      keys.push_back(*at);
    }
    return ResultSet(std::make_unique<KeyWatch>(std::move(rows), std::move(keys), tell));
  });
}

}  // namespace tidegate::detail
