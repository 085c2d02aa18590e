/// What the suites of sync_source_contract.h stand on: the database under a source, what the source can do, and a
/// replica that applies its events and finds fault with them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tidegate/source/sync_source.h"

namespace tidegate::contract {

/// A row of the suite's tables: id int64 (the key, not null), name text, amount int64 (nullable).
struct SourceRow {
  std::string name{};
  std::optional<std::int64_t> amount{};
  bool operator==(const SourceRow&) const = default;
};

/// One change in the underlying database. An update sets all columns but the id.
struct SourceChange {
  enum class Op { insert, update, erase, truncate } op = Op::insert;
  std::size_t table = 0;  ///< 0 or 1
  std::int64_t id = 0;
  SourceRow row{};
};

/// The database that a source reads. One for each test, with its two tables, empty at first; it outlives its sources.
/// @thread `commit` from any, one at a time; the rest from the test's.
class SourceDatabase {
 public:
  virtual ~SourceDatabase() = default;
  /// The two tables, as the source calls them.
  virtual std::vector<std::string> tables() const = 0;
  /// Commits the changes as one transaction, as another program would.
  virtual void commit(const std::vector<SourceChange>& changes) = 0;
  /// A source as a process of its own would make it. Called again after the last one was destroyed, perhaps without
  /// `close`: a restart.
  virtual std::unique_ptr<SyncSource> source() = 0;
  /// Breaks the source's connections, as a server or a network would. @return false: there are none to break.
  /// @thread Any, several at once.
  virtual bool disconnect() { return false; }
  /// Makes the database forget the changes that were committed so far. @return false: it cannot.
  virtual bool forgetHistory() { return false; }
  /// Makes tables that have faults. @return each with the code that `validateTables` must give it.
  virtual std::vector<std::pair<std::string, ErrorCode>> makeFaultyTables() { return {}; }
};

/// What a source can do. What it cannot is left out of the suite, never taken on trust.
struct SourceAbilities {
  bool everyChange = true;   ///< each change is an event. If not: at least the last state of each row is
  bool transactions = true;  ///< what is committed together comes together, between borders
  bool exactResume = true;   ///< a stream from a position delivers what follows. If not: also what went before, again
  bool meetsExactly = true;  ///< no event comes twice. If not: events may repeat a row's state
  bool baselineInStream = false;  ///< `baseline` may deliver nothing at all, and `stream` the rows
  bool exactBaselines = true;  ///< what comes of a baseline within the stream comes again as it came. If not: from an
                               ///< earlier position its rows come again as they are by then; changes stay exact
  bool resumes = true;         ///< across processes
  bool seesErases = true;      ///< erases are events
  bool seesTruncates = true;   ///< and so are truncates
  bool lagBytes = true;        ///< `lag().bytes` is known
  bool readsTables = true;     ///< `readTable` works
  std::uint64_t seeds = 20;    ///< of the random histories
};

struct SourceCase {
  std::string name;
  std::function<std::unique_ptr<SourceDatabase>()> make{};
  SourceAbilities can{};
};

inline void PrintTo(const SourceCase& source, std::ostream* out) { *out << source.name; }
inline std::string sourceCaseName(const ::testing::TestParamInfo<SourceCase>& info) { return info.param.name; }

/// How long to wait for what must come. TIDEGATE_SOURCE_DEADLINE_MS overrides it.
inline std::chrono::milliseconds sourceDeadline() {
  const char* given = std::getenv("TIDEGATE_SOURCE_DEADLINE_MS");
  return std::chrono::milliseconds(given != nullptr ? std::atoll(given) : 60'000);
}

using SourceTable = std::map<std::int64_t, SourceRow>;
using SourceTables = std::map<std::string, SourceTable>;

/// Applies events as the most careful sink would, and keeps a list of what was wrong with them.
class SourceReplica {
 public:
  explicit SourceReplica(SourceAbilities can) : can_(can) {}

  void apply(const ChangeEvent& event) {
    if (event.op == ChangeOp::progress) return;
    if (!event.shape) return fault("an event without a shape");
    const std::string& name = event.shape->schema.table;
    SourceTable& table = tables_[name];
    switch (event.op) {
      case ChangeOp::insert:
        return put(event, table, true);
      case ChangeOp::update:
        return put(event, table, false);
      case ChangeOp::read:
        if (!reading_.contains(name)) fault("a row read outside a baseline of " + name);
        return put(event, table, false);
      case ChangeOp::erase:
        return erase(event, table);
      case ChangeOp::truncate:
        table.clear();
        return;
      case ChangeOp::baselineBegin:
        named_[name].clear();
        reading_.insert(name);
        return;
      case ChangeOp::baselineEnd:
        return endBaseline(name, table);
      case ChangeOp::schemaChange:
      case ChangeOp::progress:
        return;
    }
  }
  const SourceTables& tables() const { return tables_; }
  /// Whether the table's last baseline was read to its end.
  bool isWhole(const std::string& table) const { return whole_.contains(table) && !reading_.contains(table); }
  const std::vector<std::string>& faults() const { return faults_; }

 private:
  void fault(std::string what) {
    if (faults_.size() < 5) faults_.push_back(std::move(what));
  }
  /// Whether an event may only say what is new. Until a baseline is whole, changes of rows to come may go before them;
  /// a source that reads it beside the stream may have changes even before its begin.
  bool strict(const std::string& table) const {
    return can_.everyChange && can_.meetsExactly && whole_.contains(table) && !reading_.contains(table);
  }

  void put(const ChangeEvent& event, SourceTable& table, bool insert) {
    const std::string& name = event.shape->schema.table;
    if (event.after.size() != event.shape->columns->size()) return fault("a row that does not fit its shape");
    const std::int64_t id = idOf(event, event.after);
    const bool known = table.contains(id);
    if (strict(name) && insert && known) fault(name + ": an insert of row " + std::to_string(id) + ", which is there");
    if (strict(name) && event.op == ChangeOp::update && !known) {
      fault(name + ": an update of row " + std::to_string(id) + ", which is not there");
    }
    if (reading_.contains(name)) named_[name].insert(id);
    SourceRow& row = table[id];
    for (std::uint32_t i = 0; i < event.after.size(); ++i) {
      if (std::find(event.unchanged.begin(), event.unchanged.end(), i) != event.unchanged.end()) continue;
      const std::string& column = (*event.shape->columns)[i];
      const Value& value = event.after[i];
      if (column == "name") {
        if (const auto* text = value.getIf<std::string>())
          row.name = *text;
        else
          fault(name + ": column name is a " + std::string(toString(value.kind())));
      } else if (column == "amount") {
        row.amount.reset();
        if (const auto* number = value.getIf<std::int64_t>())
          row.amount = *number;
        else if (!value.isNull())
          fault(name + ": column amount is a " + std::string(toString(value.kind())));
      }
    }
  }
  void erase(const ChangeEvent& event, SourceTable& table) {
    if (event.before.size() != event.shape->columns->size()) return fault("an erase that names no row");
    const std::int64_t id = idOf(event, event.before);
    if (table.erase(id) == 0 && strict(event.shape->schema.table)) {
      fault(event.shape->schema.table + ": an erase of row " + std::to_string(id) + ", which is not there");
    }
    named_[event.shape->schema.table].erase(id);
  }
  void endBaseline(const std::string& name, SourceTable& table) {
    if (reading_.erase(name) == 0) fault("a baseline of " + name + " ends that did not begin");
    whole_.insert(name);
    std::erase_if(table, [&](const auto& row) { return !named_[name].contains(row.first); });
  }
  std::int64_t idOf(const ChangeEvent& event, const std::vector<Value>& values) {
    const auto at = event.shape->columns->find("id");
    const std::int64_t* id = at ? values[*at].getIf<std::int64_t>() : nullptr;
    if (id == nullptr) fault(event.shape->schema.table + ": a row without its id as int64");
    return id != nullptr ? *id : -1;
  }

  SourceAbilities can_;
  SourceTables tables_;
  std::set<std::string> whole_;                          ///< tables whose baseline was whole once
  std::set<std::string> reading_;                        ///< tables between baselineBegin and baselineEnd
  std::map<std::string, std::set<std::int64_t>> named_;  ///< rows named since baselineBegin
  std::vector<std::string> faults_;
};

/// What the database holds, as far as the test made it so.
/// @thread Any.
class SourceModel {
 public:
  explicit SourceModel(SourceDatabase& database) : database_(database), names_(database.tables()) {
    for (const std::string& name : names_) tables_[name];
  }

  void commit(const std::vector<SourceChange>& changes) {
    const std::lock_guard lock(mutex_);
    database_.commit(changes);
    for (const SourceChange& change : changes) {
      SourceTable& table = tables_[names_[change.table]];
      if (change.op == SourceChange::Op::truncate)
        table.clear();
      else if (change.op == SourceChange::Op::erase)
        table.erase(change.id);
      else
        table[change.id] = change.row;
    }
    ++commits_;
    changes_ += changes.size();
  }
  /// A row with a text and a number that no other has, and that no double can hold.
  SourceRow freshRow() {
    const std::lock_guard lock(mutex_);
    ++fresh_;
    return {"row " + std::to_string(fresh_) + " ä'\"\\", (std::int64_t{1} << 60) + static_cast<std::int64_t>(fresh_)};
  }
  void insert(std::size_t table, std::int64_t id) {
    commit({{.op = SourceChange::Op::insert, .table = table, .id = id, .row = freshRow()}});
  }
  void update(std::size_t table, std::int64_t id) {
    commit({{.op = SourceChange::Op::update, .table = table, .id = id, .row = freshRow()}});
  }
  void erase(std::size_t table, std::int64_t id) {
    commit({{.op = SourceChange::Op::erase, .table = table, .id = id}});
  }
  SourceTables tables() const {
    const std::lock_guard lock(mutex_);
    return tables_;
  }
  std::uint64_t commits() const {
    const std::lock_guard lock(mutex_);
    return commits_;
  }
  std::uint64_t changes() const {
    const std::lock_guard lock(mutex_);
    return changes_;
  }

 private:
  SourceDatabase& database_;
  const std::vector<std::string> names_;
  mutable std::mutex mutex_;
  SourceTables tables_;  ///< guarded by mutex_, as all below
  std::uint64_t commits_ = 0, changes_ = 0, fresh_ = 0;
};

}  // namespace tidegate::contract
