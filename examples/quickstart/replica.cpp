#include "replica.h"

#include <utility>
#include <vector>

#include "sql.h"
#include "tidegate/core/error.h"

namespace quickstart {

using tidegate::DeltaOp;
using tidegate::Hlc;
using tidegate::RowDelta;
using tidegate::Value;

namespace {

/// Rolls back unless `commit` was called.
class Transaction {
 public:
  explicit Transaction(const tidegate::QueryFn& db) : db_(db) { execute(db_, "BEGIN IMMEDIATE"); }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction() {
    if (committed_) return;
    try {
      execute(db_, "ROLLBACK");
    } catch (const tidegate::Error&) {  // the connection is gone, and the transaction with it
    }
  }
  void commit() {
    execute(db_, "COMMIT");
    committed_ = true;
  }

 private:
  const tidegate::QueryFn& db_;
  bool committed_ = false;
};

std::string identifier(std::string_view name) { return tidegate::quoteIdentifier(tidegate::Dialect::sqlite, name); }

}  // namespace

Replica::Replica(tidegate::QueryFn database, std::string clientId, tidegate::Claims claims)
    : db_(std::move(database)), clientId_(std::move(clientId)), claims_(std::move(claims)) {
  // Row ids are text; the key of this shop is a number. Columns without a type keep each value as it came.
  execute(db_, "CREATE TABLE users (id INTEGER PRIMARY KEY, name, region, points, deleted, updated_at)");
  execute(db_, "CREATE TABLE audit_log (id INTEGER PRIMARY KEY, user_id, region, action, severity)");
  execute(db_, "CREATE TABLE sync_position (server_hlc)");
  execute(db_, "INSERT INTO sync_position VALUES ('0')");
}

std::size_t Replica::catchUp(tidegate::Gateway& gateway) {
  std::size_t applied = 0;
  for (bool more = true; more;) {
    const tidegate::PullResult page = gateway.handlePull({clientId_, position_, 1'000}, claims_);
    if (page.mustResync) {
      resync(gateway);
      continue;
    }
    more = page.hasMore;
    if (page.serverHlc == position_) continue;
    Transaction transaction(db_);
    for (const RowDelta& delta : page.deltas) apply(delta);
    savePosition(page.serverHlc);
    transaction.commit();
    position_ = page.serverHlc;
    applied += page.deltas.size();
  }
  return applied;
}

/// The log no longer reaches back to our position: take the whole view as it is now, and go on from there.
void Replica::resync(tidegate::Gateway& gateway) {
  tidegate::GatewaySnapshot snapshot = gateway.snapshot(claims_, clientId_);
  Transaction transaction(db_);
  execute(db_, "DELETE FROM users");
  execute(db_, "DELETE FROM audit_log");
  for (RowDelta row; snapshot.next(row);) apply(row);
  savePosition(snapshot.serverHlc());
  transaction.commit();
  position_ = snapshot.serverHlc();
}

void Replica::apply(const RowDelta& delta) {
  const std::string table = identifier(delta.table);
  if (delta.op == DeltaOp::erase) {
    execute(db_, "DELETE FROM " + table + " WHERE id = ?", {delta.rowId});
    return;
  }
  // The log holds what won: an insert is the whole row, an update the columns that changed. Both are an upsert.
  std::string names = "id", marks = "?", changes;
  std::vector<Value> params{delta.rowId};
  for (const tidegate::ColumnValue& cell : delta.columns) {
    const std::string name = identifier(cell.column);
    names += ", " + name;
    marks += ", ?";
    changes.append(changes.empty() ? "" : ", ").append(name).append(" = excluded.").append(name);
    params.push_back(cell.value);
  }
  execute(db_,
          "INSERT INTO " + table + " (" + names + ") VALUES (" + marks + ") ON CONFLICT (id) DO " +
              (changes.empty() ? "NOTHING" : "UPDATE SET " + changes),
          std::move(params));
}

void Replica::savePosition(Hlc position) { execute(db_, "UPDATE sync_position SET server_hlc = ?", {position.text()}); }

}  // namespace quickstart
