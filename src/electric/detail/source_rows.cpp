#include <fmt/format.h>

#include <map>

#include "core/detail/packed.h"
#include "electric/detail/source_core.h"

namespace tidegate::electric::reading {
namespace {

/// A table made of its events. Rows without a key are told apart by all that they hold.
class TableFold {
 public:
  explicit TableFold(std::size_t maxRows) : maxRows_(maxRows) {}

  void apply(ChangeEvent& event) {
    switch (event.op) {
      case ChangeOp::baselineBegin:
        shape_ = event.shape;
        rows_.clear();
        return;
      case ChangeOp::read:
      case ChangeOp::insert:
      case ChangeOp::update:
        return put(event);
      case ChangeOp::erase:
        if (const auto at = rows_.find(keyOf(event.before)); at != rows_.end()) rows_.erase(at);
        return;
      default:
        return;
    }
  }
  const Shape& shape() const { return shape_; }
  /// The next row, taken out.
  bool next(std::vector<Value>& row) {
    if (rows_.empty()) return false;
    row = std::move(rows_.begin()->second);
    rows_.erase(rows_.begin());
    return true;
  }

 private:
  std::string keyOf(const std::vector<Value>& row) const {
    std::string key;
    for (const std::uint32_t column : shape_->key) tidegate::detail::packValue(row[column], key);
    if (!shape_->key.empty()) return key;
    for (const Value& value : row) tidegate::detail::packValue(value, key);
    return key;
  }
  void put(ChangeEvent& event) {
    std::string key = keyOf(event.after);
    const auto at = shape_->key.empty() ? rows_.end() : rows_.find(key);
    if (at == rows_.end()) {
      if (rows_.size() >= maxRows_) {
        throw Error(ErrorCode::invalidArgument, Retry::never,
                    fmt::format("table \"{}\" has over maxReadRows = {} rows, and they are held in memory; raise it",
                                shape_->schema.table, maxRows_));
      }
      rows_.emplace(std::move(key), std::move(event.after));
      return;
    }
    for (const std::uint32_t column : event.unchanged) event.after[column] = std::move(at->second[column]);
    at->second = std::move(event.after);
  }

  const std::size_t maxRows_;
  Shape shape_;
  std::multimap<std::string, std::vector<Value>> rows_;
};

class FoldedRows final : public RowStream {
 public:
  explicit FoldedRows(TableFold fold) : fold_(std::move(fold)) {}
  const Columns& columns() const override { return fold_.shape()->columns; }
  bool next(std::vector<Value>& values) override { return fold_.next(values); }

 private:
  TableFold fold_;
};

}  // namespace

std::unique_ptr<RowStream> ElectricCore::readTable(const SourceShape& shape, const std::stop_token& stop) const {
  http::Client own(clientOptions());
  Epochs times(*clock);
  TableFold fold(options.maxReadRows);
  const ChangeHandler handler = [&](ChangeBatch& batch) {
    for (ChangeEvent& event : batch) fold.apply(event);
    return Taken::yes;
  };
  RunTask task{.shapes = {&shape}, .baseline = true};
  task.from.shapes[nameOf(shape)] = {};
  try {
    SourceRun run({.options = options,
                   .clock = *clock,
                   .scheduler = *scheduler,
                   .client = own,
                   .epochs = times,
                   .warn = [this](const std::string& message) { warn(message); },
                   .seed = context.jitterSeed},
                  std::move(task), handler, stop);
    if (!run.run()) throw Error(ErrorCode::queryCancelled, Retry::later, "the reading was stopped");
  } catch (const ReaderFailed& failed) {
    std::rethrow_exception(failed.cause);
  }
  return std::make_unique<FoldedRows>(std::move(fold));
}

}  // namespace tidegate::electric::reading
