#include "tidegate/source/source_poller.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "source/detail/poll_runner.h"

namespace tidegate {

bool PollReport::ok() const noexcept {
  return std::none_of(tables.begin(), tables.end(), [](const TableReport& t) { return t.error.has_value(); });
}

/// What the object and its thread share. A thread that hangs in a query keeps it alive after the object is gone, and
/// then touches nothing of the host (see PollGuard).
struct SourcePoller::Impl : std::enable_shared_from_this<Impl> {
  /// One poll in the slot.
  struct Active {
    detail::PollGuard guard;
    std::atomic<bool> silenced{false};
    std::stop_source stop;   ///< cancels the poll
    std::stop_source ended;  ///< requested when it is over: `stop` waits for it with the scheduler
    std::thread::id thread = std::this_thread::get_id();
  };
  /// One run of the polling thread, from start to stop.
  struct Loop {
    std::thread thread;
    std::stop_source stop, ended;
  };

  Impl(IngestSourceConfig config, Gateway& gateway, SourcePollerOptions o);

  PollReport pollInSlot(std::stop_token stop);
  std::shared_ptr<Active> takeSlot(std::stop_token stop);
  void leaveSlot(Active& active);
  void run(Loop& loop);
  bool waitWhilePaused(std::stop_token stop);
  void waitForNext(std::stop_token stop);
  bool stopAll();
  bool endWithin(const std::shared_ptr<Active>& poll, const std::shared_ptr<Loop>& loop);
  void wake();

  const SourcePollerOptions options;  ///< the push function is in the runner
  const Clock& clock;
  Scheduler& scheduler;
  detail::PollRunner runner;  ///< used by whoever holds the slot
  std::mt19937_64 jitter;     ///< the polling thread's
  std::atomic<bool> paused{false};

  mutable std::mutex mutex;
  std::condition_variable_any changed;
  // guarded by mutex
  bool open = true;  ///< false from `stop` to `start`
  bool slotTaken = false;
  std::shared_ptr<Active> active;  ///< the poll in the slot, unless it was left behind
  std::shared_ptr<Loop> loop;
  std::stop_source wakeUp;  ///< of the wait now going on or to come
  std::optional<PollReport> last;
};

namespace {

std::uint64_t seedOf(std::uint64_t given) {
  if (given != 0) return given;
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

detail::PollRunner::Options runnerOptions(IngestSourceConfig config, Gateway& gateway, const SourcePollerOptions& o) {
  validate(config);
  PushFunction push = o.push;
  if (!push) push = [&gateway](const SyncPush& p, PushContext context) { return gateway.handlePush(p, context); };
  return {.config = std::move(config),
          .stamps = gateway.clock(),
          .push = std::move(push),
          .clock = o.clock != nullptr ? *o.clock : systemClock(),
          .state = o.state ? o.state : std::make_shared<MemoryStateStore>(),
          .snapshots = o.snapshots ? o.snapshots : memorySnapshotStore(),
          .observer = o.observer,
          // This sender may have pushed to another gateway of the log, whose clock was ahead: what it brings now must
          // be stamped after that, or it would lose to it.
          .before = [&gateway] { gateway.catchUp(); }};
}

}  // namespace

SourcePoller::Impl::Impl(IngestSourceConfig config, Gateway& gateway, SourcePollerOptions o)
    : options(std::move(o)),
      clock(options.clock != nullptr ? *options.clock : systemClock()),
      scheduler(options.scheduler != nullptr ? *options.scheduler : systemScheduler()),
      runner(runnerOptions(std::move(config), gateway, options)),
      jitter(seedOf(options.jitterSeed)) {}

std::shared_ptr<SourcePoller::Impl::Active> SourcePoller::Impl::takeSlot(std::stop_token stop) {
  std::unique_lock lock(mutex);
  changed.wait(lock, stop, [&] { return !slotTaken || !open; });
  if (!open || slotTaken) return nullptr;
  slotTaken = true;
  active = std::make_shared<Active>();
  return active;
}

void SourcePoller::Impl::leaveSlot(Active& poll) {
  poll.guard.finish();
  {
    const std::lock_guard lock(mutex);
    slotTaken = false;
    if (active.get() == &poll) active.reset();
  }
  changed.notify_all();
  poll.ended.request_stop();
}

PollReport SourcePoller::Impl::pollInSlot(std::stop_token stop) {
  const std::shared_ptr<Active> poll = takeSlot(stop);
  if (!poll) throw Error(ErrorCode::stopped, Retry::later, "the poller was stopped: call start() to poll again");
  struct Leave {
    Impl& impl;
    Active& poll;
    ~Leave() { impl.leaveSlot(poll); }
  } leave{*this, *poll};
  const std::stop_callback forward(stop, [&] { poll->stop.request_stop(); });
  try {
    PollReport report = runner.poll({poll->guard, poll->stop.get_token(), paused}, poll->silenced);
    const std::lock_guard lock(mutex);
    if (!poll->silenced.load()) last = report;
    return report;
  } catch (const detail::PollAbandoned&) {
    throw Error(ErrorCode::stopped, Retry::later, "the poller was stopped during the poll; what was late is dropped");
  }
}

bool SourcePoller::Impl::waitWhilePaused(std::stop_token stop) {
  std::unique_lock lock(mutex);
  return changed.wait(lock, stop, [&] { return !paused.load(); });
}

void SourcePoller::Impl::waitForNext(std::stop_token stop) {
  std::stop_token woken;
  {
    const std::lock_guard lock(mutex);
    woken = wakeUp.get_token();
  }
  if (!stop.stop_requested()) scheduler.waitFor(runner.delay(jitter), woken);
  const std::lock_guard lock(mutex);
  if (wakeUp.stop_requested()) wakeUp = std::stop_source();
}

void SourcePoller::Impl::run(Loop& mine) {
  const std::stop_token stop = mine.stop.get_token();
  try {
    while (waitWhilePaused(stop) && !stop.stop_requested()) {
      pollInSlot(stop);
      if (stop.stop_requested()) break;
      waitForNext(stop);
    }
  } catch (const Error&) {  // stopped
  }
  mine.ended.request_stop();
}

bool SourcePoller::Impl::endWithin(const std::shared_ptr<Active>& poll, const std::shared_ptr<Loop>& thread) {
  const auto deadline = clock.steadyNow() + options.stopDeadline;
  const auto waitFor = [&](const std::stop_source& ended) {
    const auto left = std::max(deadline - clock.steadyNow(), std::chrono::microseconds(0));
    return !scheduler.waitFor(left, ended.get_token()) || ended.stop_requested();
  };
  bool ended = !poll || waitFor(poll->ended);
  if (!ended && poll->guard.abandon()) {
    if (thread) thread->thread.detach();
    return false;
  }
  // Whatever still runs is no query, so it ends by itself.
  if (thread) thread->thread.join();
  return true;
}

bool SourcePoller::Impl::stopAll() {
  std::shared_ptr<Active> poll;
  std::shared_ptr<Loop> thread;
  std::stop_source waiting;
  {
    const std::lock_guard lock(mutex);
    open = false;
    poll = active;
    thread = std::move(loop);
    loop.reset();
    waiting = wakeUp;
  }
  if (poll) poll->silenced.store(true);
  changed.notify_all();
  // Outside the lock: a driver's cancellation runs in here.
  if (thread) thread->stop.request_stop();
  if (poll) poll->stop.request_stop();
  waiting.request_stop();
  const bool byItsOwnThread = (poll && poll->thread == std::this_thread::get_id()) ||
                              (thread && thread->thread.get_id() == std::this_thread::get_id());
  if (byItsOwnThread) {  // from a callback: it ends as soon as the callback returns
    if (thread && thread->thread.get_id() == std::this_thread::get_id())
      thread->thread.detach();
    else if (thread)
      thread->thread.join();
    return false;
  }
  const bool ended = endWithin(poll, thread);
  const std::lock_guard lock(mutex);
  if (!ended && active == poll) active.reset();
  return ended;
}

void SourcePoller::Impl::wake() {
  std::stop_source waiting;
  {
    const std::lock_guard lock(mutex);
    waiting = wakeUp;
  }
  waiting.request_stop();
}

SourcePoller::SourcePoller(IngestSourceConfig config, Gateway& gateway, SourcePollerOptions options)
    : impl_(std::make_shared<Impl>(std::move(config), gateway, std::move(options))) {}

SourcePoller::~SourcePoller() { impl_->stopAll(); }

PollReport SourcePoller::pollOnce() { return impl_->pollInSlot({}); }

PollReport SourcePoller::pollOnce(std::stop_token stop) { return impl_->pollInSlot(std::move(stop)); }

void SourcePoller::start() {
  const std::lock_guard lock(impl_->mutex);
  impl_->open = true;
  if (impl_->loop) return;
  impl_->wakeUp = std::stop_source();
  auto loop = std::make_shared<Impl::Loop>();
  // The thread owns what it uses: it may be left behind.
  loop->thread = std::thread([impl = impl_, loop] { impl->run(*loop); });
  impl_->loop = std::move(loop);
}

bool SourcePoller::stop() { return impl_->stopAll(); }

void SourcePoller::pause() { impl_->paused.store(true); }

void SourcePoller::resume() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->paused.store(false);
  }
  impl_->changed.notify_all();
}

bool SourcePoller::running() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->loop != nullptr;
}

void SourcePoller::wake() { impl_->wake(); }

std::optional<PollReport> SourcePoller::lastReport() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->last;
}

}  // namespace tidegate
