#include "electric/detail/source_schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "core/detail/json_tree.h"
#include "tidegate/core/error.h"

namespace tidegate::electric::reading {
namespace {

using tidegate::detail::JsonRef;
using tidegate::detail::JsonTree;

/// A shape has no more columns than a table.
constexpr std::size_t kMostColumns = 1'600;
constexpr std::uint64_t kMostDimensions = 6;

[[noreturn]] void malformed(std::string message) {
  throw Error(ErrorCode::parseError, Retry::later, std::move(message));
}

struct DescribedColumn {
  ColumnSchema schema;
  ColumnType type;
  std::optional<std::uint64_t> keyIndex;
};

std::uint64_t numberOr(const JsonRef& column, std::string_view name, std::uint64_t otherwise) {
  const auto found = column.find(name);
  return found && !found->isNull() ? found->uint64() : otherwise;
}

/// PostgreSQL's long names of types, which its own sinks know, by the short ones that Electric uses.
std::string_view longNameOf(std::string_view type) {
  struct Names {
    std::string_view internal, declared;
  };
  static constexpr std::array<Names, 14> kNames{{{"int2", "smallint"},
                                                 {"int4", "integer"},
                                                 {"int8", "bigint"},
                                                 {"float4", "real"},
                                                 {"float8", "double precision"},
                                                 {"bool", "boolean"},
                                                 {"varchar", "character varying"},
                                                 {"bpchar", "character"},
                                                 {"varbit", "bit varying"},
                                                 {"time", "time{} without time zone"},
                                                 {"timetz", "time{} with time zone"},
                                                 {"timestamp", "timestamp{} without time zone"},
                                                 {"timestamptz", "timestamp{} with time zone"},
                                                 {"decimal", "numeric"}}};
  const auto* at = std::find_if(kNames.begin(), kNames.end(), [&](const Names& n) { return n.internal == type; });
  return at == kNames.end() ? type : at->declared;
}

std::string declaredType(const JsonRef& column, const std::string& type, std::uint64_t dimensions) {
  std::string arguments;
  for (const std::string_view name : {"max_length", "length", "precision"}) {
    const auto found = column.find(name);
    if (found && arguments.empty()) arguments = std::to_string(found->uint64());
  }
  if (const auto scale = column.find("scale"); scale && !arguments.empty()) {
    arguments += "," + std::string(scale->source());
  }
  if (!arguments.empty()) arguments = "(" + arguments + ")";
  std::string declared(longNameOf(type));
  if (const std::size_t gap = declared.find("{}"); gap != declared.npos) {
    declared.replace(gap, 2, arguments);
  } else {
    declared += arguments;
  }
  for (std::uint64_t i = 0; i < dimensions; ++i) declared += "[]";
  return declared;
}

DescribedColumn describeColumn(const JsonRef& column) {
  DescribedColumn out;
  const std::string type = column.member("type").string();
  const std::uint64_t dimensions = numberOr(column, "dims", 0);
  if (dimensions > kMostDimensions) column.member("dims").fail("an array has at most 6 dimensions");
  if (const auto index = column.find("pk_index"); index && !index->isNull()) out.keyIndex = index->uint64();
  const auto notNull = column.find("not_null");
  out.type = columnTypeOf(type, dimensions);
  out.schema = {.name = column.key(),
                .kind = out.type.kind,
                .nullable = !(notNull && !notNull->isNull() && notNull->boolean()),
                .sourceType = declaredType(column, type, dimensions)};
  return out;
}

std::vector<std::string> keyIn(const SourceShape& shape, const std::vector<DescribedColumn>& columns) {
  if (!shape.key.empty()) return shape.key;
  std::vector<const DescribedColumn*> key;
  for (const DescribedColumn& column : columns) {
    if (column.keyIndex) key.push_back(&column);
  }
  std::sort(key.begin(), key.end(), [](const auto* a, const auto* b) { return *a->keyIndex < *b->keyIndex; });
  std::vector<std::string> names;
  for (const DescribedColumn* column : key) names.push_back(column->schema.name);
  return names;
}

void putInOrder(const SourceShape& shape, const std::vector<std::string>& key, std::vector<DescribedColumn>& columns) {
  const std::vector<std::string>& first = shape.columns.empty() ? key : shape.columns;
  const auto rank = [&](const DescribedColumn& column) {
    return std::find(first.begin(), first.end(), column.schema.name) - first.begin();
  };
  std::sort(columns.begin(), columns.end(), [&](const DescribedColumn& a, const DescribedColumn& b) {
    const auto left = rank(a), right = rank(b);
    return left != right ? left < right : a.schema.name < b.schema.name;
  });
}

std::vector<DescribedColumn> describedIn(std::string_view schema) {
  const JsonTree tree(schema);
  std::vector<DescribedColumn> columns;
  for (const JsonRef& column : tree.root().members()) columns.push_back(describeColumn(column));
  if (columns.empty() || columns.size() > kMostColumns) tree.root().fail("expected from 1 to 1600 columns");
  return columns;
}

}  // namespace

RowReader::RowReader(const SourceShape& shape, std::string_view schema) {
  try {
    std::vector<DescribedColumn> columns = describedIn(schema);
    TableSchema table{.table = nameOf(shape), .primaryKey = keyIn(shape, columns)};
    putInOrder(shape, table.primaryKey, columns);
    for (DescribedColumn& column : columns) {
      const auto& key = table.primaryKey;
      if (std::find(key.begin(), key.end(), column.schema.name) != key.end()) column.schema.nullable = false;
      types_.push_back(column.type);
      table.columns.push_back(std::move(column.schema));
    }
    shape_ = makeShape(std::move(table));
  } catch (const Error& e) {
    malformed("electric-schema: " + e.message());
  }
}

std::size_t RowReader::columnOf(const WireCell& cell, std::size_t hint) const {
  const ColumnList& columns = *shape_->columns;
  if (hint < columns.size() && columns[hint] == cell.column) return hint;
  if (const auto at = columns.find(cell.column)) return *at;
  malformed(fmt::format("a row has column \"{}\", which electric-schema did not describe", cell.column));
}

void RowReader::fill(const std::vector<WireCell>& cells, std::vector<Value>& row, std::vector<bool>& seen) const {
  std::size_t hint = 0;
  for (const WireCell& cell : cells) {
    const std::size_t at = columnOf(cell, hint);
    hint = at + 1;
    seen[at] = true;
    if (cell.text) {
      types_[at].read(*cell.text, row[at]);
    } else if (shape_->schema.columns[at].nullable) {
      row[at] = Null{};
    } else {
      malformed(fmt::format("column \"{}\" is null, which electric-schema rules out", cell.column));
    }
  }
}

void RowReader::needKey(const WireMessage& message, const std::vector<bool>& seen) const {
  for (const std::uint32_t column : shape_->key) {
    if (seen[column]) continue;
    malformed(fmt::format("row {} comes without its key column \"{}\"", message.key, (*shape_->columns)[column]));
  }
}

void RowReader::readInsert(const WireMessage& message, ReadItem& out) const {
  std::vector<bool> seen(types_.size());
  out.op = ChangeOp::insert;
  out.after.resize(types_.size());
  fill(message.value, out.after, seen);
  const auto missing = std::find(seen.begin(), seen.end(), false);
  if (missing == seen.end()) return;
  malformed(fmt::format("row {} is inserted without column \"{}\"", message.key,
                        (*shape_->columns)[static_cast<std::size_t>(missing - seen.begin())]));
}

void RowReader::readUpdate(const WireMessage& message, ReadItem& out) const {
  std::vector<bool> seen(types_.size());
  out.op = ChangeOp::update;
  out.after.resize(types_.size());
  fill(message.value, out.after, seen);
  needKey(message, seen);
  for (std::uint32_t i = 0; i < seen.size(); ++i) {
    if (!seen[i]) out.unchanged.push_back(i);
  }
  if (!message.hasOldValue) return;
  out.before = out.after;  // what is not said to have been otherwise was as it is
  fill(message.oldValue, out.before, seen);
  for (std::uint32_t i = 0; i < seen.size(); ++i) {
    if (!seen[i]) out.beforeAbsent.push_back(i);
  }
}

void RowReader::readErase(const WireMessage& message, ReadItem& out) const {
  std::vector<bool> seen(types_.size());
  out.op = ChangeOp::erase;
  out.before.resize(types_.size());
  fill(message.value, out.before, seen);
  needKey(message, seen);
  for (std::uint32_t i = 0; i < seen.size(); ++i) {
    if (!seen[i]) out.beforeAbsent.push_back(i);
  }
}

void RowReader::read(const WireMessage& message, ReadItem& out) const {
  out.shape = shape_;
  out.transactionId = message.transactionId;
  switch (message.kind) {
    case WireKind::insert:
      return readInsert(message, out);
    case WireKind::update:
      return readUpdate(message, out);
    case WireKind::erase:
      return readErase(message, out);
    default:
      malformed("a message that is no row was read as one");
  }
}

}  // namespace tidegate::electric::reading
