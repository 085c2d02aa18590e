#include "sql_stream.h"

#include <fmt/format.h>

#include <sstream>
#include <stdexcept>

#include "postgres/detail/baseline.h"

namespace tidegate::postgres::detail {
namespace {

std::string keyOf(const TableShape& shape, const std::vector<Value>& values) {
  std::string key;
  for (const std::uint32_t i : shape.key) key += describe(values.at(i)) + "|";
  return key;
}

std::int64_t versionOf(const TableShape& shape, const std::vector<Value>& values) {
  const auto at = shape.columns->find("ver");
  return at && !values[*at].isNull() ? values[*at].as<std::int64_t>() : 0;
}

}  // namespace

void Target::put(Table& table, const ChangeEvent& event, const std::string& key) {
  const auto old = table.rows.find(key);
  std::vector<Value> row = event.after;
  if (!event.unchanged.empty()) {
    if (old == table.rows.end()) return;  // a row that is still to be read
    for (const std::uint32_t i : event.unchanged) row[i] = old->second[i];
  }
  if (old != table.rows.end() && versionOf(*event.shape, row) < versionOf(*event.shape, old->second)) {
    wentBack = fmt::format("{} {} of {}: version {} after {}", toString(event.op), key, event.shape->schema.table,
                           versionOf(*event.shape, row), versionOf(*event.shape, old->second));
  }
  table.named.insert(key);
  table.rows[key] = std::move(row);
}

void Target::apply(const ChangeEvent& event) {
  Table& table = tables_[event.shape->schema.table];
  switch (event.op) {
    case ChangeOp::baselineBegin:
      ++table.begins;
      table.begun = true;
      table.named.clear();
      return;
    case ChangeOp::baselineEnd:
      if (!table.begun) throw std::runtime_error("a baseline ended that had not begun");
      std::erase_if(table.rows, [&](const auto& row) { return table.named.count(row.first) == 0; });
      table.ended = true;
      return;
    case ChangeOp::read:
      if (!table.begun) throw std::runtime_error("a row of a baseline that had not begun");
      ++reads;
      return put(table, event, keyOf(*event.shape, event.after));
    case ChangeOp::insert:
      return put(table, event, keyOf(*event.shape, event.after));
    case ChangeOp::update:
      return put(table, event, keyOf(*event.shape, event.after));
    case ChangeOp::erase:
      table.rows.erase(keyOf(*event.shape, event.before));
      return;
    case ChangeOp::truncate:
      table.rows.clear();
      return;
    default:
      return;
  }
}

SqlStream::SqlStream(std::string slot, std::vector<std::string> tables) : slot_(std::move(slot)) {
  for (const std::string& table : tables) shapes_[table] = nullptr;
  if (db_.ask("SELECT 1 FROM pg_replication_slots WHERE slot_name = $1", {slot_}).empty()) {
    db_.run("SELECT pg_create_logical_replication_slot('" + slot_ + "', 'test_decoding')");
  }
  told_ = *lsnFromText(db_.ask("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = $1", {slot_}));
}

Shape SqlStream::shapeFor(const std::string& table) {
  Shape& shape = shapes_.at(table);
  if (shape && !askShapes_.erase(table)) return shape;
  // As the catalogue has it now: these tests alter a table only with nothing left to tell of its older shape.
  const Shape now = shapeOf(requireTable(db_.raw(), table));
  askShapes_.erase(table);
  if (!shape || !(shape->schema == now->schema)) shape = now;
  return shape;
}

Lsn SqlStream::tell(StreamInterleave* interleave, Target& target) {
  for (const auto& [table, shape] : shapes_) askShapes_.insert(table);
  const std::string reached = db_.ask("SELECT pg_current_wal_flush_lsn()");
  const OwnedResult rows =
      db_.run("SELECT lsn, xid, data FROM pg_logical_slot_peek_changes($1, $2, NULL)", {slot_, reached});
  std::vector<ChangeEvent> events;
  for (int i = 0; i < PQntuples(rows.get()); ++i) {
    const std::string line{cell(rows.get(), i, 2)};
    const Lsn lsn = *lsnFromText(cell(rows.get(), i, 0));
    if (line.starts_with("BEGIN")) events.clear();
    if (line.starts_with("table ")) {
      ChangeEvent event = parse(line);
      if (!event.shape) continue;
      if (event.op == ChangeOp::update && !event.before.empty()) {  // a key change, as the source tells it
        ChangeEvent gone = event;
        gone.op = ChangeOp::erase;
        events.push_back(std::move(gone));
        event.op = ChangeOp::insert;
        event.before.clear();
      }
      events.push_back(std::move(event));
    }
    if (!line.starts_with("COMMIT") || lsn <= told_) continue;
    for (const ChangeEvent& event : events) {
      if (interleave != nullptr && interleave->pending()) interleave->onChange(event);
      target.apply(event);
    }
    const auto xid = static_cast<std::uint32_t>(std::stoul(std::string(cell(rows.get(), i, 1))));
    if (interleave != nullptr && interleave->pending())
      interleave->onCommit({.xid = xid, .commit = lsn - 1, .end = lsn});
    told_ = lsn;
  }
  return std::max(told_, *lsnFromText(reached));
}

/// "table public.t: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2 v[text]:'x'
/// big[text]:unchanged-toast-datum"
ChangeEvent SqlStream::parse(const std::string& line) {
  ChangeEvent event;
  std::istringstream in(line);
  std::string word, table, op;
  in >> word >> table >> op;
  table.pop_back();
  if (shapes_.count(table) == 0) return event;
  event.shape = shapeFor(table);
  event.op = op == "INSERT:"   ? ChangeOp::insert
             : op == "UPDATE:" ? ChangeOp::update
             : op == "DELETE:" ? ChangeOp::erase
                               : ChangeOp::truncate;
  if (event.op == ChangeOp::truncate) return event;
  std::vector<Value>* values = event.op == ChangeOp::erase ? &event.before : &event.after;
  while (in >> word) {
    if (word == "old-key:") values = &event.before;
    if (word == "new-tuple:") values = &event.after;
    const auto bracket = word.find('['), colon = word.find("]:");
    if (bracket == std::string::npos || colon == std::string::npos) continue;
    const auto column = event.shape->columns->find(word.substr(0, bracket));
    if (!column) continue;
    values->resize(event.shape->columns->size());
    std::string text = word.substr(colon + 2);
    if (text == "unchanged-toast-datum") {
      event.unchanged.push_back(static_cast<std::uint32_t>(*column));
      continue;
    }
    if (text == "null") continue;
    if (text.front() == '\'') text = text.substr(1, text.size() - 2);
    (*values)[*column] =
        event.shape->schema.columns[*column].kind == ValueKind::int64 ? Value(std::stoll(text)) : Value(text);
  }
  return event;
}

std::string takeRows(StreamInterleave& interleave, Lsn received, Target& target, std::string progress) {
  ChangeBatch batch;
  interleave.deliverRows(received, batch);
  for (const ChangeEvent& event : batch) {
    const std::string& next = event.position.octets;
    if (!next.empty() && !progress.empty() && next <= progress)
      throw std::runtime_error("a progress that is not further");
    progress = next;  // empty with the last event of all
    target.apply(event);
  }
  return progress;
}

std::map<std::string, std::vector<Value>> tableRows(const std::string& table) {
  TestLink db;
  const Shape shape = shapeOf(requireTable(db.raw(), table));
  const SourceOptions options{.connect = testOptions()};
  auto stream = readTable(options, table, {});
  std::map<std::string, std::vector<Value>> rows;
  for (std::vector<Value> row; stream->next(row);) rows[keyOf(*shape, row)] = row;
  return rows;
}

}  // namespace tidegate::postgres::detail
