#include "kinesis/detail/record_mapper.h"

#include <fmt/format.h>

#include <algorithm>

#include "tidegate/core/error.h"

namespace tidegate::kinesis::detail {
namespace {

[[noreturn]] void refuseRecord(const std::string& why) { throw Error(ErrorCode::parseError, Retry::never, why); }

ChangeOp opOf(std::string_view action) {
  if (action == "INSERT") return ChangeOp::insert;
  if (action == "UPDATE") return ChangeOp::update;
  if (action == "DELETE") return ChangeOp::erase;
  if (action == "TRUNCATE") return ChangeOp::truncate;
  refuseRecord("member \"action\" is none of INSERT, UPDATE, DELETE, TRUNCATE");
}

/// Which row is meant must be said.
void requireKey(const TableShape& shape, const std::vector<Value>& values) {
  for (const std::uint32_t column : shape.key) {
    if (!values[column].isNull()) continue;
    refuseRecord(fmt::format("table \"{}\": key column \"{}\" is missing or null", shape.schema.table,
                             (*shape.columns)[column]));
  }
}

}  // namespace

bool RecordMapper::map(std::string_view record, ChangeBatch& batch) {
  const RecordFields fields = readRecordFields(record);
  if (fields.table.empty()) refuseRecord("member \"table\" is missing");
  const ChangeOp op = opOf(fields.action);
  const auto wanted = wanted_.find(fields.table);
  if (wanted == wanted_.end()) return false;
  ChangeEvent& event = batch.addOver(op, wanted->second);
  try {
    fill(fields, event);
  } catch (const Error&) {
    batch.dropLast();
    throw;
  }
  return true;
}

void RecordMapper::fill(const RecordFields& fields, ChangeEvent& event) {
  event.transactionBegin = event.transactionEnd = true;
  if (event.op == ChangeOp::truncate) {
    event.after.clear();
    return;
  }
  if (event.op == ChangeOp::erase) return fillErase(fields, event);
  if (fields.row.empty()) refuseRecord("member \"row\" is missing");
  decoder_.decode(fields.row, *event.shape, event.after, missing_);
  if (event.op == ChangeOp::update) fillUpdate(fields, event);
  requireKey(*event.shape, event.after);
}

/// What the row leaves out did not change; the identity says which row it was.
void RecordMapper::fillUpdate(const RecordFields& fields, ChangeEvent& event) {
  event.unchanged = missing_;
  if (fields.identity.empty()) return;
  decoder_.decode(fields.identity, *event.shape, event.before, event.beforeAbsent);
  requireKey(*event.shape, event.before);
  for (const std::uint32_t column : event.shape->key) {
    const auto left = std::find(event.unchanged.begin(), event.unchanged.end(), column);
    if (left == event.unchanged.end()) continue;
    event.after[column] = event.before[column];
    event.unchanged.erase(left);
  }
}

void RecordMapper::fillErase(const RecordFields& fields, ChangeEvent& event) {
  event.after.clear();
  const std::string_view which = fields.identity.empty() ? fields.row : fields.identity;
  if (which.empty()) refuseRecord("a DELETE needs member \"identity\"");
  decoder_.decode(which, *event.shape, event.before, event.beforeAbsent);
  requireKey(*event.shape, event.before);
}

}  // namespace tidegate::kinesis::detail
