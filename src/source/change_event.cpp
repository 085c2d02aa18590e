#include "tidegate/source/change_event.h"

#include "core/detail/value_octets.h"
#include "tidegate/core/error.h"

namespace tidegate {

namespace {

std::vector<std::string> namesOf(const TableSchema& schema) {
  std::vector<std::string> names;
  names.reserve(schema.columns.size());
  for (const ColumnSchema& column : schema.columns) names.push_back(column.name);
  return names;
}

std::size_t bytesOf(const std::vector<Value>& values) noexcept {
  std::size_t sum = values.size() * sizeof(Value);
  for (const Value& value : values) sum += detail::octetsOf(value);
  return sum;
}

}  // namespace

std::string_view toString(ChangeOp op) noexcept {
  switch (op) {
    case ChangeOp::insert:
      return "insert";
    case ChangeOp::update:
      return "update";
    case ChangeOp::erase:
      return "erase";
    case ChangeOp::truncate:
      return "truncate";
    case ChangeOp::schemaChange:
      return "schemaChange";
    case ChangeOp::read:
      return "read";
    case ChangeOp::baselineBegin:
      return "baselineBegin";
    case ChangeOp::baselineEnd:
      return "baselineEnd";
    case ChangeOp::progress:
      return "progress";
  }
  return "?";
}

TableShape::TableShape(TableSchema given) : schema(std::move(given)), columns(makeColumns(namesOf(schema))) {
  for (const std::string& name : schema.primaryKey) {
    const auto at = columns->find(name);
    if (!at) {
      throw Error(ErrorCode::invalidArgument, Retry::never,
                  "table \"" + schema.table + "\": key column \"" + name + "\" is not one of its columns");
    }
    key.push_back(static_cast<std::uint32_t>(*at));
  }
}

Shape makeShape(TableSchema schema) { return std::make_shared<const TableShape>(std::move(schema)); }

std::size_t ChangeEvent::bytes() const noexcept {
  return sizeof(ChangeEvent) + bytesOf(before) + bytesOf(after) + position.octets.size();
}

ChangeEvent& ChangeBatch::add(ChangeOp op, const Shape& shape) {
  ChangeEvent& event = addOver(op, shape);
  event.after.clear();
  return event;
}

ChangeEvent& ChangeBatch::addOver(ChangeOp op, const Shape& shape) {
  if (count_ == slots_.size()) slots_.emplace_back();
  ChangeEvent& event = slots_[count_++];
  event.op = op;
  event.transactionBegin = event.transactionEnd = false;
  if (event.shape != shape) event.shape = shape;
  event.before.clear();
  event.unchanged.clear();
  event.beforeAbsent.clear();
  event.position.octets.clear();
  event.commitMicros = 0;
  event.transactionId = 0;
  event.schemaChange.reset();
  return event;
}

void ChangeBatch::dropLast() {
  if (count_ > 0) --count_;
}

void ChangeBatch::clear() noexcept { count_ = 0; }

void ChangeBatch::swap(ChangeBatch& other) noexcept {
  slots_.swap(other.slots_);
  std::swap(count_, other.count_);
}

std::size_t ChangeBatch::bytes() const noexcept {
  std::size_t sum = 0;
  for (const ChangeEvent& event : *this) sum += event.bytes();
  return sum;
}

}  // namespace tidegate
