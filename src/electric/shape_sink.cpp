#include "tidegate/electric/shape_sink.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "electric/detail/feed_impl.h"
#include "tidegate/core/error.h"

namespace tidegate::electric {
namespace {

Error misfitOfShape(const TableShape& shape, const std::string& what) {
  return {ErrorCode::invalidConfig, Retry::afterOperator,
          fmt::format("shape table \"{}\": {}", shape.schema.table, what)};
}

void checkShapeRow(const TableShape& shape, const std::vector<Value>& row) {
  if (row.size() != shape.columns->size()) {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                fmt::format("shape table \"{}\": a row has {} values for {} columns", shape.schema.table, row.size(),
                            shape.columns->size()));
  }
  for (const std::uint32_t i : shape.key) {
    if (!row[i].isNull()) continue;
    throw Error(ErrorCode::rowIdInvalid, Retry::never,
                fmt::format("shape table \"{}\": a row has no value in key column \"{}\"; a key must not be null",
                            shape.schema.table, (*shape.columns)[i]));
  }
}

std::vector<std::string> keyAfterChange(std::vector<std::string> key, const SchemaChange* change) {
  for (std::string& name : key) {
    if (change == nullptr) break;
    const auto renamed = std::find_if(change->renamed.begin(), change->renamed.end(),
                                      [&](const auto& pair) { return pair.first == name; });
    if (renamed != change->renamed.end()) name = renamed->second;
  }
  return key;
}

/// Rows of a table as they were when it was made, in another order of columns.
class ShapeRowStream final : public RowStream {
 public:
  ShapeRowStream(Shape held, std::vector<detail::PackedRow> rows, const Shape& wanted)
      : columns_(wanted->columns), rows_(std::move(rows)) {
    for (const std::string& name : wanted->columns->names()) {
      from_.push_back(held == nullptr ? std::nullopt : held->columns->find(name));
    }
  }
  const Columns& columns() const override { return columns_; }
  bool next(std::vector<Value>& values) override {
    if (at_ == rows_.size()) return false;
    detail::unpackRow(*rows_[at_], row_);
    rows_[at_++].reset();
    values.assign(from_.size(), Value());
    for (std::size_t i = 0; i < from_.size(); ++i) {
      if (from_[i]) values[i] = row_[*from_[i]];
    }
    return true;
  }

 private:
  Columns columns_;
  std::vector<detail::PackedRow> rows_;
  std::vector<std::optional<std::size_t>> from_;
  std::vector<Value> row_;
  std::size_t at_ = 0;
};

}  // namespace

/// The pipeline's side.
struct ShapeSink::Writer {
  explicit Writer(ShapeFeedOptions options) : impl(std::make_shared<ShapeFeed::Impl>(std::move(options))) {}

  void requireOpen() const {
    if (open) return;
    throw Error(ErrorCode::connectionFailed, Retry::later, "shape sink: not open; call open first");
  }
  void undo() noexcept {
    staged.clear();
    keys.clear();
  }
  /// The key of a table as the staged events leave it.
  std::vector<std::string> keyOfTable(const std::string& table) const {
    const auto found = keys.find(table);
    if (found != keys.end()) return found->second;
    const Shape held = impl->hub.shapeOf(table);
    return held == nullptr ? std::vector<std::string>{} : held->schema.primaryKey;
  }
  void checkKey(const Shape& shape, const SchemaChange* change) {
    if (shape->key.empty()) {
      throw misfitOfShape(*shape, "its source has no key, so changes would not say which row they mean; give it one");
    }
    const std::string& table = shape->schema.table;
    const auto held = keyAfterChange(keyOfTable(table), change);
    const auto& wanted = shape->schema.primaryKey;
    // A change that is told again finds its new names there already.
    if (!held.empty() && held != wanted && keyOfTable(table) != wanted) {
      throw misfitOfShape(*shape, fmt::format("its key is ({}) and the source's is ({}); use another sink",
                                              fmt::join(held, ", "), fmt::join(wanted, ", ")));
    }
    keys[table] = wanted;
  }
  void check(const ChangeEvent& event) {
    switch (event.op) {
      case ChangeOp::insert:
      case ChangeOp::update:
      case ChangeOp::read:
        return checkShapeRow(*event.shape, event.after);
      case ChangeOp::erase:
        return checkShapeRow(*event.shape, event.before);
      case ChangeOp::schemaChange:
        return checkKey(event.shape, event.schemaChange.get());
      default:
        return;
    }
  }

  const std::shared_ptr<ShapeFeed::Impl> impl;
  std::vector<ChangeEvent> staged;
  std::map<std::string, std::vector<std::string>> keys;  ///< of tables whose shape is staged
  std::optional<std::string> checkpoint;
  bool open = false;
};

ShapeSink::ShapeSink(ShapeFeedOptions options) : writer_(std::make_unique<Writer>(std::move(options))) {}
ShapeSink::~ShapeSink() = default;

std::shared_ptr<ShapeFeed> ShapeSink::feed() const { return std::make_shared<ShapeFeed>(writer_->impl); }

SinkTraits ShapeSink::traits() const { return {.keepsCheckpoints = false}; }

std::optional<std::string> ShapeSink::open(const SinkContext&) {
  writer_->undo();
  writer_->open = true;
  return writer_->checkpoint;
}

void ShapeSink::prepareTable(const Shape& shape) {
  Writer& w = *writer_;
  w.requireOpen();
  w.checkKey(shape, nullptr);
  w.impl->hub.prepare(shape);
  ChangeEvent& event = w.staged.emplace_back();
  event.op = ChangeOp::schemaChange;
  event.shape = shape;
}

void ShapeSink::apply(const ChangeBatch& batch) {
  Writer& w = *writer_;
  w.requireOpen();
  try {
    for (const ChangeEvent& event : batch) {
      w.check(event);
      if (event.op == ChangeOp::schemaChange) w.impl->hub.prepare(event.shape);
      w.staged.push_back(event);
    }
  } catch (...) {
    w.undo();
    throw;
  }
}

void ShapeSink::commit(std::string_view checkpoint) {
  Writer& w = *writer_;
  w.requireOpen();
  // Should memory run out half-way, the next `open` knows of no checkpoint, and a baseline makes the tables exact.
  w.checkpoint.reset();
  w.impl->hub.commit(w.staged);
  w.undo();
  w.checkpoint = checkpoint;
}

void ShapeSink::rollback() noexcept { writer_->undo(); }

void ShapeSink::close() noexcept {
  writer_->undo();
  writer_->open = false;
}

std::unique_ptr<RowStream> ShapeSink::readTable(const Shape& shape, std::stop_token) {
  auto [held, rows] = writer_->impl->hub.rowsOf(shape->schema.table);
  return std::make_unique<ShapeRowStream>(std::move(held), std::move(rows), shape);
}

std::uint64_t ShapeSink::expire(const Shape& shape, std::string_view column, const Value& cutoff) {
  Writer& w = *writer_;
  w.requireOpen();
  const auto at = shape->columns->find(column);
  if (!at) {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                fmt::format("shape table \"{}\" has no column \"{}\" to expire rows by", shape->schema.table, column));
  }
  const auto rows = readTable(shape, {});
  std::uint64_t count = 0;
  for (std::vector<Value> row; rows->next(row);) {
    if (compareValues(row[*at], cutoff) != std::partial_ordering::less) continue;
    ChangeEvent& event = w.staged.emplace_back();
    event.op = ChangeOp::erase;
    event.shape = shape;
    event.before = row;
    event.transactionBegin = count++ == 0;
  }
  return count;
}

}  // namespace tidegate::electric
