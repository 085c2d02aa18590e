#include "sqlite/detail/sink_table.h"

#include <fmt/format.h>

#include <algorithm>

namespace tidegate::sqlite::detail {

namespace {

/// Sets of unchanged columns with a statement of their own; past it all are made anew.
constexpr std::size_t kMostUpdates = 64;

}  // namespace

SinkTable::SinkTable(SinkFile& file, Shape shape, std::string_view softDelete)
    : file_(file),
      shape_(std::move(shape)),
      table_("main." + sqlName(shape_->schema.table)),
      softDelete_(softDelete.empty() ? std::string() : sqlName(softDelete)),
      slots_(shape_->columns->size() + shape_->key.size() + 2) {}

void SinkTable::setBaseline(BaselineKind kind, const std::string& seenTable) {
  if (seenTable != seenTable_) seen_.reset();
  baseline_ = kind;
  seenTable_ = seenTable;
}

std::string SinkTable::keyTest() const {
  std::string sql;
  for (const std::uint32_t i : shape_->key) {
    sql += (sql.empty() ? " WHERE " : " AND ") + sqlName((*shape_->columns)[i]) + " = ?";
  }
  return sql;
}

std::string SinkTable::insertSql() const {
  std::string names, marks;
  for (const std::string& name : shape_->columns->names()) {
    names += (names.empty() ? "" : ", ") + sqlName(name);
    marks += marks.empty() ? "?" : ", ?";
  }
  return "INSERT INTO " + table_ + "(" + names + ") VALUES (" + marks + ")";
}

std::string SinkTable::upsertSql() const {
  std::string key, sets;
  for (std::size_t i = 0; i < shape_->columns->size(); ++i) {
    const std::string name = sqlName((*shape_->columns)[i]);
    if (std::find(shape_->key.begin(), shape_->key.end(), i) != shape_->key.end()) continue;
    sets += (sets.empty() ? "" : ", ") + name + " = excluded." + name;
  }
  for (const std::uint32_t i : shape_->key) key += (key.empty() ? "" : ", ") + sqlName((*shape_->columns)[i]);
  if (!softDelete_.empty()) sets += (sets.empty() ? "" : ", ") + softDelete_ + " = NULL";
  return insertSql() + " ON CONFLICT(" + key + ") DO " + (sets.empty() ? "NOTHING" : "UPDATE SET " + sets);
}

std::string SinkTable::updateSql(const Unchanged& unchanged) const {
  std::string sets;
  for (std::uint32_t i = 0; i < shape_->columns->size(); ++i) {
    if (std::binary_search(unchanged.begin(), unchanged.end(), i)) continue;
    if (std::find(shape_->key.begin(), shape_->key.end(), i) != shape_->key.end()) continue;
    sets += (sets.empty() ? "" : ", ") + sqlName((*shape_->columns)[i]) + " = ?";
  }
  if (sets.empty()) return "";
  return "UPDATE " + table_ + " SET " + sets + keyTest() +
         (softDelete_.empty() ? "" : " AND " + softDelete_ + " IS NULL");
}

std::string SinkTable::eraseSql() const {
  if (softDelete_.empty()) return "DELETE FROM " + table_ + keyTest();
  return "UPDATE " + table_ + " SET " + softDelete_ + " = ?" + keyTest() + " AND " + softDelete_ + " IS NULL";
}

sqlite3_stmt* SinkTable::prepared(StatementPtr& statement, std::string (SinkTable::*sql)() const) {
  if (!statement) statement = file_.prepare((this->*sql)());
  return statement.get();
}

sqlite3_stmt* SinkTable::updateFor(const Unchanged& unchanged) {
  const auto same = [&](const auto& held) { return held.first == unchanged; };
  const auto at = std::find_if(updates_.begin(), updates_.end(), same);
  if (at != updates_.end()) return at->second.get();
  if (updates_.size() == kMostUpdates) updates_.clear();
  const std::string sql = updateSql(unchanged);
  return updates_.emplace_back(unchanged, sql.empty() ? StatementPtr() : file_.prepare(sql)).second.get();
}

void SinkTable::check(const std::vector<Value>& row, std::string_view of) const {
  if (row.size() != shape_->columns->size()) {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                fmt::format("target \"{}\": {} has {} values for {} columns", shape_->schema.table, of, row.size(),
                            shape_->columns->size()));
  }
  for (const std::uint32_t i : shape_->key) {
    if (!row[i].isNull()) continue;
    throw Error(ErrorCode::rowIdInvalid, Retry::never,
                fmt::format("target \"{}\": {} has no value in key column \"{}\"; a key must not be null",
                            shape_->schema.table, of, (*shape_->columns)[i]));
  }
}

void SinkTable::bind(sqlite3_stmt* statement, int index, const Value& value) {
  const int code = bindCell(statement, index, value, slots_[static_cast<std::size_t>(index) - 1]);
  if (code != SQLITE_OK) throw file_.error(code);
}

void SinkTable::bindRow(sqlite3_stmt* statement, const std::vector<Value>& row) {
  int index = 0;
  for (const Value& value : row) bind(statement, ++index, value);
}

int SinkTable::bindKey(sqlite3_stmt* statement, int first, const std::vector<Value>& row) {
  for (const std::uint32_t i : shape_->key) bind(statement, first++, row[i]);
  return first;
}

void SinkTable::note(const std::vector<Value>& row) {
  if (baseline_ != BaselineKind::tracked) return;
  if (!seen_) {
    std::string marks;
    for (std::size_t i = 0; i < shape_->key.size(); ++i) marks += i > 0 ? ", ?" : "?";
    seen_ = file_.prepare("INSERT OR IGNORE INTO main." + sqlName(seenTable_) + " VALUES (" + marks + ")");
  }
  bindKey(seen_.get(), 1, row);
  file_.run(seen_.get());
}

/// In a table that was empty when its baseline began, rows are new but for those that the stream brought too.
bool SinkTable::insertFresh(const std::vector<Value>& row) {
  sqlite3_stmt* statement = prepared(insert_, &SinkTable::insertSql);
  bindRow(statement, row);
  const int code = sqlite3_step(statement);
  if (code == SQLITE_DONE) {
    sqlite3_reset(statement);
    return true;
  }
  const Error failure = file_.error(code);
  sqlite3_reset(statement);
  if (code == SQLITE_CONSTRAINT_PRIMARYKEY || code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_ROWID) {
    return false;
  }
  throw failure;
}

void SinkTable::write(const ChangeEvent& event) {
  check(event.after, "a row");
  note(event.after);
  if (event.op == ChangeOp::read && baseline_ == BaselineKind::fresh && insertFresh(event.after)) return;
  sqlite3_stmt* statement = prepared(upsert_, &SinkTable::upsertSql);
  bindRow(statement, event.after);
  file_.run(statement);
}

void SinkTable::update(const ChangeEvent& event) {
  if (event.unchanged.empty()) return write(event);
  check(event.after, "an update");
  note(event.after);
  sqlite3_stmt* statement = updateFor(event.unchanged);
  if (statement == nullptr) return;  // nothing but unchanged columns
  int index = 1;
  auto unchanged = event.unchanged.begin();
  for (std::uint32_t i = 0; i < event.after.size(); ++i) {
    if (unchanged != event.unchanged.end() && *unchanged == i) {
      ++unchanged;
    } else if (std::find(shape_->key.begin(), shape_->key.end(), i) == shape_->key.end()) {
      bind(statement, index++, event.after[i]);
    }
  }
  bindKey(statement, index, event.after);
  file_.run(statement);
}

void SinkTable::erase(const ChangeEvent& event, Timestamp deletedAt) {
  check(event.before, "an erase");
  sqlite3_stmt* statement = prepared(erase_, &SinkTable::eraseSql);
  int index = 1;
  const Value when = deletedAt;
  if (!softDelete_.empty()) bind(statement, index++, when);
  bindKey(statement, index, event.before);
  file_.run(statement);
}

}  // namespace tidegate::sqlite::detail
