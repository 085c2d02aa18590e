#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <utility>

#include "gateway/detail/gateway_parts.h"
#include "tidegate/core/error.h"

namespace tidegate {

struct Subscription::Impl final : detail::CommitListener {
  Impl(std::shared_ptr<detail::GatewayCore> heart, SubscribeOptions settings, Claims claimed)
      : core(std::move(heart)), options(std::move(settings)), claims(std::move(claimed)) {}

  void onCommit() noexcept override {
    {
      const std::lock_guard lock(mutex);
      if (std::exchange(news, true)) return;  // the reader was told and has not looked yet
    }
    wake.notify_all();
    if (options.onReady) options.onReady();
  }
  void onGatewayClosed() noexcept override { end(); }

  void end() noexcept {
    {
      const std::lock_guard lock(mutex);
      closed = true;
    }
    wake.notify_all();
  }

  std::optional<SubscriptionEvent> next(std::chrono::milliseconds timeout);
  std::optional<SubscriptionEvent> look();
  bool readMail(detail::Mail mail, const detail::CompiledView& compiled, std::vector<RowDelta>& deltas);
  bool fellBehind() const;
  std::optional<SubscriptionEvent> resync();

  const std::shared_ptr<detail::GatewayCore> core;
  const SubscribeOptions options;
  const Claims claims;
  std::string view;            ///< fingerprint it subscribed with; the reader's
  std::uint64_t position = 0;  ///< the reader's
  bool ended = false;          ///< the reader was told to resync
  bool behindAtStart = false;  ///< what it asked for is not served: told at the first `next`

  std::mutex mutex;
  std::condition_variable wake;
  bool news = false;    ///< guarded by mutex
  bool closed = false;  ///< guarded by mutex
};

std::optional<SubscriptionEvent> Subscription::Impl::resync() {
  ended = true;
  core->removeListener(this);
  core->counters.resyncs.fetch_add(1, std::memory_order_relaxed);
  SubscriptionEvent event;
  event.serverHlc = Hlc{position};
  event.mustResync = true;
  return event;
}

bool Subscription::Impl::fellBehind() const {
  const std::shared_lock lock(core->mutex);
  const detail::LogSlice ahead = core->state.log.slice(position, 1);
  return !ahead.empty() && core->state.log.end() - ahead.ordinal > options.maxQueuedEntries;
}

std::optional<SubscriptionEvent> Subscription::Impl::look() {
  const detail::CompiledView compiled = core->viewOf(claims);
  if (behindAtStart || compiled.view.fingerprint() != view) return resync();
  const std::uint64_t before = position;
  core->fileView(this, compiled);
  detail::Mail mail = core->takeMail(this);
  std::erase_if(mail.stamps, [this](std::uint64_t stamp) { return stamp <= position; });
  // What was passed over is for others.
  if (mail.scan) {
    position = std::max(position, mail.from);
  } else {
    position = std::max(position, mail.stamps.empty() ? mail.coveredTo : mail.stamps.front() - 1);
  }
  if (fellBehind() || core->resyncReason(position, compiled.view)) return resync();
  SubscriptionEvent event;
  try {
    if (!readMail(std::move(mail), compiled, event.deltas)) return resync();
  } catch (...) {
    core->giveBackMail(this, {}, true);  // it was taken: without it there would be a gap
    throw;
  }
  if (event.deltas.empty() && position == before) return std::nullopt;
  event.serverHlc = Hlc{position};
  return event;
}

/// @return false where the log no longer holds what it would read.
bool Subscription::Impl::readMail(detail::Mail mail, const detail::CompiledView& compiled,
                                  std::vector<RowDelta>& deltas) {
  if (mail.scan) {
    const detail::LogReading reading = core->read(position, compiled, options.maxBatch, deltas);
    if (reading.resync) return false;
    position = reading.position;
    if (reading.more) core->giveBackMail(this, {}, true);
    return true;
  }
  if (mail.stamps.empty()) return true;
  const detail::LogReading reading = core->readStamps(mail.stamps, compiled, options.maxBatch, deltas);
  if (reading.resync) return false;
  position = std::max(position, mail.stamps.empty() ? std::max(reading.position, mail.coveredTo) : reading.position);
  if (!mail.stamps.empty()) core->giveBackMail(this, std::move(mail.stamps), false);
  return true;
}

std::optional<SubscriptionEvent> Subscription::Impl::next(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    {
      const std::lock_guard lock(mutex);
      news = false;
      if (closed || ended) {
        SubscriptionEvent event;
        event.serverHlc = Hlc{position};
        event.closed = true;
        return event;
      }
    }
    if (auto event = look()) return event;
    std::unique_lock lock(mutex);
    // A wait whose time is over would still cost a switch of threads.
    const auto told = [&] { return news || closed; };
    if (timeout.count() <= 0 ? !told() : !wake.wait_until(lock, deadline, told)) return std::nullopt;
  }
}

Subscription::Subscription(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Subscription::Subscription(Subscription&&) noexcept = default;

Subscription& Subscription::operator=(Subscription&& other) noexcept {
  if (this == &other) return *this;
  close();
  impl_ = std::move(other.impl_);
  return *this;
}

Subscription::~Subscription() { close(); }

std::optional<SubscriptionEvent> Subscription::next(std::chrono::milliseconds timeout) { return impl_->next(timeout); }

void Subscription::close() noexcept {
  if (!impl_) return;
  impl_->core->removeListener(impl_.get());
  impl_->end();
}

namespace detail {

Subscription openSubscription(std::shared_ptr<GatewayCore> core, SubscribeOptions options, const Claims& claims) {
  checkClientId(*core, options.clientId);
  if (options.maxBatch == 0 || options.maxBatch > core->options.limits.maxPullDeltas) {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                fmt::format("maxBatch {} is outside 1 to {}", options.maxBatch, core->options.limits.maxPullDeltas));
  }
  const std::uint64_t since = options.sinceHlc.raw;
  core->catchUpBeyond(since);
  auto impl = std::make_shared<Subscription::Impl>(core, std::move(options), claims);
  core->addListener(impl);  // before the head is read: a commit in between is news
  impl->position = since != 0 ? since : core->head();
  const CompiledView view = core->viewOf(claims);
  impl->view = view.view.fingerprint();
  impl->behindAtStart = admitReader(*core, impl->options.clientId, impl->position, view.view, since == 0).has_value();
  return Subscription(std::move(impl));
}

}  // namespace detail
}  // namespace tidegate
