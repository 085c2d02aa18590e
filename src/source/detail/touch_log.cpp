#include "source/detail/touch_log.h"

#include <algorithm>

#include "core/detail/packed.h"

namespace tidegate::detail {

void packKey(const std::vector<Value>& values, const std::vector<std::uint32_t>& key, std::string& out) {
  out.clear();
  for (const std::uint32_t i : key) packValue(values.at(i), out);
}

void TouchLog::noteUnknown(const std::string& table) {
  if (std::find(openUnknown_.begin(), openUnknown_.end(), table) == openUnknown_.end()) openUnknown_.push_back(table);
}

void TouchLog::add(Touch::Kind kind, const ChangeEvent& event, const std::vector<Value>& values) {
  const TableShape& shape = *event.shape;
  if (shape.key.empty() || values.size() != shape.schema.columns.size() || held_ + open_.size() >= most_) {
    return noteUnknown(shape.schema.table);
  }
  Touch& touch = open_.emplace_back();
  touch.kind = kind;
  touch.table = shape.schema.table;
  packKey(values, shape.key, touch.key);
  if (kind != Touch::Kind::patch) return;
  for (std::uint32_t i = 0; i < values.size(); ++i) {
    if (!std::binary_search(event.unchanged.begin(), event.unchanged.end(), i))
      touch.changed.emplace_back(i, values[i]);
  }
}

void TouchLog::note(const ChangeEvent& event) {
  switch (event.op) {
    case ChangeOp::insert:
      if (!event.unchanged.empty()) return noteUnknown(event.shape->schema.table);
      return add(Touch::Kind::drop, event, event.after);
    case ChangeOp::update: {
      if (event.unchanged.empty()) {
        if (!event.before.empty()) add(Touch::Kind::drop, event, event.before);
        return add(Touch::Kind::drop, event, event.after);
      }
      return add(Touch::Kind::patch, event, event.after);
    }
    case ChangeOp::erase:
      return add(Touch::Kind::drop, event, event.before);
    case ChangeOp::truncate:
      open_.push_back({.kind = Touch::Kind::everyRow, .table = event.shape->schema.table});
      return;
    default:
      return;
  }
}

void TouchLog::commit(const TransactionName& name) {
  for (std::string& table : openUnknown_) open_.push_back({.kind = Touch::Kind::unknown, .table = std::move(table)});
  openUnknown_.clear();
  if (open_.empty()) return;
  held_ += open_.size();
  transactions_.push_back({.number = ++number_, .name = name, .touches = std::move(open_)});
  open_.clear();
}

void TouchLog::rollBack() {
  open_.clear();
  openUnknown_.clear();
}

void TouchLog::forgetSeen(const std::function<bool(const TransactionName& name)>& seenByAll) {
  std::erase_if(transactions_, [&](const TouchingTransaction& transaction) {
    if (!seenByAll(transaction.name)) return false;
    held_ -= transaction.touches.size();
    return true;
  });
}

}  // namespace tidegate::detail
