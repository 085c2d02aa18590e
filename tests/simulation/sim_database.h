/// A source database that other programs write to: concurrent transactions whose rows are stamped when they are
/// written and become visible when they commit, late and out of order. What is committed lives in SQLite in memory, so
/// that the pollers' real SQL text is answered by a real engine.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "simulation/model_types.h"
#include "simulation/plan.h"
#include "simulation/sim_clock.h"
#include "simulation/sim_random.h"
#include "simulation/trace.h"
#include "tidegate/core/query.h"

namespace tidegate::sim {

class SimDatabase {
 public:
  SimDatabase(const Plan& plan, SimRandom random, const SimClock& clock, Trace& trace);

  /// Begins a transaction, writes in one, commits or rolls back one.
  void step();
  /// Commits what has been open for so long that a cursor poll could no longer find it: the documented limit of the
  /// look-back. Transactions that touch only diff tables may stay open for ever.
  void expire();
  void commitAll();

  /// Columns of a table's data (row id columns excluded).
  static const std::vector<std::string>& dataColumns();
  static std::string cursorColumnOf(const TablePlan& table);
  static std::string selectOf(const TablePlan& table);

  /// Answers a poller's query from what is committed now.
  void answer(const Query& query, Columns& columns, std::vector<std::vector<Value>>& rows);
  /// What a gateway that has read everything must hold.
  const ModelState& committed() const noexcept { return committed_; }

 private:
  struct Write {
    std::size_t table = 0;
    Key key;
    std::vector<Value> keyValues;
    bool erase = false;
    ModelRow row;
  };
  struct Transaction {
    std::uint64_t id = 0;
    Micros began{0};
    bool stampAtStart = false;
    bool touchesTimeCursor = false;
    std::uint64_t firstOrdinal = 0;  ///< of its first integer-stamped write; 0: none
    std::vector<Write> writes;
  };

  void begin();
  void write(Transaction& transaction);
  void commit(std::size_t index);
  void rollback(std::size_t index);
  bool tooOld(const Transaction& transaction) const;
  std::optional<Write> chooseRow(const Transaction& transaction, std::size_t table);
  void fill(Write& write, Transaction& transaction);
  Value cursorFor(const TablePlan& table, Transaction& transaction);
  void createTables();
  void execute(const std::string& sql, std::vector<Value> params);
  void apply(const Write& write);
  void release(const Transaction& transaction);

  const Plan& plan_;
  SimRandom random_;
  const SimClock& clock_;
  Trace& trace_;
  QueryFn sqlite_;  ///< the driver, on a database in memory
  ModelState committed_;
  std::map<Key, std::vector<Value>> keyValues_;
  std::vector<std::vector<Key>> known_;  ///< per table: every key ever made
  std::map<Key, std::uint64_t> locks_;   ///< row locks of open transactions
  std::deque<Transaction> open_;
  std::vector<std::string> upsertSql_, eraseSql_;
  std::uint64_t nextTransaction_ = 1;
  std::int64_t sequence_ = 0;  ///< integer cursors
  std::uint64_t ordinal_ = 0;  ///< integer-stamped writes so far
};

/// The row id that the gateway must give these key values, written by hand (docs: one value its text, several a JSON
/// array).
std::string modelRowId(const std::vector<Value>& keyValues);

}  // namespace tidegate::sim
