#include "mysql/detail/read_back.h"

#include <fmt/format.h>

#include "sink/detail/value_text.h"

namespace tidegate::mysql::detail {
namespace {

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
    if (const auto* whole = v.getIf<std::int64_t>(); whole != nullptr && plan.kind == ValueKind::boolean) {
      v = Value(*whole != 0);
    } else if (auto* at = std::get_if<Timestamp>(&v.variant())) {
      at->hasZone = plan.zone == 1;
    } else if (const auto* text = v.getIf<std::string>(); text != nullptr && plan.kind != ValueKind::text) {
      v = plan.kind == ValueKind::null ? tidegate::detail::valueOfTagged(*text)
                                       : tidegate::detail::valueOfText(plan.kind, std::string(*text));
    } else if (const auto* decimal = v.getIf<Decimal>(); decimal != nullptr && plan.kind != ValueKind::decimal) {
      v = tidegate::detail::valueOfText(plan.kind, std::string(decimal->text));
    }
  }

  ResultSet rows_;
  Shape shape_;
  std::vector<ColumnPlan> plans_;
};

}  // namespace

std::unique_ptr<RowStream> readBack(const ConnectOptions& options, const Shape& shape,
                                    const std::string& softDeleteColumn, std::stop_token stop) {
  SinkConnection catalogue(options, options.statementTimeout);
  catalogue.open(stop);
  const TargetName name(shape->schema.table, catalogue.database());
  const CatalogTable table = readCatalog(catalogue, name);
  if (!table.exists) {
    throw Error(ErrorCode::tableNotFound, Retry::afterOperator,
                fmt::format("target table \"{}\" does not exist", name.text));
  }
  for (const std::string& column : shape->columns->names()) {
    if (table.columns.count(column) != 0) continue;
    throw Error(ErrorCode::columnNotFound, Retry::afterOperator,
                fmt::format("target table \"{}\" has no column \"{}\"", name.text, column));
  }
  std::vector<ColumnPlan> plans = matchColumns(catalogue, name, shape, table, softDeleteColumn, {});
  catalogue.close();
  std::string columns;
  for (const ColumnPlan& plan : plans) columns += (columns.empty() ? "" : ", ") + plan.quotedName;
  std::string sql = fmt::format("SELECT {} FROM {}", columns, name.quotedName);
  if (!softDeleteColumn.empty() && table.columns.count(softDeleteColumn) != 0) {
    sql += fmt::format(" WHERE {} IS NULL", quoted(softDeleteColumn));
  }
  ConnectOptions reader = options;
  reader.statementTimeout = std::chrono::milliseconds{0};
  const QueryFn query = queryFn(reader);
  return std::make_unique<ReadBack>(query({.sql = sql, .stop = stop, .wholeResult = true}), shape, std::move(plans));
}

}  // namespace tidegate::mysql::detail
