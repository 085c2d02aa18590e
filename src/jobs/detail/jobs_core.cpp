#include "jobs/detail/jobs_core.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace core_detail {

std::string newOwner() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}{:08x}", random(), random(), random());
}

/// Whoever waits longest goes first; a run that only goes on lets all others before it.
Clock::Micros turnOf(const Due& due, Clock::Micros now) {
  if (due.trigger == RunTrigger::goOn) return Clock::Micros::max();
  return due.tick.value_or(now);
}

}  // namespace core_detail

JobsCore::JobsCore(ReplicationJobsOptions o)
    : options(std::move(o)),
      book(options.store, options.keepRuns),
      clock_(options.clock != nullptr ? *options.clock : systemClock()),
      owner_(core_detail::newOwner()),
      jitter_(options.jitterSeed != 0 ? options.jitterSeed : std::random_device{}()) {}

void JobsCore::warn(std::string_view job, std::string_view message) const {
  if (!options.observer) spdlog::warn("job \"{}\": {}", job, message);
  tell([&](JobObserver& observer) { observer.onWarning(job, message); });
}

void JobsCore::tell(const std::function<void(JobObserver&)>& call) const {
  if (!options.observer) return;
  try {
    call(*options.observer);
  } catch (const std::exception& e) {
    spdlog::error("the job observer threw: {}", redactSecrets(e.what()));
  } catch (...) {
    spdlog::error("the job observer threw something unknown");
  }
}

const JobDriver& JobsCore::driverOf(const ReplicationJob& job) const {
  const auto at = options.drivers.find(job.source.dialect);
  if (at != options.drivers.end()) return at->second;
  throw Error(ErrorCode::invalidConfig, Retry::never,
              fmt::format("job \"{}\": this process has no driver for {}: the host must hand one in", job.name,
                          toString(job.source.dialect)));
}

std::vector<JobRecord> JobsCore::records() {
  return book.all([this](const std::string& name, const Error& error) { warn(name, error.message()); });
}

bool JobsCore::isActive(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  return active_.find(name) != active_.end();
}

NextRun JobsCore::nextOf(const JobRecord& record) {
  const ScheduleRules rules{options.skipAfter, options.maxRetry};
  std::optional<Cron> cron;
  std::shared_ptr<const TimeZone> zone;
  {
    const std::lock_guard lock(mutex_);
    Timing& timing = timings_[record.job.name];
    if (timing.cron != record.job.cron || timing.zoneName != record.job.timeZone || !timing.zone) {
      timing.zone = TimeZone::load(record.job.timeZone);
      timing.parsed.reset();
      if (!record.job.cron.empty()) timing.parsed = Cron::parse(record.job.cron);
      timing.cron = record.job.cron;
      timing.zoneName = record.job.timeZone;
    }
    cron = timing.parsed;
    zone = timing.zone;
  }
  return nextRun(record, cron ? &*cron : nullptr, *zone, clock_.wallNow(), rules);
}

/// Whether somebody runs the job. Another process's lease is watched by our own steady clock: what its clock says, or
/// when it was taken, we cannot know.
bool JobsCore::leaseStands(const JobRecord& record) {
  const std::string& name = record.job.name;
  const std::lock_guard lock(mutex_);
  if (!record.lease) {
    seen_.erase(name);
    return false;
  }
  // Ours, and no run of it: the run ended and could not be noted down.
  if (record.lease->owner == owner_) return active_.find(name) != active_.end();
  const Clock::Micros now = clock_.steadyNow();
  const auto at = seen_.find(name);
  if (at == seen_.end() || !(at->second.lease == *record.lease)) {
    seen_.insert_or_assign(name, Seen{*record.lease, now});
    return true;
  }
  return now - at->second.since < options.leaseTime;
}

/// Its process is dead: the run is noted as interrupted, and what it was for is due again.
void JobsCore::releaseStalled(JobRecord& record) {
  if (!record.lease) return;
  std::optional<JobRun> run = record.current;
  if (run) {
    run->outcome = RunOutcome::interrupted;
    run->error = "its process ended, or stood still longer than its lease";
  }
  const JobLease seen = *record.lease;
  const auto release = [&](JobRecord& now) {
    if (now.lease != seen) return false;
    now.lease.reset();
    now.current.reset();
    ++now.runs;
    if (run && run->trigger == RunTrigger::manual) now.asked = true;
    record = now;
    return true;
  };
  if (book.change(record.job.name, release, run ? &*run : nullptr)) return;
  if (auto now = book.find(record.job.name)) record = *now;
}

void JobsCore::comeBackToNow(JobRecord& record) {
  const Clock::Micros now = clock_.wallNow();
  if (record.handled <= now + kMostClockStep) return;
  const auto back = [&](JobRecord& there) {
    if (there.handled <= now + kMostClockStep) return false;
    there.handled = now;
    record = there;
    return true;
  };
  if (book.change(record.job.name, back)) warn(record.job.name, "the clock was set back: its schedule begins anew");
}

bool JobsCore::mayTake(const JobRecord& record) { return !isActive(record.job.name) && !leaseStands(record); }

std::optional<Claim> JobsCore::claim(const std::string& name, const Due& due, bool direct, const JobRecord& seen) {
  auto active = std::make_shared<ActiveRun>();
  Claim out;
  const auto take = [&](JobRecord& record) {
    // Somebody ran it, or changed it, since we looked.
    if (record.lease || record.generation != seen.generation || record.lastEpoch != seen.lastEpoch) return false;
    record.lease = JobLease{owner_, ++record.lastEpoch, 0};
    record.asked = false;
    JobRun run{.id = ++record.lastRunId, .trigger = due.trigger, .tick = due.tick, .startedAt = clock_.wallNow()};
    record.current = run;
    active->job = name;
    active->lease = *record.lease;
    active->generation = record.generation;
    active->run = run;
    out.record = record;
    return true;
  };
  if (!book.change(name, take)) return std::nullopt;
  active->direct = direct;
  active->steadyStart = active->lastBeat = clock_.steadyNow();
  const std::lock_guard lock(mutex_);
  active_[name] = active;
  if (stopping_) active->stop.request_stop();
  out.active = std::move(active);
  return out;
}

std::optional<Claim> JobsCore::takeDue(std::optional<Clock::Micros>& next) {
  const std::lock_guard planning(planning_);
  if (stopping()) return std::nullopt;
  struct Candidate {
    JobRecord record;
    Due due;
  };
  std::vector<Candidate> due;
  for (JobRecord& record : records()) {
    if (record.job.mode == JobMode::cdc) continue;
    if (!mayTake(record)) {
      // Another process's run: whether it lives is to be seen again.
      const Clock::Micros look = clock_.wallNow() + options.lookInterval;
      if (!isActive(record.job.name) && (!next || look < *next)) next = look;
      continue;
    }
    try {
      releaseStalled(record);
      comeBackToNow(record);
      const NextRun run = nextOf(record);
      if (run.due) {
        due.push_back({std::move(record), *run.due});
      } else if (run.next && (!next || *run.next < *next)) {
        next = run.next;
      }
    } catch (const Error& e) {
      if (e.code() == ErrorCode::storeUnavailable) throw;
      warn(record.job.name, e.message());
    }
  }
  const Clock::Micros now = clock_.wallNow();
  std::stable_sort(due.begin(), due.end(), [&](const Candidate& a, const Candidate& b) {
    return core_detail::turnOf(a.due, now) < core_detail::turnOf(b.due, now);
  });
  for (Candidate& candidate : due) {
    if (auto taken = claim(candidate.record.job.name, candidate.due, false, candidate.record)) return taken;
  }
  return std::nullopt;
}

Claim JobsCore::claimNow(std::string_view name) {
  const std::lock_guard planning(planning_);
  if (stopping()) throw Error(ErrorCode::stopped, Retry::never, "the jobs were stopped");
  JobRecord record = book.require(name);
  if (record.job.mode == JobMode::cdc) {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                fmt::format("job \"{}\" follows its source all the time: there is nothing to run", name));
  }
  if (mayTake(record)) {
    releaseStalled(record);
    if (auto taken = claim(record.job.name, {RunTrigger::manual, std::nullopt}, true, record)) return *taken;
  }
  throw Error(ErrorCode::backPressure, Retry::later,
              fmt::format("job \"{}\" is running: wait for its end, or cancel it", name));
}

std::vector<Claim> JobsCore::takeStreams() {
  const std::lock_guard planning(planning_);
  std::vector<Claim> out;
  if (stopping()) return out;
  for (JobRecord& record : records()) {
    if (record.job.mode != JobMode::cdc || record.paused || !mayTake(record)) continue;
    releaseStalled(record);
    const auto now = clock_.wallNow();
    if (record.failures > 0 && record.retryAt && *record.retryAt > now && *record.retryAt <= now + options.maxRetry) {
      continue;
    }
    if (auto taken = claim(record.job.name, {RunTrigger::stream, std::nullopt}, false, record)) {
      out.push_back(std::move(*taken));
    }
  }
  return out;
}

bool JobsCore::deletesDue(const JobRecord& record) const {
  if (record.job.deleteCheck.count() == 0) return false;
  const auto now = clock_.wallNow();
  return !record.lastDeleteCheck || now - *record.lastDeleteCheck >= record.job.deleteCheck ||
         *record.lastDeleteCheck > now + kMostClockStep;
}

void JobsCore::progressed(ActiveRun& active, const RunProgress& soFar) {
  JobRun run;
  bool late = false;
  {
    const std::lock_guard lock(mutex_);
    active.run.pages = soFar.pages;
    active.run.rowsRead = soFar.rowsRead;
    active.run.rowsSynced = soFar.rowsSynced;
    active.run.rowsDeleted = soFar.rowsDeleted;
    active.run.duration = clock_.steadyNow() - active.steadyStart;
    run = active.run;
    late = clock_.steadyNow() - active.lastBeat >= options.leaseTime / 3;
  }
  if (late) beat(active);
  tell([&](JobObserver& observer) { observer.onProgress(active.job, run); });
}

void JobsCore::beat(ActiveRun& active) {
  JobRun soFar;
  {
    const std::lock_guard lock(mutex_);
    active.lastBeat = clock_.steadyNow();
    soFar = active.run;
  }
  const auto renew = [&](JobRecord& record) {
    if (!record.lease || record.lease->owner != owner_ || record.lease->epoch != active.lease.epoch) return false;
    ++record.lease->beat;
    record.current = soFar;
    return true;
  };
  bool ours = true;
  try {
    ours = book.change(active.job, renew);
  } catch (const std::exception& e) {
    // The lease may still be ours; if it is not, the replica's fence says so.
    warn(active.job, std::string("its lease could not be renewed: ") + e.what());
    return;
  }
  if (ours) return;
  {
    const std::lock_guard lock(mutex_);
    active.leaseLost = true;
  }
  active.stop.request_stop();
}

void JobsCore::beatAll() {
  std::vector<std::shared_ptr<ActiveRun>> late;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, active] : active_) {
      if (clock_.steadyNow() - active->lastBeat >= options.leaseTime / 3) late.push_back(active);
    }
  }
  for (const auto& active : late) beat(*active);
}

bool JobsCore::stopRun(std::string_view name, bool cancelled) {
  std::shared_ptr<ActiveRun> active;
  {
    const std::lock_guard lock(mutex_);
    const auto at = active_.find(name);
    if (at == active_.end()) return false;
    active = at->second;
    active->cancelled = active->cancelled || cancelled;
  }
  active->stop.request_stop();
  return true;
}

void JobsCore::stopAll() {
  std::vector<std::shared_ptr<ActiveRun>> all;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const auto& [name, active] : active_) all.push_back(active);
  }
  for (const auto& active : all) active->stop.request_stop();
}

bool JobsCore::stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

void JobsCore::forget(const ActiveRun& active) {
  {
    const std::lock_guard lock(mutex_);
    const auto at = active_.find(active.job);
    if (at != active_.end() && at->second->lease == active.lease) active_.erase(at);
  }
  ended_.notify_all();
}

bool JobsCore::awaitEnd(std::string_view name, std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return ended_.wait_for(lock, timeout, [&] { return active_.find(name) == active_.end(); });
}

JobStatus JobsCore::statusOf(const JobRecord& record) {
  JobStatus out{.job = record.job, .createdAt = record.createdAt, .cursor = record.cursor};
  out.rowsSynced = record.rowsSynced;
  out.rowsDeleted = record.rowsDeleted;
  out.runs = record.runs;
  out.failures = record.failures;
  out.lastRunAt = record.lastRunAt;
  out.lastSuccessAt = record.lastSuccessAt;
  out.lastError = record.lastError;
  out.current = record.current;
  const bool running = record.lease.has_value();
  const bool stream = record.job.mode == JobMode::cdc;
  {
    const std::lock_guard lock(mutex_);
    const auto at = active_.find(record.job.name);
    if (at != active_.end()) {
      out.current = at->second->run;
      out.current->duration = clock_.steadyNow() - at->second->steadyStart;
    }
  }
  const auto now = clock_.wallNow();
  if (running) {
    out.state = stream ? JobState::streaming : JobState::running;
  } else if (record.paused) {
    out.state = JobState::paused;
  } else if (record.failures > 0 && record.retryAt && *record.retryAt > now) {
    out.state = JobState::backingOff;
  }
  if (stream) {
    if (!running && !record.paused) out.nextRunAt = record.failures > 0 ? record.retryAt : now;
    return out;
  }
  try {
    out.nextRunAt = nextOf(record).next;
    const auto zone = TimeZone::load(record.job.timeZone);
    const Cron cron = Cron::parse(record.job.cron);
    out.previousTick = cron.previous(now + Clock::Micros(1), *zone);
    out.nextTick = cron.next(now, *zone);
  } catch (const Error& e) {
    // The zone is gone from the system since the job was made.
    if (!out.lastError) out.lastError = e.message();
  }
  return out;
}

}  // namespace tidegate::detail
