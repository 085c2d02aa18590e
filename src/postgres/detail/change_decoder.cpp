#include "postgres/detail/change_decoder.h"

#include <fmt/format.h>

#include <algorithm>

#include "tidegate/core/error.h"

namespace tidegate::postgres::detail {
namespace {

using Part = Delivery::Part;

void checkWidth(const Tuple& tuple, const StreamTable& table) {
  if (tuple.size() == table.decoders.size()) return;
  throw Error(ErrorCode::parseError, Retry::later,
              fmt::format("the server sent a row of {} columns for table {}, which it said has {}", tuple.size(),
                          table.shape->schema.table, table.decoders.size()));
}

void readCell(const TupleCell& cell, Decoder decode, Value& out) {
  if (cell.kind == TupleCell::Kind::text) return decode(cell.octets, out);
  if (cell.kind == TupleCell::Kind::binary) {
    throw Error(ErrorCode::parseError, Retry::never, "the server sent a column in binary form, which nobody asked for");
  }
  out.variant() = Null{};
}

/// @param absent gets the columns that were left out.
void readTuple(const Tuple& tuple, const StreamTable& table, std::vector<Value>& values,
               std::vector<std::uint32_t>& absent) {
  checkWidth(tuple, table);
  values.resize(tuple.size());
  for (std::size_t i = 0; i < tuple.size(); ++i) {
    readCell(tuple[i], table.decoders[i], values[i]);
    if (tuple[i].kind == TupleCell::Kind::unchanged) absent.push_back(static_cast<std::uint32_t>(i));
  }
}

void readBefore(const PgoutputMessage& message, const StreamTable& table, ChangeEvent& event) {
  if (message.old == OldTuple::none) return;
  readTuple(message.oldTuple, table, event.before, event.beforeAbsent);
  // A key-only tuple has nulls in the place of what it leaves out.
  if (message.old == OldTuple::key) event.beforeAbsent = table.outsideIdentity;
}

/// Unchanged values that the old row tells are no longer unknown.
void takeUnchangedFromBefore(ChangeEvent& event) {
  const auto known = [&](std::uint32_t column) {
    const auto& absent = event.beforeAbsent;
    if (event.before.empty() || std::find(absent.begin(), absent.end(), column) != absent.end()) return false;
    event.after[column] = event.before[column];
    return true;
  };
  event.unchanged.erase(std::remove_if(event.unchanged.begin(), event.unchanged.end(), known), event.unchanged.end());
}

bool differs(const TupleCell& before, const TupleCell& after) {
  if (before.kind == TupleCell::Kind::unchanged || after.kind == TupleCell::Kind::unchanged) return false;
  return before.kind != after.kind || before.octets != after.octets;
}

bool changesKey(const PgoutputMessage& message, const StreamTable& table) {
  if (message.old == OldTuple::none) return false;
  checkWidth(message.oldTuple, table);
  checkWidth(message.newTuple, table);
  return std::any_of(table.shape->key.begin(), table.shape->key.end(),
                     [&](std::uint32_t i) { return differs(message.oldTuple[i], message.newTuple[i]); });
}

}  // namespace

/// Counts the row. @return its table if the row is to be delivered, with the table's schema change told before it.
StreamTable* ChangeDecoder::next(std::uint32_t oid) {
  delivery_.countRow();
  StreamTable& table = relations_.find(oid);
  if (!table.shape) return nullptr;
  if (table.pending) {
    if (delivery_.wants(Part::schema)) {
      delivery_.add(ChangeOp::schemaChange, table.shape, Part::schema, 0).schemaChange = table.pending;
      delivery_.added();
    }
    PgoutputRelations::told(table, delivery_.transaction().commit);
  }
  return delivery_.wants(Part::row) ? &table : nullptr;
}

void ChangeDecoder::take(const PgoutputMessage& message, std::size_t bytes) {
  switch (message.kind) {
    case PgoutputKind::relation:
      return relations_.take(message);
    case PgoutputKind::insert:
      if (StreamTable* table = next(message.relation)) insert(message, *table, bytes);
      return;
    case PgoutputKind::update:
      if (StreamTable* table = next(message.relation)) update(message, *table, bytes);
      return;
    case PgoutputKind::erase:
      if (StreamTable* table = next(message.relation)) erase(message, *table, Part::row, bytes);
      return;
    case PgoutputKind::truncate:
      for (const std::uint32_t oid : message.truncated) {
        const StreamTable* table = next(oid);
        if (table == nullptr) continue;
        delivery_.add(ChangeOp::truncate, table->shape, Part::row, 0);
        delivery_.added();
      }
      return;
    default:
      return;
  }
}

void ChangeDecoder::insert(const PgoutputMessage& message, StreamTable& table, std::size_t bytes) {
  ChangeEvent& event = delivery_.add(ChangeOp::insert, table.shape, Part::row, bytes);
  readTuple(message.newTuple, table, event.after, event.unchanged);
  delivery_.added();
}

void ChangeDecoder::update(const PgoutputMessage& message, StreamTable& table, std::size_t bytes) {
  if (changesKey(message, table)) return changeKey(message, table, bytes);
  ChangeEvent& event = delivery_.add(ChangeOp::update, table.shape, Part::row, bytes);
  readBefore(message, table, event);
  readTuple(message.newTuple, table, event.after, event.unchanged);
  if (!event.unchanged.empty()) takeUnchangedFromBefore(event);
  delivery_.added();
}

/// The row under its old key goes, and one under its new key comes. What the server left out as unchanged would be lost
/// with the old row, so it is looked up.
void ChangeDecoder::changeKey(const PgoutputMessage& message, StreamTable& table, std::size_t bytes) {
  if (delivery_.wants(Part::erase)) erase(message, table, Part::erase, 0);
  ChangeEvent& event = delivery_.add(ChangeOp::insert, table.shape, Part::row, bytes);
  readBefore(message, table, event);
  readTuple(message.newTuple, table, event.after, event.unchanged);
  if (!event.unchanged.empty()) takeUnchangedFromBefore(event);
  event.before.clear();
  event.beforeAbsent.clear();
  if (!event.unchanged.empty()) fill_(event);
  delivery_.added();
}

void ChangeDecoder::erase(const PgoutputMessage& message, StreamTable& table, Part part, std::size_t bytes) {
  ChangeEvent& event = delivery_.add(ChangeOp::erase, table.shape, part, bytes);
  readBefore(message, table, event);
  delivery_.added();
}

}  // namespace tidegate::postgres::detail
