/// What to poll, and how: names and defaults of LakeSync's ingest.
///
///     CursorStrategy byTime{.cursorColumn = "updated_at"};
///     IngestSourceConfig source{.name = "shop", .query = sqlite::queryFn({.path = "shop.db"}), .tables = {
///         {.table = "users", .query = "SELECT * FROM users", .strategy = byTime},
///         {.table = "audit_log", .query = "SELECT * FROM audit_log", .strategy = DiffStrategy{}}}};
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "tidegate/core/query.h"

namespace tidegate {

/// What to do with rows whose cursor is NULL: no keyset can page past them.
enum class NullCursors {
  poll,  ///< read them all at each poll, by row id; unchanged ones stay silent by fingerprint
  skip   ///< leave them out (they are counted in the report)
};

/// Reads what is newer than the last cursor. Cannot see hard deletes.
struct CursorStrategy {
  std::string cursorColumn{};  ///< must grow with each change of a row; index it with the row id
  /// For time cursors: how far before the newest cursor each poll reads again, for transactions that commit late.
  std::chrono::milliseconds lookback{5000};
  /// For integer and other non-time cursors: how many of the newest rows each poll reads again.
  std::size_t lookbackRows = 1'000;
  /// Where true (Postgres, MySQL/MariaDB; time cursors): never move the cursor past the start of the oldest transaction
  /// that is still open, so that however long it lasts its rows are not missed. Needs to see other sessions'
  /// transactions (`pg_read_all_stats`, `PROCESS`): without that right the poll fails with the GRANT that mends it.
  bool commitHorizon = false;
  NullCursors nullCursors = NullCursors::poll;
  /// Rows read for one push, at most `pushDeltas`. Where the query function does not stream they are also all that is
  /// asked for at once.
  std::size_t pageRows = 5'000;
};

/// Compares the whole result with the last one; sees deletes.
struct DiffStrategy {
  std::size_t warnRows = 50'000;  ///< a snapshot over this logs a warning once
  std::size_t maxRows = 0;        ///< refuse larger results; 0: no bound
  /// Refuse a poll that would delete more than this fraction of a snapshot of over `minRowsForFraction` rows: a table
  /// that seems emptied is more often a broken query. 1.0 allows everything.
  double maxDeleteFraction = 0.5;
  std::size_t minRowsForFraction = 10;
};

/// One table of a source.
struct IngestTableConfig {
  std::string table{};                          ///< its name in the gateway
  std::string query{};                          ///< a SELECT that returns the row id columns and the data
  std::vector<std::string> rowIdColumns{"id"};  ///< several make a composite id (see `rowIdOf`)
  std::variant<CursorStrategy, DiffStrategy> strategy = DiffStrategy{};
};

/// A database to poll.
struct IngestSourceConfig {
  std::string name{};  ///< the clientId is "ingest:<name>"
  QueryFn query{};
  std::vector<IngestTableConfig> tables{};
  std::chrono::milliseconds interval{10'000};      ///< from the end of one poll to the start of the next
  std::chrono::milliseconds maxBackoff{300'000};   ///< after failures the interval doubles up to this, with jitter
  std::chrono::milliseconds queryTimeout{60'000};  ///< per statement; 0: the driver's own
  std::size_t pushDeltas = 5'000;                  ///< deltas per push, at most the gateway's limit
};

/// Checks names, strategies, limits and that each query can be wrapped.
/// @throws Error{invalidConfig} naming source, table and field.
void validate(const IngestSourceConfig& config);

/// The gateway's row id of one or more key values: one value is its plain text (integers, text, uuid, …); several are a
/// JSON array of their wire forms, e.g. `["eu",7]`, so that ("a:b","c") and ("a","b:c") never meet.
/// @throws Error{rowIdInvalid} if one is null.
std::string rowIdOf(const std::vector<Value>& keyValues);

}  // namespace tidegate
