#include "postgres/detail/read_back.h"

#include <fmt/format.h>

#include "sink/detail/value_text.h"

namespace tidegate::postgres::detail {
namespace {

/// How a column is asked for so that its answer says everything: text forms where the kind is not the answer's own.
std::string expressionOf(const ColumnPlan& plan) {
  switch (plan.wire) {
    case Wire::interval:  // years to microseconds would be ambiguous; the sink writes microseconds only
      return fmt::format("(extract(epoch FROM {}) * 1000000)::bigint AS {}", plan.quoted, plan.quoted);
    case Wire::numeric:
    case Wire::text:
      return fmt::format("{}::text AS {}", plan.quoted, plan.quoted);
    case Wire::int8:
    case Wire::float8:
      return fmt::format("{}::{} AS {}", plan.quoted, typeOf(plan.wire).name, plan.quoted);
    default:
      return plan.quoted;
  }
}

class ReadBack final : public RowStream {
 public:
  ReadBack(ResultSet rows, Shape shape, std::vector<ColumnPlan> plans)
      : rows_(std::move(rows)), shape_(std::move(shape)), plans_(std::move(plans)) {}

  const Columns& columns() const override { return shape_->columns; }

  bool next(std::vector<Value>& values) override {
    if (!rows_.next(values)) return false;
    for (std::size_t i = 0; i < plans_.size(); ++i) restore(plans_[i], values[i]);
    return true;
  }

 private:
  static void restore(const ColumnPlan& plan, Value& v) {
    if (v.isNull()) return;
    if (plan.wire == Wire::interval) {
      v = Value(Time{v.as<std::int64_t>()});
    } else if (const auto* text = v.getIf<std::string>(); text != nullptr && plan.kind != ValueKind::text) {
      v = plan.kind == ValueKind::null ? tidegate::detail::valueOfTagged(*text)
                                       : tidegate::detail::valueOfText(plan.kind, std::string(*text));
    }
  }

  ResultSet rows_;
  Shape shape_;
  std::vector<ColumnPlan> plans_;
};

}  // namespace

std::unique_ptr<RowStream> readBack(const ConnectOptions& options, const Shape& shape,
                                    const std::string& softDeleteColumn, std::stop_token stop) {
  const TargetName name(shape->schema.table);
  SinkConnection catalogue(options);
  catalogue.open(stop);
  const CatalogTable table = readCatalog(catalogue, name);
  catalogue.close();
  if (!table.exists) {
    throw Error(ErrorCode::tableNotFound, Retry::afterOperator,
                fmt::format("target table \"{}\" does not exist", name.text));
  }
  std::string columns;
  for (const std::string& column : shape->columns->names()) {
    if (table.columns.count(column) != 0) continue;
    throw Error(ErrorCode::columnNotFound, Retry::afterOperator,
                fmt::format("target table \"{}\" has no column \"{}\"", name.text, column));
  }
  std::vector<ColumnPlan> plans = matchColumns(name, shape, table, softDeleteColumn);
  for (const ColumnPlan& plan : plans) columns += (columns.empty() ? "" : ", ") + expressionOf(plan);
  std::string sql = fmt::format("SELECT {} FROM {}", columns, name.quoted);
  if (!softDeleteColumn.empty() && table.columns.count(softDeleteColumn) != 0) {
    sql += fmt::format(" WHERE {} IS NULL", quoteIdentifier(Dialect::postgres, softDeleteColumn));
  }
  ConnectOptions reader = options;
  reader.statementTimeout = std::chrono::milliseconds{0};
  const QueryFn query = queryFn(reader);
  return std::make_unique<ReadBack>(query({.sql = sql, .stop = stop, .wholeResult = true}), shape, std::move(plans));
}

}  // namespace tidegate::postgres::detail
