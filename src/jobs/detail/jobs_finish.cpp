#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "jobs/detail/job_secrets.h"
#include "jobs/detail/jobs_core.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {

RunOutcome JobsCore::outcomeOf(const ActiveRun& active, const std::optional<Error>& failure) const {
  if (!failure) return RunOutcome::ok;
  const std::lock_guard lock(mutex_);
  if (active.cancelled) return RunOutcome::cancelled;
  if (active.leaseLost || (stopping_ && active.stop.stop_requested())) return RunOutcome::interrupted;
  return RunOutcome::failed;
}

void JobsCore::settle(const Claim& claim, const JobRun& run, const RunResult& result,
                      const std::optional<Error>& failure, JobRecord& record) {
  record.lease.reset();
  record.current.reset();
  ++record.runs;
  record.rowsSynced += run.rowsSynced;
  record.rowsDeleted += run.rowsDeleted;
  record.lastRunAt = run.startedAt;
  const bool same = record.generation == claim.record.generation;
  if (run.outcome == RunOutcome::interrupted) {
    if (run.trigger == RunTrigger::manual && !claim.active->direct) record.asked = true;
    return;
  }
  // A tick at or before the run's begin was for what this run has seen.
  const bool ahead = record.handled > run.startedAt + kMostClockStep;
  record.handled = ahead ? run.startedAt : std::max(record.handled, run.startedAt);
  record.goOn = same && run.outcome == RunOutcome::ok && result.more;
  if (same && result.deletesChecked) record.lastDeleteCheck = run.startedAt;
  if (run.outcome == RunOutcome::failed) {
    ++record.failures;
    record.retries = failure->retry() == Retry::later || failure->retry() == Retry::outcomeUnknown;
    record.lastError = run.error;
    const std::lock_guard lock(mutex_);
    record.retryAt = clock_.wallNow() + retryDelay(record.failures, options.firstRetry, options.maxRetry, jitter_());
    return;
  }
  if (run.outcome == RunOutcome::cancelled) return;
  record.failures = 0;
  record.retryAt.reset();
  record.lastError.reset();
  record.lastSuccessAt = run.startedAt + run.duration;
  if (same && result.cursor) record.cursor = result.cursor;
}

JobRun JobsCore::finish(const Claim& claim, JobRun run, const RunResult& result, const std::optional<Error>& failure) {
  run.duration = clock_.steadyNow() - claim.active->steadyStart;
  run.outcome = outcomeOf(*claim.active, failure);
  run.pages = result.pages;
  run.rowsRead = result.rowsRead;
  run.rowsSynced = result.rowsSynced;
  run.rowsDeleted = result.rowsDeleted;
  run.more = result.more;
  run.warnings = result.warnings;
  if (failure && !run.error) run.error = failure->message();
  const auto note = [&](JobRecord& record) {
    if (!record.lease || record.lease->owner != owner_ || record.lease->epoch != claim.active->lease.epoch) {
      return false;
    }
    settle(claim, run, result, failure, record);
    return true;
  };
  try {
    if (!book.change(claim.active->job, note, &run)) run.outcome = RunOutcome::interrupted;
  } catch (const std::exception& e) {
    warn(claim.active->job, std::string("its run could not be noted down, and is made again: ") + e.what());
  }
  forget(*claim.active);
  tell([&](JobObserver& observer) { observer.onRunEnded(claim.active->job, run); });
  if (!options.observer && run.outcome == RunOutcome::failed) {
    spdlog::error("job \"{}\": {}", claim.active->job, *run.error);
  }
  return run;
}

JobRun JobsCore::execute(const Claim& claim) noexcept {
  ActiveRun& active = *claim.active;
  RunResult result;
  RunProgress reached;
  std::optional<Error> failure;
  JobSource source;
  try {
    tell([&](JobObserver& observer) { observer.onRunBegan(active.job, active.run); });
    source = openSource(claim.record, options.key);
    ReplicationJob job = claim.record.job;
    job.source = source;
    const auto replica = options.replica();
    result = runJob({.job = job,
                     .generation = claim.record.generation,
                     .driver = driverOf(job),
                     .sink = *replica,
                     .clock = clock_,
                     .stop = active.stop.get_token(),
                     .checkDeletes = deletesDue(claim.record),
                     .progress = [&](const RunProgress& soFar) {
                       reached = soFar;
                       progressed(active, soFar);
                     }});
  } catch (const Error& e) {
    failure = e;
  } catch (const std::bad_alloc&) {
    failure = Error(ErrorCode::internal, Retry::later, "out of memory: lower batch_size");
  } catch (const std::exception& e) {
    failure = Error(ErrorCode::internal, Retry::later, e.what());
  } catch (...) {
    failure = Error(ErrorCode::internal, Retry::later, "something unknown was thrown");
  }
  if (failure) {
    static_cast<RunProgress&>(result) = reached;  // what was committed
    failure = Error(failure->code(), failure->retry(), withoutSecrets(failure->message(), source));
  }
  for (std::string& warning : result.warnings) warning = withoutSecrets(warning, source);
  JobRun run;
  {
    const std::lock_guard lock(mutex_);
    run = active.run;
  }
  return finish(claim, std::move(run), result, failure);
}

}  // namespace tidegate::detail
