#include "simulation/engine_database.h"

#include <algorithm>
#include <charconv>

#include "tidegate/core/error.h"

namespace tidegate::sim {
namespace {

std::uint64_t placeNumber(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    throw Error(ErrorCode::parseError, Retry::never, "no place of the simulated log: " + std::string(text));
  }
  return value;
}

Shape shapeOf(const EngineTablePlan& table) {
  TableSchema schema;
  schema.table = table.name;
  schema.columns.push_back({.name = "id", .kind = ValueKind::int64, .nullable = false});
  if (table.compositeKey) schema.columns.push_back({.name = "sub", .kind = ValueKind::text, .nullable = false});
  schema.columns.push_back({.name = "region"});
  schema.columns.push_back({.name = "amount", .kind = ValueKind::int64});
  schema.columns.push_back({.name = "note"});
  schema.columns.push_back({.name = "big"});
  schema.primaryKey = {"id"};
  if (table.compositeKey) schema.primaryKey = {"sub", "id"};
  return makeShape(std::move(schema));
}

bool isExtra(const std::string& column) { return column.starts_with("x"); }

}  // namespace

std::string placeText(const LogPlace& place) { return fmt::format("{}.{}", place.transaction, place.changes); }

LogPlace placeFromText(std::string_view text) {
  const auto dot = text.find('.');
  if (dot == std::string_view::npos) return {placeNumber("?"), 0};
  return {placeNumber(text.substr(0, dot)), placeNumber(text.substr(dot + 1))};
}

std::string keyText(const TableShape& shape, const std::vector<Value>& row) {
  std::string text;
  for (const std::uint32_t column : shape.key) text += (text.empty() ? "" : "|") + describe(row[column]);
  return text;
}

EngineDatabase::EngineDatabase(const EnginePlan& plan, const EngineSourcePlan& source, SimRandom random,
                               const SimClock& clock, Trace& trace)
    : plan_(plan), source_(source), random_(random), clock_(clock), trace_(trace) {
  for (const EngineTablePlan& table : source.tables) tables_.push_back({.shape = shapeOf(table)});
}

std::optional<std::size_t> EngineDatabase::find(const std::string& name) const {
  for (std::size_t i = 0; i < tables_.size(); ++i) {
    if (tables_[i].shape->schema.table == name) return i;
  }
  return std::nullopt;
}

LogPlace EngineDatabase::end() const {
  return log_.empty() ? LogPlace{} : LogPlace{log_.size(), log_.back().changes.size()};
}

void EngineDatabase::write() {
  SimCommit commit{.micros = clock_.trueNow().count()};
  const bool large = plan_.largeTransactions && random_.chance(4);
  const auto count = large ? random_.between(20, 60) : random_.between(1, random_.chance(60) ? 2 : 6);
  for (std::int64_t i = 0; i < count; ++i) change(commit.changes);
  if (commit.changes.empty()) return;
  log_.push_back(std::move(commit));
  trace_.line(source_.name, "commits {} with {} changes", log_.size(), log_.back().changes.size());
  if (!trace_.printing()) return;
  for (const SimChange& made : log_.back().changes) {
    std::string row;
    for (const Value& value : made.after.empty() ? made.before : made.after) row += " " + describe(value, 12);
    trace_.detail("t{} {}{}{}", made.table + 1, toString(made.op), row, made.keyChanged ? " (other key)" : "");
  }
}

void EngineDatabase::change(std::vector<SimChange>& changes) {
  const auto table = static_cast<std::size_t>(random_.below(tables_.size()));
  const auto dice = random_.below(1'000);
  if (dice < 8 && plan_.truncates) return truncate(table, changes);
  if (dice < 20 && plan_.schemaChanges) return alter(table, changes);
  if (dice < 420) return insert(table, changes);
  if (dice < 800) return update(table, changes);
  erase(table, changes);
}

Value EngineDatabase::drawNote() {
  if (plan_.poison && random_.chance(6)) return "poison";
  if (random_.chance(15)) return Null{};
  return fmt::format("n{}", random_.below(30));
}

std::vector<Value> EngineDatabase::drawRow(std::size_t table) {
  std::vector<Value> row;
  for (const ColumnSchema& column : tables_[table].shape->schema.columns) {
    if (column.name == "id")
      row.emplace_back(random_.between(1, source_.tables[table].keys));
    else if (column.name == "sub")
      row.emplace_back(random_.chance(50) ? "a" : "b");
    else if (column.name == "region")
      row.emplace_back(random_.chance(50) ? "eu" : (random_.chance(70) ? "us" : "ap"));
    else if (column.name == "amount")
      row.push_back(random_.chance(8) ? Value(Null{}) : Value(random_.between(0, 100)));
    else if (column.name == "note")
      row.push_back(drawNote());
    else if (column.name == "big")
      row.emplace_back(fmt::format("big{}", random_.below(1'000)));
    else
      row.push_back(random_.chance(30) ? Value(Null{}) : Value(random_.between(0, 9)));
  }
  return row;
}

void EngineDatabase::insert(std::size_t table, std::vector<SimChange>& changes) {
  std::vector<Value> row = drawRow(table);
  const Shape& shape = tables_[table].shape;
  if (!tables_[table].rows.emplace(keyText(*shape, row), row).second) return;
  changes.push_back({.op = ChangeOp::insert, .table = table, .shape = shape, .after = std::move(row)});
}

void EngineDatabase::update(std::size_t table, std::vector<SimChange>& changes) {
  auto& rows = tables_[table].rows;
  if (rows.empty()) return;
  const Shape& shape = tables_[table].shape;
  const auto at = std::next(rows.begin(), static_cast<std::ptrdiff_t>(random_.below(rows.size())));
  SimChange made{.op = ChangeOp::update, .table = table, .shape = shape, .before = at->second};
  made.after = drawRow(table);
  const bool otherKey = plan_.keyChanges && random_.chance(15);
  if (!otherKey) {
    for (const std::uint32_t column : shape->key) made.after[column] = made.before[column];
  }
  // A change that is refused is refused whole: its old key would stay for ever.
  const auto note = *shape->columns->find("note");
  if (otherKey && made.after[note] == Value("poison")) made.after[note] = Null{};
  const auto big = static_cast<std::uint32_t>(*shape->columns->find("big"));
  if (random_.chance(60)) {
    made.after[big] = made.before[big];
    if (plan_.unchanged) made.unchanged = {big};
  }
  const std::string key = keyText(*shape, made.after);
  made.keyChanged = key != at->first;
  if (made.keyChanged && rows.contains(key)) return;
  rows.erase(at);
  rows[key] = made.after;
  changes.push_back(std::move(made));
}

void EngineDatabase::erase(std::size_t table, std::vector<SimChange>& changes) {
  auto& rows = tables_[table].rows;
  if (rows.empty()) return;
  const auto at = std::next(rows.begin(), static_cast<std::ptrdiff_t>(random_.below(rows.size())));
  changes.push_back(
      {.op = ChangeOp::erase, .table = table, .shape = tables_[table].shape, .before = std::move(at->second)});
  rows.erase(at);
}

void EngineDatabase::truncate(std::size_t table, std::vector<SimChange>& changes) {
  tables_[table].rows.clear();
  changes.push_back({.op = ChangeOp::truncate, .table = table, .shape = tables_[table].shape});
}

/// Adds a column (with or without a default), drops or renames one that was added.
void EngineDatabase::alter(std::size_t table, std::vector<SimChange>& changes) {
  SourceTable& altered = tables_[table];
  TableSchema schema = altered.shape->schema;
  auto change = std::make_shared<SchemaChange>();
  change->before = altered.shape;
  const bool hasExtra = isExtra(schema.columns.back().name);
  const auto dice = random_.below(3);
  if (dice == 0 || !hasExtra) {
    if (schema.columns.size() > 9) return;
    const bool withDefault = random_.chance(40);
    schema.columns.push_back({.name = fmt::format("x{}", ++columnsMade_), .kind = ValueKind::int64});
    change->rowsChanged = withDefault;
    for (auto& [key, row] : altered.rows) row.push_back(withDefault ? Value(columnsMade_) : Value(Null{}));
  } else if (dice == 1) {
    schema.columns.pop_back();
    for (auto& [key, row] : altered.rows) row.pop_back();
  } else {
    const std::string name = fmt::format("x{}", ++columnsMade_);
    change->renamed.emplace_back(schema.columns.back().name, name);
    schema.columns.back().name = name;
  }
  altered.shape = makeShape(std::move(schema));
  changes.push_back(
      {.op = ChangeOp::schemaChange, .table = table, .shape = altered.shape, .schema = std::move(change)});
}

void EngineDatabase::ack(const LogPlace& place) {
  if (slotGone_ || (acked_ && *acked_ >= place)) return;
  acked_ = place;
  lost_ = std::max(lost_, nextAfter(place) - 1);
}

void EngineDatabase::dropSlot() {
  lost_ = lostByDrop_ = log_.size();
  acked_.reset();
  slotGone_ = true;
  trace_.line(source_.name, "drops its slot: nothing up to {} is there any more", lost_);
}

std::uint64_t EngineDatabase::nextAfter(const LogPlace& place) const {
  const bool whole = place.transaction == 0 || place.changes >= commit(place.transaction).changes.size();
  return whole ? place.transaction + 1 : place.transaction;
}

bool EngineDatabase::has(const LogPlace& place) const { return !slotGone_ && nextAfter(place) > lost_; }

bool EngineDatabase::lostByDrop(const LogPlace& place) const { return slotGone_ || nextAfter(place) <= lostByDrop_; }

}  // namespace tidegate::sim
