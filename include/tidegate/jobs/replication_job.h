/// What a replication job is, as plain structs to and from JSON. Secrets never leave by them: every JSON form shows
/// `***` in their place.
///
///     ReplicationJob users{.name = "users",
///                          .source = {.dialect = Dialect::postgres, .host = "db.example", .user = "reader",
///                                     .password = secret, .database = "shop"},
///                          .table = "public.users", .trackingColumn = "updated_at", .cron = "*/5 * * * *"};
///
/// Origin: the job of StarbaseDB's replication plugin; differs in modes, look-back, time zones and catch-up, and in
/// that passwords are encrypted.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/clock.h"
#include "tidegate/jobs/job_source.h"

namespace tidegate {

/// What the tracking column holds.
enum class TrackingType {
  timestamp,  ///< a time that grows with each change of a row
  id          ///< a number (or other ordered value) that grows with each new row
};
std::string_view toString(TrackingType type) noexcept;

enum class JobMode {
  incremental,  ///< reads rows whose tracking column grew; sees deletes by `deleteCheck` alone
  diff,         ///< compares the whole table with the replica; needs no tracking column; sees deletes
  cdc           ///< follows the database's change stream (Postgres) all the time; has no schedule
};
std::string_view toString(JobMode mode) noexcept;

/// What becomes of ticks that were missed: the process was down, the clock was set forward, a run took too long.
enum class CatchUp {
  run,  ///< one run, at once, for all of them
  skip  ///< the next tick is waited for
};
std::string_view toString(CatchUp catchUp) noexcept;

/// A job as it is asked for. JSON names are in brackets where they differ.
struct ReplicationJob {
  std::string name{};  ///< 1 to 64 of A-Z a-z 0-9 _ -
  JobSource source{};
  std::string table{};                                  ///< [table_name] may have a schema: "public.users"
  std::string trackingColumn{};                         ///< [tracking_col]
  TrackingType trackingType = TrackingType::timestamp;  ///< [tracking_type]
  std::string cron{};                                   ///< [cron_tab] see cron.h
  std::string timeZone = "UTC";                         ///< [time_zone]
  std::string target{};                   ///< [target_table] in the replica; empty: `table` without its schema
  std::vector<std::string> columns{};     ///< empty: all; key and tracking column are always read
  std::vector<std::string> primaryKey{};  ///< [primary_key] empty: the source's
  std::size_t batchSize = 500;            ///< [batch_size] rows of a page, and of a transaction; 1..10,000
  /// [page_cap] pages of a run, 1..1,000,000. A run that reaches it lets other jobs go first and then goes on at once.
  std::size_t pageCap = 50;
  JobMode mode = JobMode::incremental;
  /// [lookback, in seconds] For time cursors: how far before the newest each run reads again, for transactions that
  /// commit late. Rows that did not change are not written again.
  std::chrono::milliseconds lookback{5'000};
  std::size_t lookbackRows = 1'000;  ///< [lookback_rows] the same for ids: how many of the newest rows
  /// [commit_horizon] Postgres, MySQL: never move past the oldest open transaction. See CursorStrategy.
  bool commitHorizon = false;
  /// [delete_check, in seconds] Incremental: at the first run this long after the last check, the replica's keys are
  /// looked for in the source, and rows whose key is gone are erased. 0: never.
  std::chrono::seconds deleteCheck{0};
  /// [max_delete_fraction] Refuses to erase more than this part of a replica of over 10 rows: a table that seems
  /// emptied is more often a broken source.
  double maxDeleteFraction = 0.5;
  CatchUp catchUp = CatchUp::run;  ///< [catch_up]
  bool operator==(const ReplicationJob&) const = default;

  /// `target`, or what stands for it.
  std::string targetTable() const;
};

/// Checks names, limits, the cron expression and the time zone. Touches no database.
/// @throws Error{invalidConfig} naming job and field.
void validate(const ReplicationJob& job);

/// Secrets as `***`.
std::string toJson(const ReplicationJob& job);
/// Every member is optional but unknown ones are refused. @throws Error{invalidConfig} naming the member.
ReplicationJob jobFromJson(std::string_view json);
/// `job` with the members that `json` names: those of `source` one by one. A password or dsn of `***` is left as it is.
/// @throws Error{invalidConfig}
ReplicationJob patchedJob(ReplicationJob job, std::string_view json);

enum class JobState {
  idle,        ///< waits for its next run
  running,     ///< in this process or another
  streaming,   ///< follows a change stream
  backingOff,  ///< failed; waits longer than its schedule says
  paused
};
std::string_view toString(JobState state) noexcept;

enum class RunTrigger {
  schedule,
  catchUp,  ///< ticks were missed
  manual,
  retry,  ///< after a failure
  goOn,   ///< the run before reached `pageCap`
  stream  ///< cdc: begun when the job was
};
std::string_view toString(RunTrigger trigger) noexcept;

enum class RunOutcome {
  running,
  ok,
  failed,
  cancelled,
  interrupted  ///< its process died, or lost its lease
};
std::string_view toString(RunOutcome outcome) noexcept;

/// One run. Times are Unix microseconds.
struct JobRun {
  std::uint64_t id = 0;  ///< 1, 2, … for each job
  RunTrigger trigger = RunTrigger::schedule;
  RunOutcome outcome = RunOutcome::running;
  std::optional<Clock::Micros> tick{};  ///< the schedule's moment that it is for
  Clock::Micros startedAt{0};
  std::chrono::microseconds duration{0};  ///< [duration_ms]
  std::uint64_t pages = 0, rowsRead = 0, rowsSynced = 0, rowsDeleted = 0;
  bool more = false;                   ///< it reached `pageCap`
  std::optional<std::string> error{};  ///< redacted
  std::vector<std::string> warnings{};
  bool operator==(const JobRun&) const = default;
};
std::string toJson(const JobRun& run);
std::string toJson(const std::vector<JobRun>& runs);

/// A job and how it is. Times are Unix microseconds.
struct JobStatus {
  ReplicationJob job{};  ///< secrets as `***`
  JobState state = JobState::idle;
  Clock::Micros createdAt{0};
  std::optional<std::string> cursor{};                      ///< the greatest tracking value that the replica has; text
  std::uint64_t rowsSynced = 0, rowsDeleted = 0, runs = 0;  ///< since the job was made; a reset leaves them
  std::uint32_t failures = 0;                               ///< in a row
  std::optional<Clock::Micros> lastRunAt{}, lastSuccessAt{};
  std::optional<std::string> lastError{};                   ///< of the last run, redacted; none after a success
  std::optional<Clock::Micros> nextRunAt{};                 ///< none while paused
  std::optional<Clock::Micros> previousTick{}, nextTick{};  ///< by the cron expression alone
  std::optional<JobRun> current{};                          ///< as far as it has come
};
std::string toJson(const JobStatus& status);
std::string toJson(const std::vector<JobStatus>& jobs);

/// What `create` did.
struct JobCreated {
  bool created = true;                  ///< false: a job of that name was there and was changed
  bool cursorReset = false;             ///< what it had read is read again
  std::string resetReason{};            ///< e.g. "table_name changed from \"a\" to \"b\""
  std::vector<std::string> warnings{};  ///< what will work, but not well
};
std::string toJson(const JobCreated& created);

}  // namespace tidegate
