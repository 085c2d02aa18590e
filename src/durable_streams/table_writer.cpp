#include "durable_streams/detail/table_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "core/detail/json_tree.h"
#include "tidegate/core/json.h"

namespace tidegate::durable_streams::detail {
namespace {

bool isWholeBefore(const ChangeEvent& event) {
  return event.before.size() == event.shape->columns->size() && event.beforeAbsent.empty();
}

/// What a schema change does to a row: its old column names with the new ones; empty: the column is gone.
using ColumnMoves = std::map<std::string, std::string, std::less<>>;

ColumnMoves movesOf(const ChangeEvent& event) {
  ColumnMoves moves;
  if (!event.schemaChange) return moves;
  if (event.schemaChange->before) {
    for (const std::string& name : event.schemaChange->before->columns->names()) {
      if (!event.shape->columns->find(name)) moves[name] = "";
    }
  }
  for (const auto& [from, to] : event.schemaChange->renamed) moves[from] = to;
  return moves;
}

/// An object with its members moved, all else as it was written.
std::string movedRow(std::string_view json, const ColumnMoves& moves) {
  const tidegate::detail::JsonTree tree(json, kMaxJsonDepth + 2);
  std::string out = "{";
  for (const auto& member : tree.root().members()) {
    std::string name = member.key();
    if (const auto move = moves.find(name); move != moves.end()) name = move->second;
    if (name.empty()) continue;
    if (out.size() > 1) out.push_back(',');
    appendJsonString(name, out);
    out.push_back(':');
    out.append(member.source());
  }
  out.push_back('}');
  return out;
}

}  // namespace

std::string TableWriter::streamOfTable(const std::string& table) const {
  switch (options_.layout) {
    case StreamLayout::perTable:
      return options_.prefix + pathSegment(table);
    case StreamLayout::perPipeline:
      return options_.prefix + pathSegment(pipeline_);
    case StreamLayout::byRow:
      return {};
  }
  return {};
}

std::string TableWriter::streamOf(const TableShape& shape, const std::vector<Value>& row) const {
  if (options_.layout != StreamLayout::byRow) return streamOfTable(shape.schema.table);
  const std::string path = options_.streamOf(shape, row);
  if (path.empty()) {
    throw Error(ErrorCode::invalidConfig, Retry::afterOperator,
                fmt::format("table \"{}\": streamOf gave an empty path for a row", shape.schema.table));
  }
  return options_.prefix + path;
}

std::vector<std::string> TableWriter::allStreams(const std::string& table) const {
  std::vector<std::string> streams = out_.streamsOf(table);
  const std::string whole = streamOfTable(table);
  if (!whole.empty() && std::find(streams.begin(), streams.end(), whole) == streams.end()) streams.push_back(whole);
  return streams;
}

std::string TableWriter::keyOf(const ChangeEvent& event, const std::vector<Value>& row) {
  if (!event.shape->key.empty()) return stateKey(*event.shape, row);
  if (event.op == ChangeOp::insert || event.op == ChangeOp::read) {
    return fmt::format("{}/{}/{}/{}", journal_.incarnation(), journal_.epoch(), journal_.unit(), ++keyless_);
  }
  throw Error(ErrorCode::rowIdInvalid, Retry::never,
              fmt::format("table \"{}\" has no key, so no message can say which row is meant by an {}: give it a "
                          "primary key",
                          event.shape->schema.table, toString(event.op)));
}

ChangeMessage TableWriter::messageOf(const ChangeEvent& event, StateOperation operation, std::string key) const {
  ChangeMessage message{.operation = operation, .type = event.shape->schema.table, .key = std::move(key)};
  if (event.transactionId != 0) message.txid = std::to_string(event.transactionId);
  if (event.commitMicros != 0) message.timestamp = toIso(Timestamp::utc(event.commitMicros));
  message.source = options_.originMark;
  const bool tellsOld = operation != StateOperation::insert && options_.oldValues && isWholeBefore(event);
  if (tellsOld) appendRowJson(*event.shape, event.before, message.oldValue);
  return message;
}

void TableWriter::apply(const ChangeEvent& event) {
  switch (event.op) {
    case ChangeOp::insert:
    case ChangeOp::read:
      write(event);
      break;
    case ChangeOp::update:
      update(event);
      break;
    case ChangeOp::erase:
      erase(event);
      break;
    case ChangeOp::truncate:
      truncate(event);
      break;
    case ChangeOp::baselineBegin:
      beginBaseline(event);
      break;
    case ChangeOp::baselineEnd:
      endBaseline(event);
      break;
    case ChangeOp::schemaChange:
      changeSchema(event);
      break;
    case ChangeOp::progress:
      return;
  }
  if (event.transactionEnd) out_.endTransaction();
}

void TableWriter::write(const ChangeEvent& event) {
  const std::string& table = event.shape->schema.table;
  const std::string stream = streamOf(*event.shape, event.after);
  std::string key = keyOf(event, event.after);
  // A row read again is most likely there.
  const auto baseline = fresh_.find(table);
  const bool again = event.op == ChangeOp::read && (baseline == fresh_.end() || !baseline->second);
  ChangeMessage message = messageOf(event, again ? StateOperation::update : StateOperation::insert, std::move(key));
  appendRowJson(*event.shape, event.after, message.value);
  out_.write(table, stream, std::move(message));
}

/// The row as it is now. Columns that the source left out come from the row before; else from the stream.
std::string TableWriter::wholeRow(const ChangeEvent& event, const std::string& stream, const std::string& key) {
  std::string json;
  if (event.unchanged.empty()) {
    appendRowJson(*event.shape, event.after, json);
    return json;
  }
  std::vector<Value> row = event.after;
  if (isWholeBefore(event)) {
    for (const std::uint32_t i : event.unchanged) row[i] = event.before[i];
    appendRowJson(*event.shape, row, json);
    return json;
  }
  const EntityView::Entity* now = out_.view(stream).find(event.shape->schema.table, key);
  if (now == nullptr) return json;
  std::vector<Value> there;
  rowFromJson(event.shape->schema, now->value, there, KindMismatch::keep);
  for (const std::uint32_t i : event.unchanged) row[i] = there[i];
  appendRowJson(*event.shape, row, json);
  return json;
}

void TableWriter::update(const ChangeEvent& event) {
  const std::string& table = event.shape->schema.table;
  const std::string stream = streamOf(*event.shape, event.after);
  std::string key = keyOf(event, event.after);
  std::string row = wholeRow(event, stream, key);
  if (row.empty()) return;  // a row that is not there, and not all of it: its baseline brings it
  if (options_.layout == StreamLayout::byRow && isWholeBefore(event)) {
    const std::string was = streamOf(*event.shape, event.before);
    if (was != stream) out_.write(table, was, messageOf(event, StateOperation::erase, key));
  }
  ChangeMessage message = messageOf(event, StateOperation::update, std::move(key));
  message.value = std::move(row);
  out_.write(table, stream, std::move(message));
}

void TableWriter::erase(const ChangeEvent& event) {
  out_.write(event.shape->schema.table, streamOf(*event.shape, event.before),
             messageOf(event, StateOperation::erase, keyOf(event, event.before)));
}

void TableWriter::eraseAll(const TableShape& shape, const std::string& stream, const ChangeEvent& event,
                           const std::function<bool(const EntityView::Entity&)>& which) {
  std::vector<std::string> keys;
  for (const auto& [key, entity] : out_.view(stream).of(shape.schema.table).entities) {
    if (which(entity)) keys.push_back(key);
  }
  std::sort(keys.begin(), keys.end());
  for (std::string& key : keys) {
    ChangeMessage message = messageOf(event, StateOperation::erase, std::move(key));
    message.oldValue.clear();
    out_.write(shape.schema.table, stream, std::move(message));
  }
}

/// A stream of one table is reset. Where others share it, that would empty them too: then row by row.
void TableWriter::truncate(const ChangeEvent& event) {
  const std::string& table = event.shape->schema.table;
  for (const std::string& stream : allStreams(table)) {
    if (options_.layout == StreamLayout::perTable)
      out_.write(table, stream, ControlMessage{.control = StateControl::reset, .type = table});
    else
      eraseAll(*event.shape, stream, event, [](const EntityView::Entity&) { return true; });
  }
}

void TableWriter::beginBaseline(const ChangeEvent& event) {
  const std::string& table = event.shape->schema.table;
  const std::vector<std::string> streams = allStreams(table);
  fresh_[table] = std::all_of(streams.begin(), streams.end(), [&](const auto& s) { return out_.untouched(s); });
  for (const std::string& stream : streams) {
    out_.write(table, stream, ControlMessage{.control = StateControl::snapshotStart, .type = table});
  }
}

/// Rows that nothing named since the baseline began are gone: said one by one, so that a reader need not know what a
/// snapshot is.
void TableWriter::endBaseline(const ChangeEvent& event) {
  const std::string& table = event.shape->schema.table;
  const auto baseline = fresh_.find(table);
  const bool wasEmpty = baseline != fresh_.end() && baseline->second;
  for (const std::string& stream : allStreams(table)) {
    if (!wasEmpty) {
      const std::uint64_t current = out_.view(stream).of(table).generation;
      eraseAll(*event.shape, stream, event, [&](const EntityView::Entity& e) { return e.generation < current; });
    }
    out_.write(table, stream, ControlMessage{.control = StateControl::snapshotEnd, .type = table});
  }
  fresh_.erase(table);
}

/// A new column needs nothing: rows follow as they change. A renamed one would be lost to every row; and what stayed of
/// a dropped one would come back with a new column of its name.
void TableWriter::changeSchema(const ChangeEvent& event) {
  const ColumnMoves moves = movesOf(event);
  if (moves.empty()) return;
  const std::string& table = event.shape->schema.table;
  for (const std::string& stream : allStreams(table)) {
    std::map<std::string, std::string> rows;
    for (const auto& [key, entity] : out_.view(stream).of(table).entities) {
      std::string next = movedRow(entity.value, moves);
      if (next != entity.value) rows.emplace(key, std::move(next));
    }
    for (auto& [key, row] : rows) {
      ChangeMessage message = messageOf(event, StateOperation::update, key);
      message.value = std::move(row);
      out_.write(table, stream, std::move(message));
    }
  }
}

std::uint64_t TableWriter::expire(const TableShape& shape, std::string_view column, const Value& cutoff) {
  const auto at = shape.columns->find(column);
  if (!at) {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                fmt::format("table \"{}\" has no column \"{}\" to expire rows by", shape.schema.table, column));
  }
  std::uint64_t erased = 0;
  std::vector<Value> row;
  const auto isOld = [&](const EntityView::Entity& entity) {
    rowFromJson(shape.schema, entity.value, row, KindMismatch::keep);
    const bool old = compareValues(row[*at], cutoff) == std::partial_ordering::less;
    erased += old ? 1 : 0;
    return old;
  };
  ChangeEvent event{.op = ChangeOp::erase, .shape = makeShape(shape.schema)};
  for (const std::string& stream : allStreams(shape.schema.table)) eraseAll(shape, stream, event, isOld);
  out_.endTransaction();
  return erased;
}

}  // namespace tidegate::durable_streams::detail
