#include "tidegate/source/test_database.h"

#include <fmt/format.h>

#include <algorithm>

#include "source/detail/test_log.h"
#include "tidegate/core/error.h"
#include "tidegate/source/ingest_config.h"

namespace tidegate {
namespace {

using detail::TestCommit;
using detail::TestTable;
using Values = std::vector<Value>;

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalidArgument, Retry::never, "test database: " + message);
}

[[noreturn]] void noTable(const std::string& table) {
  throw Error(ErrorCode::tableNotFound, Retry::afterOperator,
              "test database: there is no table \"" + table + "\"; make it with createTable");
}

std::vector<Value> keyOf(const TableShape& shape, const Values& row) {
  std::vector<Value> key;
  for (const std::uint32_t column : shape.key) key.push_back(row[column]);
  return key;
}

}  // namespace

/// One commit under way: applies steps to the tables, collects events, and knows the way back.
class TestDatabase::Impl::Work {
 public:
  explicit Work(Impl& db) : db_(db) {}

  void apply(const Step& step) {
    const std::string& name = step.kind == Step::Kind::alter ? step.alter.schema.table : step.table;
    const auto found = db_.tables.find(name);
    if (found == db_.tables.end()) noTable(name);
    TestTable& table = found->second;
    switch (step.kind) {
      case Step::Kind::insert:
        return insert(table, step.row);
      case Step::Kind::update:
        return update(table, keyOf(*table.shape, fitting(table, step.row)), step.row, {});
      case Step::Kind::rekey:
        return update(table, step.key, step.row, {});
      case Step::Kind::updateColumns:
        return updateColumns(table, step);
      case Step::Kind::erase:
        return erase(table, step.key);
      case Step::Kind::truncate:
        return truncate(table);
      case Step::Kind::alter:
        return alter(table, step.alter);
    }
  }
  void undo() {
    for (auto back = undo_.rbegin(); back != undo_.rend(); ++back) (*back)();
  }
  std::vector<ChangeEvent> takeEvents() { return std::move(events_); }

 private:
  using Rows = std::map<std::string, Values>;

  static const Values& fitting(const TestTable& table, const Values& row) {
    if (row.size() == table.shape->columns->size()) return row;
    refuse(fmt::format("a row of {} values for table \"{}\" with {} columns", row.size(), table.shape->schema.table,
                       table.shape->columns->size()));
  }
  ChangeEvent& event(ChangeOp op, const TestTable& table) {
    ChangeEvent& e = events_.emplace_back();
    e.op = op;
    e.shape = table.shape;
    return e;
  }
  Rows::iterator find(TestTable& table, const std::vector<Value>& key) {
    if (!table.shape->key.empty()) {
      const auto at = table.rows.find(rowIdOf(key));
      if (at != table.rows.end()) return at;
    } else {  // the whole row is the key
      const auto at =
          std::find_if(table.rows.begin(), table.rows.end(), [&](const auto& r) { return r.second == key; });
      if (at != table.rows.end()) return at;
    }
    refuse("table \"" + table.shape->schema.table + "\" has no row with that key");
  }
  std::string put(TestTable& table, const Values& row) {
    const std::string id =
        table.shape->key.empty() ? fmt::format("{:020}", ++db_.rowNumber) : rowIdOf(keyOf(*table.shape, row));
    if (!table.rows.emplace(id, row).second) {
      refuse("table \"" + table.shape->schema.table + "\" has a row " + id + " already");
    }
    undo_.push_back([&table, id] { table.rows.erase(id); });
    return id;
  }
  void take(TestTable& table, Rows::iterator at) {
    undo_.push_back([&table, id = at->first, row = at->second] { table.rows.insert_or_assign(id, row); });
    table.rows.erase(at);
  }
  void insert(TestTable& table, const Values& row) {
    put(table, fitting(table, row));
    event(ChangeOp::insert, table).after = row;
  }
  void erase(TestTable& table, const std::vector<Value>& key) {
    const auto at = find(table, key);
    eraseEvent(table, at->second);
    take(table, at);
  }
  void eraseEvent(const TestTable& table, const Values& row) {
    ChangeEvent& e = event(ChangeOp::erase, table);
    e.before = row;
    if (db_.images == BeforeImage::full || table.shape->key.empty()) return;
    for (std::uint32_t column = 0; column < row.size(); ++column) {
      const auto& keys = table.shape->key;
      if (std::find(keys.begin(), keys.end(), column) != keys.end()) continue;
      e.before[column] = Value();
      e.beforeAbsent.push_back(column);
    }
  }
  void update(TestTable& table, const std::vector<Value>& key, const Values& row,
              std::vector<std::uint32_t> unchanged) {
    fitting(table, row);
    const auto at = find(table, key);
    if (!table.shape->key.empty() && keyOf(*table.shape, row) != keyOf(*table.shape, at->second)) {
      eraseEvent(table, at->second);
      take(table, at);
      return insert(table, row);
    }
    ChangeEvent& e = event(ChangeOp::update, table);
    if (db_.images == BeforeImage::full) e.before = at->second;
    e.after = row;
    for (const std::uint32_t column : unchanged) e.after[column] = Value();
    e.unchanged = std::move(unchanged);
    undo_.push_back([&table, id = at->first, old = at->second] { table.rows.insert_or_assign(id, old); });
    at->second = row;
  }
  void updateColumns(TestTable& table, const Step& step) {
    Values row = find(table, step.key)->second;
    std::vector<std::uint32_t> unchanged;
    const auto& columns = *table.shape->columns;
    std::vector<bool> named(columns.size());
    for (const auto& [name, value] : step.columns) {
      const auto at = columns.find(name);
      if (!at) refuse("table \"" + table.shape->schema.table + "\" has no column \"" + name + "\"");
      row[*at] = value;
      named[*at] = true;
    }
    for (const std::uint32_t column : table.shape->key) named[column] = true;
    for (std::uint32_t column = 0; column < columns.size(); ++column) {
      if (!named[column]) unchanged.push_back(column);
    }
    update(table, step.key, row, std::move(unchanged));
  }
  void truncate(TestTable& table) {
    event(ChangeOp::truncate, table);
    undo_.push_back([&table, rows = table.rows] { table.rows = rows; });
    table.rows.clear();
  }
  void alter(TestTable& table, const TestAlter& alter) {
    TestTable next{.shape = makeShape(alter.schema)};
    auto change = std::make_shared<SchemaChange>();
    change->before = table.shape;
    change->renamed = alter.renamed;
    for (const auto& [id, row] : table.rows) {
      Values moved = movedRow(table, alter, row, *change);
      const std::string key = next.shape->key.empty() ? id : rowIdOf(keyOf(*next.shape, moved));
      if (!next.rows.emplace(key, std::move(moved)).second) refuse("the new key is not unique");
    }
    undo_.push_back([&table, old = table] { table = old; });
    table = std::move(next);
    event(ChangeOp::schemaChange, table).schemaChange = std::move(change);
  }
  /// A row in the new schema; notes where it has a value that no event brings.
  static Values movedRow(const TestTable& table, const TestAlter& alter, const Values& row, SchemaChange& change) {
    Values moved;
    for (const ColumnSchema& column : alter.schema.columns) {
      std::string old = column.name;
      for (const auto& [from, to] : alter.renamed) {
        if (to == column.name) old = from;
      }
      if (const auto at = table.shape->columns->find(old)) {
        moved.push_back(row[*at]);
        continue;
      }
      Value value;
      for (const auto& [name, given] : alter.defaults) {
        if (name == column.name) value = given;
      }
      change.rowsChanged = change.rowsChanged || !value.isNull();
      moved.push_back(std::move(value));
    }
    return moved;
  }

  Impl& db_;
  std::vector<ChangeEvent> events_;
  std::vector<std::function<void()>> undo_;
};

void TestDatabase::Impl::commit(const std::vector<std::shared_ptr<const Step>>& steps) {
  if (steps.empty()) return;
  {
    const std::lock_guard lock(mutex);
    Work work(*this);
    try {
      for (const auto& step : steps) work.apply(*step);
    } catch (...) {
      work.undo();
      throw;
    }
    auto commit = std::make_shared<TestCommit>();
    commit->number = firstKept + log.size();
    commit->micros = clock.wallNow().count();
    commit->events = work.takeEvents();
    commit->bytesBefore = totalBytes;
    for (const ChangeEvent& event : commit->events) commit->bytes += event.bytes();
    totalBytes += commit->bytes;
    log.push_back(std::move(commit));
    ++versionNumber;
  }
  changed.notify_all();
}

TestDatabase::Impl::CommitPtr TestDatabase::Impl::read(std::uint64_t number) const {
  const std::lock_guard lock(mutex);
  if (number < firstKept) {
    throw Error(ErrorCode::positionLost, Retry::afterOperator,
                fmt::format("the log begins at transaction {}, {} is gone: take a new baseline", firstKept, number));
  }
  const std::uint64_t at = number - firstKept;
  return at < log.size() ? log[at] : nullptr;
}

detail::TestPlace TestDatabase::Impl::end() const {
  const std::lock_guard lock(mutex);
  return {firstKept + log.size(), 0};
}

Shape TestDatabase::Impl::shapeOf(const std::string& table) const {
  const std::lock_guard lock(mutex);
  const auto at = tables.find(table);
  if (at == tables.end()) noTable(table);
  return at->second.shape;
}

std::vector<detail::TestPicture> TestDatabase::Impl::pictures(const std::vector<std::string>& names, Place& at) const {
  const std::lock_guard lock(mutex);
  at = {firstKept + log.size(), 0};
  std::vector<detail::TestPicture> all;
  for (const std::string& name : names) {
    const auto found = tables.find(name);
    if (found == tables.end()) noTable(name);
    detail::TestPicture& picture = all.emplace_back(detail::TestPicture{.shape = found->second.shape});
    for (const auto& [id, row] : found->second.rows) picture.rows.push_back(row);
  }
  return all;
}

std::uint64_t TestDatabase::Impl::bytesAfter(Place place) const {
  const std::lock_guard lock(mutex);
  if (place.number < firstKept) return totalBytes - (log.empty() ? totalBytes : log.front()->bytesBefore);
  const std::uint64_t at = place.number - firstKept;
  if (at >= log.size()) return 0;
  std::uint64_t bytes = totalBytes - log[at]->bytesBefore;
  for (std::uint32_t i = 0; i < place.ordinal && i < log[at]->events.size(); ++i) bytes -= log[at]->events[i].bytes();
  return bytes;
}

std::int64_t TestDatabase::Impl::nextCommitMicros(Place place) const {
  const std::lock_guard lock(mutex);
  const std::uint64_t at = std::max(place.number, firstKept) - firstKept;
  return at < log.size() ? log[at]->micros : 0;
}

std::uint64_t TestDatabase::Impl::version() const {
  const std::lock_guard lock(mutex);
  return versionNumber;
}

void TestDatabase::Impl::wake() {
  {
    const std::lock_guard lock(mutex);
    ++versionNumber;
  }
  changed.notify_all();
}

void TestDatabase::Impl::waitForChange(std::uint64_t seen, std::stop_token stop) const {
  std::unique_lock lock(mutex);
  changed.wait(lock, stop, [&] { return versionNumber != seen; });
}

bool TestDatabase::Impl::waitForChange(std::uint64_t seen, std::chrono::steady_clock::time_point deadline) const {
  std::unique_lock lock(mutex);
  return changed.wait_until(lock, deadline, [&] { return versionNumber != seen; });
}

TestDatabase::TestDatabase(const Clock* clock, BeforeImage images)
    : impl_(std::make_unique<Impl>(clock != nullptr ? *clock : systemClock(), images)) {}
TestDatabase::~TestDatabase() = default;

void TestDatabase::createTable(TableSchema schema) {
  const std::string name = schema.table;
  const Shape shape = makeShape(std::move(schema));
  const std::lock_guard lock(impl_->mutex);
  if (!impl_->tables.emplace(name, TestTable{.shape = shape}).second) refuse("table \"" + name + "\" is there already");
}

void TestDatabase::dropTable(const std::string& table) {
  const std::lock_guard lock(impl_->mutex);
  if (impl_->tables.erase(table) == 0) noTable(table);
}

void TestDatabase::commit(const std::function<void(TestTransaction&)>& make) {
  TestTransaction transaction;
  make(transaction);
  impl_->commit(transaction.steps_);
}

void TestDatabase::insert(std::string table, std::vector<Value> row) {
  commit([&](TestTransaction& t) { t.insert(std::move(table), std::move(row)); });
}

void TestDatabase::update(std::string table, std::vector<Value> row) {
  commit([&](TestTransaction& t) { t.update(std::move(table), std::move(row)); });
}

void TestDatabase::erase(std::string table, std::vector<Value> key) {
  commit([&](TestTransaction& t) { t.erase(std::move(table), std::move(key)); });
}

std::vector<std::vector<Value>> TestDatabase::rows(const std::string& table) const {
  detail::TestPlace at;
  return std::move(impl_->pictures({table}, at).front().rows);
}

std::uint64_t TestDatabase::commits() const { return impl_->end().number - 1; }

void TestDatabase::loseLog() {
  const std::lock_guard lock(impl_->mutex);
  impl_->firstKept += impl_->log.size();
  impl_->log.clear();
}

void TestDatabase::setIssue(const std::string& table, ErrorCode code, bool fatal) {
  const std::lock_guard lock(impl_->mutex);
  impl_->issues[table] = {.table = table,
                          .code = code,
                          .message = "table \"" + table + "\": " + std::string(toString(code)) + ", as scripted",
                          .fatal = fatal};
}

}  // namespace tidegate
