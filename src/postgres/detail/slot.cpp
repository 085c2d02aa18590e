#include "postgres/detail/slot.h"

#include <fmt/format.h>

#include "postgres/detail/server_versions.h"
#include "postgres/detail/sql.h"
#include "tidegate/core/query.h"

namespace tidegate::postgres::detail {
namespace {

constexpr const char* kSlot = R"(
SELECT coalesce(plugin, ''), slot_type = 'logical', coalesce(database, ''), pg_catalog.current_database(), temporary,
  active, coalesce(active_pid, 0), coalesce(restart_lsn, '0/0'), coalesce(confirmed_flush_lsn, '0/0'),
  coalesce(wal_status, ''), {}
FROM pg_catalog.pg_replication_slots WHERE slot_name = $1)";

constexpr const char* kLogEnd =
    "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() "
    "ELSE pg_catalog.{}() END";

/// Why the server gave a slot up, and what keeps it from doing so again.
std::string invalidationText(std::string_view reason) {
  if (reason == "wal_removed") {
    return "it held more log than max_slot_wal_keep_size allows. A new baseline makes a new slot; where this source "
           "may be away for longer: ALTER SYSTEM SET max_slot_wal_keep_size = '…'";
  }
  if (reason == "idle_timeout") {
    return "nobody used it for longer than idle_replication_slot_timeout. A new baseline makes a new slot; where this "
           "source may be away for longer: ALTER SYSTEM SET idle_replication_slot_timeout = 0";
  }
  if (reason == "wal_level_insufficient") {
    return "wal_level was lowered. Mend it with: ALTER SYSTEM SET wal_level = 'logical', then restart the server; a "
           "new baseline makes a new slot";
  }
  if (reason == "rows_removed") {
    return "rows of the catalogue that it needed were removed. A new baseline makes a new slot; on a standby: ALTER "
           "SYSTEM SET hot_standby_feedback = on";
  }
  return fmt::format(
      "it held more log than max_slot_wal_keep_size allows, or the server removed it for another reason{}. A "
      "new baseline makes a new slot; raise that setting if this source may be away for longer",
      reason.empty() ? "" : fmt::format(" ({})", reason));
}

Lsn lsnCell(const PGresult* rows, int column) {
  const auto lsn = lsnFromText(cell(rows, 0, column));
  if (lsn) return *lsn;
  throw Error(ErrorCode::parseError, Retry::never,
              fmt::format("the server answered \"{}\" where a place in its log belongs", cell(rows, 0, column)));
}

}  // namespace

std::optional<SlotFacts> readSlot(PGconn* connection, const std::string& slot) {
  const int version = PQserverVersion(connection);
  const std::string_view news = version >= kFailoverSince   ? "two_phase, failover, coalesce(invalidation_reason, '')"
                                : version >= kTwoPhaseSince ? "two_phase, false, ''"
                                                            : "false, false, ''";
  const OwnedResult rows = runSql(connection, fmt::format(fmt::runtime(kSlot), news), {slot});
  if (PQntuples(rows.get()) == 0) return std::nullopt;
  SlotFacts facts;
  facts.plugin = cell(rows.get(), 0, 0);
  facts.logical = isTrue(rows.get(), 0, 1);
  facts.database = cell(rows.get(), 0, 2);
  facts.currentDatabase = cell(rows.get(), 0, 3);
  facts.temporary = isTrue(rows.get(), 0, 4);
  facts.active = isTrue(rows.get(), 0, 5);
  facts.activePid = static_cast<int>(integerCell(rows.get(), 0, 6));
  facts.restart = lsnCell(rows.get(), 7);
  facts.confirmed = lsnCell(rows.get(), 8);
  facts.walStatus = cell(rows.get(), 0, 9);
  facts.twoPhase = isTrue(rows.get(), 0, 10);
  facts.failover = isTrue(rows.get(), 0, 11);
  facts.invalidation = cell(rows.get(), 0, 12);
  return facts;
}

Lsn readLogEnd(PGconn* connection) {
  return lsnCell(runSql(connection, fmt::format(fmt::runtime(kLogEnd), "pg_current_wal_flush_lsn")).get(), 0);
}

Lsn readLogInsertEnd(PGconn* connection) {
  return lsnCell(runSql(connection, fmt::format(fmt::runtime(kLogEnd), "pg_current_wal_insert_lsn")).get(), 0);
}

std::optional<Error> slotFault(const std::string& slot, const std::optional<SlotFacts>& facts) {
  if (!facts) {
    return Error(ErrorCode::positionLost, Retry::afterOperator,
                 fmt::format("replication slot \"{}\" does not exist on this server: it was dropped, or the server is "
                             "another one than before (a failover does not take slots along). What changed meanwhile "
                             "cannot be read; a new baseline makes a new slot",
                             slot));
  }
  if (!facts->logical || facts->plugin != "pgoutput" || facts->database != facts->currentDatabase) {
    return Error(
        ErrorCode::slotInvalid, Retry::afterOperator,
        fmt::format("replication slot \"{}\" is {}; this source needs one of pgoutput in database \"{}\": name "
                    "another slot, or drop that one with: SELECT pg_drop_replication_slot({})",
                    slot,
                    facts->logical
                        ? fmt::format("one of plugin \"{}\" in database \"{}\"", facts->plugin, facts->database)
                        : std::string("a physical one"),
                    facts->currentDatabase, quotedLiteral(slot)));
  }
  if (facts->walStatus == "lost" || facts->restart == 0 || !facts->invalidation.empty()) {
    return Error(
        ErrorCode::positionLost, Retry::afterOperator,
        fmt::format("replication slot \"{}\" was invalidated: {}", slot, invalidationText(facts->invalidation)));
  }
  if (facts->twoPhase) {
    return Error(ErrorCode::slotInvalid, Retry::afterOperator,
                 fmt::format("replication slot \"{}\" was made with two_phase: it sends transactions when they are "
                             "prepared, and may never say how they ended. Drop it, and a new baseline makes a new one: "
                             "SELECT pg_drop_replication_slot({})",
                             slot, quotedLiteral(slot)));
  }
  if (facts->active) {
    return Error(
        ErrorCode::slotInvalid, Retry::later,
        fmt::format("replication slot \"{}\" is in use by the server's process {}: another source streams from "
                    "it, or a connection that broke has not been noticed yet. End it with: SELECT "
                    "pg_terminate_backend({})",
                    slot, facts->activePid, facts->activePid));
  }
  return std::nullopt;
}

CreatedSlot createSlot(ReplicationConnection& connection, const std::string& slot, SlotKind kind,
                       const std::stop_token& stop) {
  const bool newSyntax = connection.serverVersion() >= 150'000;
  const bool failover = kind == SlotKind::failover && connection.serverVersion() >= kFailoverSince;
  const std::string_view options = !newSyntax ? "EXPORT_SNAPSHOT"
                                   : failover ? "(SNAPSHOT 'export', FAILOVER true)"
                                              : "(SNAPSHOT 'export')";
  const OwnedResult made = connection.command(
      fmt::format("CREATE_REPLICATION_SLOT {} {}LOGICAL pgoutput {}", quoteIdentifier(Dialect::postgres, slot),
                  kind == SlotKind::temporary ? "TEMPORARY " : "", options),
      stop);
  CreatedSlot out{.name = std::string(cell(made.get(), 0, 0)), .snapshot = std::string(cell(made.get(), 0, 2))};
  out.consistentPoint = lsnCell(made.get(), 1);
  return out;
}

void letFailOver(ReplicationConnection& connection, const std::string& slot, const std::stop_token& stop) {
  if (connection.serverVersion() < kFailoverSince) return;
  connection.command(fmt::format("ALTER_REPLICATION_SLOT {} (FAILOVER true)", quoteIdentifier(Dialect::postgres, slot)),
                     stop);
}

void dropSlot(PGconn* connection, const std::string& slot) {
  const std::optional<SlotFacts> facts = readSlot(connection, slot);
  if (!facts) return;
  const std::optional<Error> fault = slotFault(slot, facts);
  if (fault && fault->code() == ErrorCode::slotInvalid) throw *fault;  // in use, or not ours to drop
  runSql(connection, "SELECT pg_catalog.pg_drop_replication_slot($1)", {slot});
}

}  // namespace tidegate::postgres::detail
