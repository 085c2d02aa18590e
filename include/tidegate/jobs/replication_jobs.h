/// Replication jobs: external tables pulled into a local replica, on a schedule, by records that survive restarts.
///
///     ReplicationJobs jobs({.store = sqlite::jobStore("jobs.db"),
///                           .key = JobKey::fromFile("jobs.key"),
///                           .drivers = {{Dialect::postgres, postgres::jobDriver()}},
///                           .replica = [] { return sqlite::sink({.path = "replica.db"}); }});
///     jobs.create({.name = "users", .source = {…}, .table = "public.users", .trackingColumn = "updated_at",
///                  .cron = "*/5 * * * *"});
///     jobs.start();
///
/// A run reads pages by (tracking column, key) and writes each with its place in one transaction of the replica. Runs
/// of one job never overlap, in this process or another that shares the store: a lease in the record keeps them apart,
/// and the replica's own fence ends whoever lost it.
///
/// Origin: StarbaseDB's replication plugin; see docs/jobs.md for what differs.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/clock.h"
#include "tidegate/jobs/job_key.h"
#include "tidegate/jobs/job_source.h"
#include "tidegate/jobs/job_store.h"
#include "tidegate/jobs/replication_job.h"
#include "tidegate/sink/sink.h"

namespace tidegate {

/// Told what jobs do. Every default does nothing.
/// @thread On the thread of the run, under no lock; never after `stop` returned.
class JobObserver {
 public:
  virtual ~JobObserver() = default;
  virtual void onRunBegan(std::string_view job, const JobRun& run);
  /// After each page that was committed.
  virtual void onProgress(std::string_view job, const JobRun& soFar);
  virtual void onRunEnded(std::string_view job, const JobRun& run);
  /// What stops no run, and what kept one from being noted down.
  virtual void onWarning(std::string_view job, std::string_view message);
};

struct ReplicationJobsOptions {
  std::shared_ptr<JobStore> store{};
  JobKey key;                              ///< for the passwords in `store`
  std::map<Dialect, JobDriver> drivers{};  ///< a job of another dialect is refused
  /// A sink into the replica, of its own for each call. It must keep checkpoints, and be able to `readTable` for modes
  /// that see deletes.
  std::function<std::shared_ptr<Sink>()> replica{};
  std::vector<std::string> reservedTargets{};  ///< tables of the replica that no job may write
  std::size_t workers = 2;                     ///< runs at the same time, 1..64; change streams apart
  /// A run whose lease stands still this long is taken for dead by another process; at least 1 s.
  std::chrono::milliseconds leaseTime{30'000};
  std::chrono::milliseconds firstRetry{30'000};  ///< after a failure; doubled with each in a row, with jitter
  std::chrono::milliseconds maxRetry{3'600'000};
  std::chrono::milliseconds skipAfter{60'000};    ///< a tick this late was missed
  std::chrono::milliseconds lookInterval{5'000};  ///< how often the store and the clock are looked at, at least
  std::size_t keepRuns = 100;                     ///< of each job's history
  std::shared_ptr<JobObserver> observer{};        ///< null: failures and warnings go to spdlog's default logger
  const Clock* clock = nullptr;                   ///< null: the system's
  Scheduler* scheduler = nullptr;                 ///< null: the system's
  std::uint64_t jitterSeed = 0;                   ///< 0: from std::random_device
};

/// @thread Any. Calls that reach a source or the store block meanwhile.
class ReplicationJobs {
 public:
  /// Touches neither the store nor a source. @throws Error{invalidConfig}
  explicit ReplicationJobs(ReplicationJobsOptions options);
  /// Stops.
  ~ReplicationJobs();
  ReplicationJobs(const ReplicationJobs&) = delete;
  ReplicationJobs& operator=(const ReplicationJobs&) = delete;

  /// Makes a job or changes the one of that name, after all checks that can be made: fields, schedule, connection,
  /// table, columns, key, target. A changed job keeps its cursor and counters, unless its source, table, target, key,
  /// mode or tracking column changed. A password or dsn of `***` is the one that is kept.
  /// @throws Error{invalidConfig, columnNotFound, tableNotFound, connectionFailed, authenticationFailed…}: nothing was
  /// changed then.
  JobCreated create(const ReplicationJob& job);
  /// What `create` would do or throw; changes nothing.
  JobCreated check(const ReplicationJob& job);

  std::vector<JobStatus> list();
  /// @throws Error{invalidArgument} for a job that there is not, as all that follow.
  JobStatus get(std::string_view name);
  /// Newest first. @param before ids under it; 0: all.
  std::vector<JobRun> history(std::string_view name, std::size_t limit = 50, std::uint64_t before = 0);

  /// Runs it on this thread, whether due or paused, and returns the finished run. Without `start` its lease is renewed
  /// at its commits alone: another process takes over a run whose source is silent for longer than `leaseTime`.
  /// @throws Error{backPressure, Retry::later} if it is running.
  JobRun run(std::string_view name);
  /// Asks for a run soon, by whichever process has a worker free. While it runs: for another one after it.
  void request(std::string_view name);
  /// Ends its run; the page in hand is undone. @return whether this process was running it.
  bool cancel(std::string_view name);
  /// No more scheduled runs. A run in hand goes on; a change stream ends.
  void pause(std::string_view name);
  /// Ticks that were missed meanwhile are treated as `catchUp` says.
  void resume(std::string_view name);
  /// The next run reads everything again; rows of the replica stay. A run in hand is ended.
  void reset(std::string_view name);
  /// Ends its run and forgets it and its history. The target table stays. What a change stream made in the source's
  /// database is dropped, if it can be reached. @return false if it could not: what is left is in a warning.
  bool remove(std::string_view name);

  /// Starts the workers. @throws Error{stopped} after `stop`.
  void start();
  /// Ends the runs, whose pages in hand are undone, and waits for them. What they left undone is due at the next start.
  void stop();
  /// For hosts without threads, and for simulations: runs what is due on this thread. @return when to call it
  /// again, by the wall clock; nullopt: nothing is due at any time. Change streams need `start`.
  std::optional<Clock::Micros> runDue();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidegate
