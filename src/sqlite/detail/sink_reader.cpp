#include "sqlite/detail/sink_reader.h"

#include <fmt/format.h>

#include "sqlite/detail/sink_columns.h"

namespace tidegate::sqlite::detail {

namespace {

class Rows final : public RowStream {
 public:
  Rows(const SinkOptions& options, Shape shape, std::stop_token stop)
      : shape_(std::move(shape)), path_(options.path), database_(openForReading(options)), stop_(std::move(stop)) {
    std::string names;
    for (const ColumnSchema& column : shape_->schema.columns) {
      names += (names.empty() ? "" : ", ") + sqlName(column.name);
      kinds_.push_back(cellKindOf(column));
    }
    std::string sql = "SELECT " + names + " FROM main." + sqlName(shape_->schema.table);
    if (!options.softDeleteColumn.empty()) sql += " WHERE " + sqlName(options.softDeleteColumn) + " IS NULL";
    sqlite3_stmt* raw = nullptr;
    const int code = sqlite3_prepare_v2(database_.get(), sql.c_str(), static_cast<int>(sql.size() + 1), &raw, nullptr);
    statement_.reset(raw);
    if (code != SQLITE_OK) throw error(code);
  }

  const Columns& columns() const override { return shape_->columns; }

  bool next(std::vector<Value>& values) override {
    if (!statement_) return false;
    if (++count_ % 1'024 == 0 && stop_.stop_requested()) throw sinkError(SQLITE_INTERRUPT, "", path_);
    const int code = sqlite3_step(statement_.get());
    if (code == SQLITE_DONE) return statement_.reset(), false;
    if (code != SQLITE_ROW) throw error(code);
    values.resize(kinds_.size());
    for (std::size_t i = 0; i < kinds_.size(); ++i) {
      readCell(statement_.get(), static_cast<int>(i), kinds_[i], values[i]);
    }
    return true;
  }

 private:
  Error error(int code) const {
    const std::string_view message = sqlite3_errmsg(database_.get());
    if (message.substr(0, 13) != "no such table") return sinkError(code, message, path_);
    return {ErrorCode::tableNotFound, Retry::afterOperator,
            fmt::format("sink {}: there is no table \"{}\"; prepare it first", path_, shape_->schema.table)};
  }

  const Shape shape_;
  const std::string path_;
  const DatabasePtr database_;
  const std::stop_token stop_;
  StatementPtr statement_;  ///< goes before its database does; null: at the end
  std::vector<CellKind> kinds_;
  std::uint64_t count_ = 0;
};

std::string_view argument(sqlite3_value* value) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(value));
  return text == nullptr ? std::string_view()
                         : std::string_view(text, static_cast<std::size_t>(sqlite3_value_bytes(value)));
}

void isBefore(sqlite3_context* context, int, sqlite3_value** values) {
  const std::string_view cell = argument(values[0]), cutoff = argument(values[1]);
  Date day, cutoffDay;
  Timestamp time, cutoffTime;
  if (parseDate(cutoff, cutoffDay)) {
    sqlite3_result_int(context, parseDate(cell, day) && day.days < cutoffDay.days);
  } else if (parseTimestamp(cutoff, cutoffTime)) {
    sqlite3_result_int(context, parseTimestamp(cell, time) && time.micros < cutoffTime.micros);
  } else {
    sqlite3_result_int(context, 0);
  }
}

}  // namespace

std::unique_ptr<RowStream> readRows(const SinkOptions& options, const Shape& shape, std::stop_token stop) {
  return std::make_unique<Rows>(options, shape, std::move(stop));
}

void addExpiryFunction(sqlite3* database) {
  sqlite3_create_function_v2(database, "tidegate_before", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, nullptr, &isBefore,
                             nullptr, nullptr, nullptr);
}

ExpirySql expirySql(const TableShape& shape, std::string_view column, const Value& cutoff,
                    std::string_view softDelete) {
  const std::string cell = sqlName(column);
  std::string test;
  switch (cutoff.kind()) {
    case ValueKind::date:
    case ValueKind::timestamp:
      // Text of fixed width is in the order of time, so an index of the owner's helps; the function then tells times
      // from other text, and years beyond four digits.
      test = cell + " < ?1 AND tidegate_before(" + cell + ", ?1)";
      break;
    case ValueKind::int64:
    case ValueKind::uint64:
    case ValueKind::real:
      test = cell + " < ?1 AND typeof(" + cell + ") IN ('integer', 'real')";
      break;
    default:
      throw Error(
          ErrorCode::invalidArgument, Retry::never,
          fmt::format("target \"{}\": rows expire by a date, a timestamp or a number, not by {} (column \"{}\")",
                      shape.schema.table, toString(cutoff.kind()), column));
  }
  const std::string table = "main." + sqlName(shape.schema.table);
  if (softDelete.empty()) return {"DELETE FROM " + table + " WHERE " + test, false};
  const std::string deleted = sqlName(softDelete);
  return {"UPDATE " + table + " SET " + deleted + " = ?2 WHERE " + test + " AND " + deleted + " IS NULL", true};
}

}  // namespace tidegate::sqlite::detail
