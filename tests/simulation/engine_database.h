/// A simulated source database: tables, and a log of everything that was committed.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "simulation/engine_plan.h"
#include "simulation/trace.h"
#include "tidegate/source/change_event.h"

namespace tidegate::sim {

/// A place in the log: behind so many changes of the transaction with that number. Transactions count from 1.
struct LogPlace {
  std::uint64_t transaction = 0;
  std::uint64_t changes = 0;
  auto operator<=>(const LogPlace&) const = default;
};
/// "12.3", which is also the octets of a Position.
std::string placeText(const LogPlace& place);
LogPlace placeFromText(std::string_view text);

/// One change, whole: how much of it a source tells is the source's plan.
struct SimChange {
  ChangeOp op = ChangeOp::insert;
  std::size_t table = 0;
  Shape shape{};
  std::vector<Value> before{}, after{};
  std::vector<std::uint32_t> unchanged{};
  std::shared_ptr<const SchemaChange> schema{};
  bool keyChanged = false;
};

struct SimCommit {
  std::int64_t micros = 0;
  std::vector<SimChange> changes{};
};

struct SourceTable {
  Shape shape{};
  std::map<std::string, std::vector<Value>> rows{};  ///< by `keyText`
};

/// The row's key as text.
std::string keyText(const TableShape& shape, const std::vector<Value>& row);

class EngineDatabase {
 public:
  EngineDatabase(const EnginePlan& plan, const EngineSourcePlan& source, SimRandom random, const SimClock& clock,
                 Trace& trace);

  /// Somebody commits a transaction.
  void write();

  const std::vector<SourceTable>& tables() const noexcept { return tables_; }
  std::optional<std::size_t> find(const std::string& name) const;
  const SimCommit& commit(std::uint64_t transaction) const { return log_[transaction - 1]; }
  /// The place behind everything.
  LogPlace end() const;

  // What the database keeps for its one reader, as a replication slot does.
  void ack(const LogPlace& place);
  void dropSlot();
  void makeSlot() { slotGone_ = false; }
  /// Whether what follows the place is still there.
  bool has(const LogPlace& place) const;
  /// Whether it is not there because a slot was dropped, and not because it was acknowledged.
  bool lostByDrop(const LogPlace& place) const;
  const std::optional<LogPlace>& acked() const noexcept { return acked_; }

 private:
  std::uint64_t nextAfter(const LogPlace& place) const;
  void change(std::vector<SimChange>& changes);
  void insert(std::size_t table, std::vector<SimChange>& changes);
  void update(std::size_t table, std::vector<SimChange>& changes);
  void erase(std::size_t table, std::vector<SimChange>& changes);
  void truncate(std::size_t table, std::vector<SimChange>& changes);
  void alter(std::size_t table, std::vector<SimChange>& changes);
  std::vector<Value> drawRow(std::size_t table);
  Value drawNote();

  const EnginePlan& plan_;
  const EngineSourcePlan& source_;
  SimRandom random_;
  const SimClock& clock_;
  Trace& trace_;
  std::vector<SourceTable> tables_;
  std::vector<SimCommit> log_;
  std::uint64_t lost_ = 0;  ///< the newest transaction that the log no longer has
  std::uint64_t lostByDrop_ = 0;
  std::optional<LogPlace> acked_{};
  bool slotGone_ = false;
  std::int64_t columnsMade_ = 0;
};

}  // namespace tidegate::sim
