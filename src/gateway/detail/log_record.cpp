#include "gateway/detail/log_record.h"

#include <algorithm>

#include "gateway/detail/octet_writer.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace {

// The octet after serverHlc: op in the lowest two bits, then flags.
constexpr std::uint8_t kOpMask = 3;
constexpr std::uint8_t kHasId = 4;
constexpr std::uint8_t kPaired = 8;
constexpr std::uint8_t kHasRules = 16;
// Marks in the rule section where a packed value (a kind octet below 0x80) could stand.
constexpr std::uint8_t kAbsent = 0xFF;
constexpr std::uint8_t kAsBefore = 0xFE;
constexpr std::uint8_t kEffective = 0xFD;  // a varint follows: the effective column's place

constexpr std::size_t kFixedPart = 4 + 8 + 1 + 8 + 32 + 6 * kMaxVarint32;

void writeColumns(std::span<const IncomingColumn> columns, OctetWriter& out) {
  out.varint(columns.size());
  for (const IncomingColumn& column : columns) {
    out.varint(column.name);
    out.raw(column.value);
  }
}

void readColumns(PackedReader& in, std::vector<IncomingColumn>& columns) {
  columns.clear();
  const std::uint64_t count = in.varint();
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto name = static_cast<NameId>(in.varint());
    columns.push_back({name, in.packedValue()});
  }
}

void writeAfter(const RuleCell& cell, bool wroteBefore, std::span<const IncomingColumn> columns, OctetWriter& out) {
  if (!cell.after) return out.octet(kAbsent);
  if (wroteBefore && cell.before == cell.after) return out.octet(kAsBefore);
  // The same octets in the same memory: the effective column this value is.
  const auto effective = std::find_if(columns.begin(), columns.end(),
                                      [&](const IncomingColumn& c) { return c.value.data() == cell.after->data(); });
  if (effective == columns.end()) return out.raw(*cell.after);
  out.octet(kEffective);
  out.varint(static_cast<std::uint64_t>(effective - columns.begin()));
}

std::optional<std::string_view> readCell(PackedReader& in, const RuleCell& cell,
                                         std::span<const IncomingColumn> columns) {
  const auto mark = in.left() == 0 ? std::uint8_t{0} : static_cast<std::uint8_t>(*in.at());
  if (mark < kEffective) return in.packedValue();
  in.octet();
  if (mark == kAbsent) return std::nullopt;
  if (mark == kAsBefore) return cell.before;
  const std::uint64_t place = in.varint();
  if (place >= columns.size()) {
    throw Error(ErrorCode::storeCorrupt, Retry::afterOperator, "a log record's rule section names a missing column");
  }
  return columns[place].value;
}

void writeRules(const RecordDraft& draft, OctetWriter& out) {
  out.varint(draft.rules->cells.size());
  for (const RuleCell& cell : draft.rules->cells) {
    if (draft.op != DeltaOp::insert) {
      if (cell.before)
        out.raw(*cell.before);
      else
        out.octet(kAbsent);
    }
    if (draft.op != DeltaOp::erase) writeAfter(cell, draft.op == DeltaOp::update, draft.columns, out);
  }
  writeColumns(draft.rules->context, out);
  if (draft.rules->context.empty()) return;
  out.varint(draft.rules->contextStamp.client);
  out.fixed64(draft.rules->contextStamp.hlc);
}

void readRules(PackedReader& in, RecordView& record) {
  record.rules.clear();
  const std::uint64_t count = in.varint();
  for (std::uint64_t i = 0; i < count; ++i) {
    RuleCell& cell = record.rules.cells.emplace_back();
    if (record.op != DeltaOp::insert) cell.before = readCell(in, cell, record.columns);
    if (record.op != DeltaOp::erase) cell.after = readCell(in, cell, record.columns);
  }
  readColumns(in, record.rules.context);
  record.rules.contextStamp = record.stamp;
  if (record.rules.context.empty()) return;
  record.rules.contextStamp.client = static_cast<NameId>(in.varint());
  record.rules.contextStamp.hlc = in.fixed64();
}

void fillHead(const RecordView& record, const NameTable& names, DeltaOp op, RowDelta& delta) {
  delta.op = op;
  delta.table = names.at(record.table);
  delta.rowId = record.rowId;
  delta.clientId = names.at(record.stamp.client);
  delta.hlc = {record.stamp.hlc};
}

void fillColumns(std::span<const IncomingColumn> columns, const NameTable& names, std::vector<ColumnValue>& out) {
  for (const IncomingColumn& column : columns) {
    ColumnValue& to = out.emplace_back();
    to.column = names.at(column.name);
    PackedReader(column.value).value(to.value);
  }
}

}  // namespace

std::size_t recordBound(const RecordDraft& draft) noexcept {
  std::size_t bound = kFixedPart + draft.rowId.size();
  for (const IncomingColumn& column : draft.columns) bound += kMaxVarint32 + column.value.size();
  if (draft.rules == nullptr) return bound;
  bound += 3 * kMaxVarint32 + 8;
  for (const RuleCell& cell : draft.rules->cells) {
    bound += 2 + 2 * kMaxVarint32 + (cell.before ? cell.before->size() : 0) + (cell.after ? cell.after->size() : 0);
  }
  for (const IncomingColumn& column : draft.rules->context) bound += kMaxVarint32 + column.value.size();
  return bound;
}

std::size_t writeRecord(const RecordDraft& draft, char* to) noexcept {
  OctetWriter out(to + 4);
  out.fixed64(draft.serverHlc);
  out.octet(static_cast<std::uint8_t>(static_cast<std::uint8_t>(draft.op) | (draft.id != nullptr ? kHasId : 0) |
                                      (draft.pairedWithNext ? kPaired : 0) | (draft.rules != nullptr ? kHasRules : 0)));
  out.varint(draft.table);
  out.varint(draft.stamp.client);
  out.fixed64(draft.stamp.hlc);
  if (draft.id != nullptr) out.raw({reinterpret_cast<const char*>(draft.id->octets.data()), 32});
  out.text(draft.rowId);
  writeColumns(draft.columns, out);
  if (draft.rules != nullptr) writeRules(draft, out);
  const auto size = static_cast<std::uint32_t>(out.at() - to);
  OctetWriter(to).fixed32(size);
  return size;
}

void RecordView::read(std::string_view record) {
  PackedReader in(record);
  in.raw(4);
  serverHlc = in.fixed64();
  const std::uint8_t flags = in.octet();
  op = static_cast<DeltaOp>(flags & kOpMask);
  pairedWithNext = (flags & kPaired) != 0;
  hasRules = (flags & kHasRules) != 0;
  table = static_cast<NameId>(in.varint());
  stamp.client = static_cast<NameId>(in.varint());
  stamp.hlc = in.fixed64();
  id = (flags & kHasId) != 0 ? in.raw(32) : std::string_view{};
  rowId = in.text();
  readColumns(in, columns);
  if (hasRules)
    readRules(in, *this);
  else {
    rules.clear();
    rules.contextStamp = stamp;
  }
}

void toDelta(const RecordView& record, const NameTable& names, RowDelta& delta) {
  fillHead(record, names, record.op, delta);
  delta.columns.clear();
  delta.columns.reserve(record.columns.size());
  fillColumns(record.columns, names, delta.columns);
  if (record.id.empty())
    delta.deltaId = computeDeltaId(delta);
  else
    std::memcpy(delta.deltaId.octets.data(), record.id.data(), 32);
}

void toInsert(const RecordView& record, const NameTable& names, RowDelta& delta) {
  fillHead(record, names, DeltaOp::insert, delta);
  delta.clientId = names.at(record.rules.contextStamp.client);
  delta.hlc = {record.rules.contextStamp.hlc};
  delta.columns.clear();
  delta.columns.reserve(record.columns.size() + record.rules.context.size());
  fillColumns(record.columns, names, delta.columns);
  fillColumns(record.rules.context, names, delta.columns);
  delta.deltaId = computeDeltaId(delta);
}

void toErase(const RecordView& record, const NameTable& names, RowDelta& delta) {
  fillHead(record, names, DeltaOp::erase, delta);
  delta.columns.clear();
  delta.deltaId = computeDeltaId(delta);
}

}  // namespace tidegate::detail
