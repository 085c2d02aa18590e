/// What a ReplicationJobs is made of, apart from its threads: which job is due, who may run it, and what is noted down.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <vector>

#include "jobs/detail/job_book.h"
#include "jobs/detail/job_run.h"
#include "jobs/detail/job_schedule.h"
#include "tidegate/jobs/replication_jobs.h"

namespace tidegate::detail {

/// A run of this process.
struct ActiveRun {
  std::string job{};
  JobLease lease{};
  std::uint64_t generation = 0;
  bool direct = false;  ///< its caller waits for it: nobody asks for it again if it is interrupted
  std::stop_source stop{};
  Clock::Micros steadyStart{0};
  // guarded by JobsCore::mutex_
  JobRun run{};
  Clock::Micros lastBeat{0};
  bool cancelled = false;  ///< by somebody who asked for just that
  bool leaseLost = false;
};

/// A job that this process may run now: its lease is ours.
struct Claim {
  JobRecord record{};
  std::shared_ptr<ActiveRun> active{};
};

/// @thread Any.
class JobsCore {
 public:
  explicit JobsCore(ReplicationJobsOptions options);

  /// The next run that is due, claimed; nullopt if none is, and then `next` says when.
  std::optional<Claim> takeDue(std::optional<Clock::Micros>& next);
  /// Claims a job out of turn. @throws Error{backPressure} if it runs already, Error{invalidArgument}
  Claim claimNow(std::string_view name);
  /// A change stream that is to be run by somebody, claimed.
  std::vector<Claim> takeStreams();
  /// Runs it to its end and notes down what came of it. Throws nothing.
  JobRun execute(const Claim& claim) noexcept;

  /// Notes down that the run is over: the lease is then nobody's.
  JobRun finish(const Claim& claim, JobRun run, const RunResult& result, const std::optional<Error>& failure);
  /// Says that we live. A lease that is another's by now stops the run.
  void beat(ActiveRun& active);
  /// The same for every run that is due for it.
  void beatAll();
  /// Takes in how far a run has come.
  void progressed(ActiveRun& active, const RunProgress& soFar);

  JobStatus statusOf(const JobRecord& record);
  /// Ends this process's run of a job. @param cancelled whether that is what somebody asked for.
  bool stopRun(std::string_view name, bool cancelled);
  /// Waits until this process no longer runs it. @return false after the timeout.
  bool awaitEnd(std::string_view name, std::chrono::milliseconds timeout);
  /// Ends them all, and lets no other begin.
  void stopAll();
  bool stopping() const;

  void warn(std::string_view job, std::string_view message) const;
  /// Calls the observer, if there is one; what it throws is logged.
  void tell(const std::function<void(JobObserver&)>& call) const;
  /// The driver of a job's dialect. @throws Error{invalidConfig}
  const JobDriver& driverOf(const ReplicationJob& job) const;
  const Clock& clock() const noexcept { return clock_; }

  const ReplicationJobsOptions options;
  JobBook book;

 private:
  struct Seen {
    JobLease lease;
    Clock::Micros since{0};  ///< steady
  };
  struct Timing {
    std::string cron, zoneName;
    std::optional<Cron> parsed;
    std::shared_ptr<const TimeZone> zone;
  };

  NextRun nextOf(const JobRecord& record);
  bool mayTake(const JobRecord& record);
  bool leaseStands(const JobRecord& record);
  void releaseStalled(JobRecord& record);
  /// Ticks that a clock far ahead had us take for done are to come after all.
  void comeBackToNow(JobRecord& record);
  std::optional<Claim> claim(const std::string& name, const Due& due, bool direct, const JobRecord& seen);
  bool isActive(std::string_view name) const;
  void forget(const ActiveRun& active);
  void settle(const Claim& claim, const JobRun& run, const RunResult& result, const std::optional<Error>& failure,
              JobRecord& record);
  bool deletesDue(const JobRecord& record) const;
  RunOutcome outcomeOf(const ActiveRun& active, const std::optional<Error>& failure) const;
  std::vector<JobRecord> records();

  const Clock& clock_;
  const std::string owner_;
  mutable std::mutex mutex_;
  std::condition_variable ended_;  ///< a run
  std::mutex planning_;            ///< one plan at a time; never taken under `mutex_`
  // guarded by mutex_
  std::map<std::string, std::shared_ptr<ActiveRun>, std::less<>> active_;
  std::map<std::string, Seen, std::less<>> seen_;  ///< others' leases
  std::map<std::string, Timing, std::less<>> timings_;
  std::mt19937_64 jitter_;
  bool stopping_ = false;
};

}  // namespace tidegate::detail
