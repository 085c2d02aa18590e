#include <algorithm>

#include "core/detail/packed.h"
#include "sink/detail/memory_state.h"
#include "sink/detail/value_order.h"

namespace tidegate {

namespace {

using detail::ColumnIndex;
using detail::RowRecord;
using detail::StoredTable;

std::size_t columnOf(const StoredTable& table, std::string_view column) {
  const TableShape& shape = *table.layout().shape();
  if (const auto at = shape.columns->find(column)) return *at;
  throw Error(ErrorCode::columnNotFound, Retry::never,
              "memory table \"" + shape.schema.table + "\" has no column \"" + std::string(column) + "\"");
}

Row rowOf(const StoredTable& table, const RowRecord& record) {
  Row row{table.layout().shape()->columns, {}};
  table.layout().unpack(record.packed(), row.values);
  return row;
}

bool inRange(const Value& value, const MemoryRange& range) {
  if (range.from && detail::orderedBefore(value, *range.from)) return false;
  if (!range.to) return true;
  return range.includeTo ? !detail::orderedBefore(*range.to, value) : detail::orderedBefore(value, *range.to);
}

/// Reads a table some rows at a time, so that no commit waits for long.
class TableStream final : public RowStream {
 public:
  TableStream(std::shared_ptr<const MemorySink::Impl> state, Shape shape, std::stop_token stop)
      : state_(std::move(state)), shape_(std::move(shape)), stop_(std::move(stop)) {}

  const Columns& columns() const override { return shape_->columns; }

  bool next(std::vector<Value>& values) override {
    while (at_ == rows_.size()) {
      if (done_) return false;
      if (stop_.stop_requested()) {
        throw Error(ErrorCode::queryCancelled, Retry::later,
                    "memory table \"" + shape_->schema.table + "\": reading was stopped");
      }
      fill();
    }
    values.swap(rows_[at_++]);
    return true;
  }

 private:
  void fill() {
    constexpr std::size_t kRows = 256;
    const auto lock = state_->readLock();
    rows_.clear();
    at_ = 0;
    const StoredTable& table = state_->table(shape_->schema.table);
    std::vector<Value> held;
    for (; row_ < table.end() && rows_.size() < kRows; ++row_) {
      const RowRecord* record = table.record(row_);
      if (record == nullptr) continue;
      table.layout().unpack(record->packed(), held);
      std::vector<Value>& out = rows_.emplace_back();
      for (const std::string& name : shape_->columns->names()) {
        const auto from = table.layout().shape()->columns->find(name);
        out.push_back(from ? std::move(held[*from]) : Value());
      }
    }
    done_ = row_ >= table.end();
  }

  const std::shared_ptr<const MemorySink::Impl> state_;
  const Shape shape_;
  const std::stop_token stop_;
  std::vector<std::vector<Value>> rows_;
  std::size_t at_ = 0;
  std::uint32_t row_ = 0;
  bool done_ = false;
};

}  // namespace

struct MemoryView::Impl {
  std::shared_ptr<const MemorySink::Impl> state;
  std::shared_lock<std::shared_mutex> lock;
};

MemoryView::MemoryView(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MemoryView::MemoryView(MemoryView&&) noexcept = default;
MemoryView::~MemoryView() = default;

MemoryView MemorySink::view() const {
  return MemoryView(std::make_unique<MemoryView::Impl>(MemoryView::Impl{impl_, impl_->readLock()}));
}

std::unique_ptr<RowStream> MemorySink::readTable(const Shape& shape, std::stop_token stop) {
  impl_->table(shape->schema.table);
  return std::make_unique<TableStream>(impl_, shape, std::move(stop));
}

std::uint64_t MemoryView::unit() const noexcept { return impl_->state->unit; }

bool MemoryView::has(std::string_view table) const noexcept { return impl_->state->tables.contains(table); }

Shape MemoryView::shape(std::string_view table) const { return impl_->state->table(table).layout().shape(); }

std::size_t MemoryView::count(std::string_view table) const { return impl_->state->table(table).count(); }

std::optional<Row> MemoryView::get(std::string_view name, const std::vector<Value>& key) const {
  const StoredTable& table = impl_->state->table(name);
  if (key.size() != table.layout().shape()->key.size()) {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                "memory table \"" + std::string(name) + "\": a key has " +
                    std::to_string(table.layout().shape()->key.size()) + " values");
  }
  std::string packed;
  for (const Value& value : key) detail::packValue(value, packed);
  const std::uint32_t row = table.find(packed);
  if (row == detail::kNoRow) return std::nullopt;
  return rowOf(table, *table.record(row));
}

std::vector<Row> MemoryView::equals(std::string_view name, std::string_view column, const Value& value,
                                    std::size_t limit) const {
  const StoredTable& table = impl_->state->table(name);
  const std::size_t place = columnOf(table, column);
  std::string wanted;
  detail::packValue(value, wanted);
  std::vector<Row> found;
  const auto take = [&](std::uint32_t row) {
    if (found.size() >= limit) return false;
    const RowRecord* record = table.record(row);
    if (record != nullptr && table.layout().packedCell(record->packed(), place) == wanted) {
      found.push_back(rowOf(table, *record));
    }
    return true;
  };
  if (const ColumnIndex* index = table.index(place, false)) {
    index->equals(value, take);
  } else {
    for (std::uint32_t row = 0; row < table.end() && take(row); ++row) continue;
  }
  return found;
}

std::vector<Row> MemoryView::range(std::string_view name, std::string_view column, const MemoryRange& range) const {
  const StoredTable& table = impl_->state->table(name);
  const std::size_t place = columnOf(table, column);
  std::vector<Row> found;
  if (const ColumnIndex* index = table.index(place, true)) {
    const auto take = [&](std::uint32_t row) {
      if (found.size() >= range.limit) return false;
      found.push_back(rowOf(table, *table.record(row)));
      return true;
    };
    index->range(range.from ? &*range.from : nullptr, range.to ? &*range.to : nullptr, range.includeTo,
                 range.descending, take);
    return found;
  }
  for (std::uint32_t row = 0; row < table.end(); ++row) {
    const RowRecord* record = table.record(row);
    if (record == nullptr) continue;
    Row whole = rowOf(table, *record);
    if (inRange(whole.values[place], range)) found.push_back(std::move(whole));
  }
  std::stable_sort(found.begin(), found.end(), [&](const Row& a, const Row& b) {
    return range.descending ? detail::orderedBefore(b.values[place], a.values[place])
                            : detail::orderedBefore(a.values[place], b.values[place]);
  });
  if (found.size() > range.limit) found.resize(range.limit);
  return found;
}

void MemoryView::scan(std::string_view name, const std::function<bool(const Row&)>& visit) const {
  const StoredTable& table = impl_->state->table(name);
  Row row{table.layout().shape()->columns, {}};
  for (std::uint32_t i = 0; i < table.end(); ++i) {
    const RowRecord* record = table.record(i);
    if (record == nullptr) continue;
    table.layout().unpack(record->packed(), row.values);
    if (!visit(row)) return;
  }
}

std::size_t MemoryView::count(std::string_view table, const std::function<bool(const Row&)>& wanted) const {
  std::size_t sum = 0;
  scan(table, [&](const Row& row) {
    sum += wanted(row) ? 1 : 0;
    return true;
  });
  return sum;
}

}  // namespace tidegate
