#include "tidegate/jobs/replication_jobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "jobs/detail/job_changes.h"
#include "jobs/detail/job_secrets.h"
#include "jobs/detail/job_streams.h"
#include "jobs/detail/jobs_core.h"
#include "tidegate/core/error.h"

namespace tidegate {

void JobObserver::onRunBegan(std::string_view, const JobRun&) {}
void JobObserver::onProgress(std::string_view, const JobRun&) {}
void JobObserver::onRunEnded(std::string_view, const JobRun&) {}
void JobObserver::onWarning(std::string_view, std::string_view) {}

namespace jobs_detail {

const ReplicationJobsOptions& checked(const ReplicationJobsOptions& o) {
  const auto require = [](bool holds, const char* why) {
    if (!holds) throw Error(ErrorCode::invalidConfig, Retry::never, std::string("ReplicationJobsOptions: ") + why);
  };
  require(o.store != nullptr, "store is missing");
  require(static_cast<bool>(o.replica), "replica is missing");
  for (const auto& [dialect, driver] : o.drivers) {
    require(driver.connect && driver.describe, "a driver needs connect and describe");
  }
  require(o.workers >= 1 && o.workers <= 64, "workers must be 1 to 64");
  require(o.leaseTime >= std::chrono::seconds(1), "leaseTime must be at least 1 s");
  require(o.firstRetry.count() >= 1 && o.maxRetry >= o.firstRetry, "firstRetry must be 1 ms to maxRetry");
  require(o.skipAfter.count() >= 0, "skipAfter is negative");
  require(o.lookInterval.count() >= 10, "lookInterval must be at least 10 ms");
  require(o.keepRuns >= 1, "keepRuns must be at least 1");
  return o;
}

}  // namespace jobs_detail

struct ReplicationJobs::Impl {
  explicit Impl(const ReplicationJobsOptions& o)
      : core(jobs_detail::checked(o)), scheduler(o.scheduler != nullptr ? *o.scheduler : systemScheduler()) {}

  void work(const std::stop_token& stop);
  void keep(const std::stop_token& stop);
  /// To be taken before one looks for work, so that what comes meanwhile ends the wait.
  std::stop_token wakings();
  void wait(std::chrono::microseconds time, const std::stop_token& woken);
  void wake();
  JobCreated put(const ReplicationJob& job);
  /// @return whether nothing is left of it in the source's database.
  bool dropStreamOf(const detail::JobRecord& record);

  detail::JobsCore core;
  Scheduler& scheduler;
  std::mutex mutex;
  std::stop_source waking;            ///< guarded by mutex: of the waits now going on or to come
  bool started = false;               ///< guarded by mutex
  std::vector<std::jthread> threads;  ///< guarded by mutex but while they are joined
};

void ReplicationJobs::Impl::wake() {
  std::stop_source old;
  {
    const std::lock_guard lock(mutex);
    old = std::exchange(waking, std::stop_source());
  }
  old.request_stop();
}

std::stop_token ReplicationJobs::Impl::wakings() {
  const std::lock_guard lock(mutex);
  return waking.get_token();
}

void ReplicationJobs::Impl::wait(std::chrono::microseconds time, const std::stop_token& woken) {
  if (!core.stopping()) scheduler.waitFor(time, woken);
}

void ReplicationJobs::Impl::work(const std::stop_token& stop) {
  while (!stop.stop_requested() && !core.stopping()) {
    std::chrono::microseconds time = core.options.lookInterval;
    const std::stop_token woken = wakings();
    try {
      std::optional<Clock::Micros> next;
      if (const auto claim = core.takeDue(next)) {
        core.execute(*claim);
        continue;
      }
      if (next) {
        const std::chrono::microseconds left = *next - core.clock().wallNow();
        time = std::clamp<std::chrono::microseconds>(left, std::chrono::milliseconds(1), time);
      }
    } catch (const std::exception& e) {
      core.warn("", std::string("the job store cannot be read: ") + redactSecrets(e.what()));
    }
    wait(time, woken);
  }
}

void ReplicationJobs::Impl::keep(const std::stop_token& stop) {
  detail::JobStreams streams(core);
  const std::chrono::microseconds pace = std::min(core.options.leaseTime / 6, core.options.lookInterval);
  while (!stop.stop_requested() && !core.stopping()) {
    const std::stop_token woken = wakings();
    try {
      core.beatAll();
      streams.step();
    } catch (const std::exception& e) {
      core.warn("", std::string("the job store cannot be read: ") + redactSecrets(e.what()));
    }
    wait(pace, woken);
  }
}

JobCreated ReplicationJobs::Impl::put(const ReplicationJob& job) {
  const detail::CheckedJob checked = detail::checkJob(core, job);
  JobCreated outcome = checked.outcome;
  std::optional<detail::JobRecord> old;
  core.book.put(job.name, [&](const detail::JobRecord* before) {
    detail::JobRecord record = detail::recordFor(checked.job, core.options.key, before, core.clock().wallNow());
    outcome.created = before == nullptr;
    if (before != nullptr) {
      old = *before;
      outcome.resetReason = detail::resetReason(before->job, record.job);
      outcome.cursorReset = !outcome.resetReason.empty();
    }
    return record;
  });
  const bool wasStream = old && old->job.mode == JobMode::cdc;
  if (outcome.cursorReset || wasStream) core.stopRun(job.name, true);
  wake();
  if (outcome.cursorReset && wasStream) dropStreamOf(*old);
  return outcome;
}

bool ReplicationJobs::Impl::dropStreamOf(const detail::JobRecord& record) {
  JobSource source;
  try {
    core.awaitEnd(record.job.name, std::chrono::seconds(20));
    source = detail::openSource(record, core.options.key);
    detail::dropStream(core.driverOf(record.job), record.job, source);
    return true;
  } catch (const std::exception& e) {
    core.warn(record.job.name,
              fmt::format("what its stream made in the source's database is still there ({}): {}",
                          detail::streamName(record.job.name), detail::withoutSecrets(e.what(), source)));
    return false;
  }
}

ReplicationJobs::ReplicationJobs(ReplicationJobsOptions options) : impl_(std::make_unique<Impl>(options)) {}

ReplicationJobs::~ReplicationJobs() { stop(); }

JobCreated ReplicationJobs::create(const ReplicationJob& job) { return impl_->put(job); }

JobCreated ReplicationJobs::check(const ReplicationJob& job) { return detail::checkJob(impl_->core, job).outcome; }

std::vector<JobStatus> ReplicationJobs::list() {
  std::vector<JobStatus> out;
  const auto broken = [this](const std::string& name, const Error& error) { impl_->core.warn(name, error.message()); };
  for (const detail::JobRecord& record : impl_->core.book.all(broken)) out.push_back(impl_->core.statusOf(record));
  return out;
}

JobStatus ReplicationJobs::get(std::string_view name) { return impl_->core.statusOf(impl_->core.book.require(name)); }

std::vector<JobRun> ReplicationJobs::history(std::string_view name, std::size_t limit, std::uint64_t before) {
  (void)impl_->core.book.require(name);
  return impl_->core.book.runs(name, before, limit);
}

JobRun ReplicationJobs::run(std::string_view name) {
  const detail::Claim claim = impl_->core.claimNow(name);
  JobRun run = impl_->core.execute(claim);
  impl_->wake();
  return run;
}

void ReplicationJobs::request(std::string_view name) {
  if (impl_->core.book.require(name).job.mode == JobMode::cdc) {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                fmt::format("job \"{}\" follows its source all the time: there is nothing to run", name));
  }
  impl_->core.book.change(name, [](detail::JobRecord& record) { return std::exchange(record.asked, true) == false; });
  impl_->wake();
}

bool ReplicationJobs::cancel(std::string_view name) {
  (void)impl_->core.book.require(name);
  const bool running = impl_->core.stopRun(name, true);
  impl_->wake();
  return running;
}

void ReplicationJobs::pause(std::string_view name) {
  const detail::JobRecord record = impl_->core.book.require(name);
  impl_->core.book.change(name, [](detail::JobRecord& r) { return std::exchange(r.paused, true) == false; });
  if (record.job.mode == JobMode::cdc) impl_->core.stopRun(name, true);
  impl_->wake();
}

void ReplicationJobs::resume(std::string_view name) {
  (void)impl_->core.book.require(name);
  impl_->core.book.change(name, [](detail::JobRecord& record) {
    record.paused = false;
    record.failures = 0;
    record.retryAt.reset();
    return true;
  });
  impl_->wake();
}

void ReplicationJobs::reset(std::string_view name) {
  (void)impl_->core.book.require(name);
  impl_->core.book.change(name, [](detail::JobRecord& record) {
    ++record.generation;
    record.cursor.reset();
    record.lastDeleteCheck.reset();
    record.goOn = false;
    return true;
  });
  impl_->core.stopRun(name, true);
  impl_->wake();
}

bool ReplicationJobs::remove(std::string_view name) {
  std::optional<detail::JobRecord> record;
  try {
    record = impl_->core.book.require(name);
  } catch (const Error& e) {
    // A record that cannot be read is removed too: that is what its message advises.
    if (e.code() != ErrorCode::storeCorrupt) throw;
  }
  impl_->core.book.remove(name);
  impl_->core.stopRun(name, true);
  impl_->wake();
  return !record || record->job.mode != JobMode::cdc || impl_->dropStreamOf(*record);
}

void ReplicationJobs::start() {
  const std::lock_guard lock(impl_->mutex);
  if (impl_->core.stopping()) throw Error(ErrorCode::stopped, Retry::never, "the jobs were stopped: make others");
  if (std::exchange(impl_->started, true)) return;
  for (std::size_t i = 0; i < impl_->core.options.workers; ++i) {
    impl_->threads.emplace_back([impl = impl_.get()](const std::stop_token& stop) { impl->work(stop); });
  }
  impl_->threads.emplace_back([impl = impl_.get()](const std::stop_token& stop) { impl->keep(stop); });
}

void ReplicationJobs::stop() {
  impl_->core.stopAll();
  impl_->wake();
  std::vector<std::jthread> threads;
  {
    const std::lock_guard lock(impl_->mutex);
    threads.swap(impl_->threads);
  }
  for (std::jthread& thread : threads) thread.request_stop();
  impl_->wake();
  threads.clear();
}

std::optional<Clock::Micros> ReplicationJobs::runDue() {
  for (;;) {
    std::optional<Clock::Micros> next;
    const auto claim = impl_->core.takeDue(next);
    if (!claim) return next;
    impl_->core.execute(*claim);
  }
}

}  // namespace tidegate
