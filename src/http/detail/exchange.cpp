#include "http/detail/exchange.h"

namespace tidegate::http {
namespace detail {

bool ReadyQueue::add(std::shared_ptr<Exchange> exchange) {
  const std::lock_guard lock(mutex_);
  if (closed_) return false;
  ready_.push_back(std::move(exchange));
  // Under the lock, so that `close` cannot come between: after it the loop may be gone.
  if (ready_.size() == 1) wake();
  return true;
}

void ReadyQueue::take(std::vector<std::shared_ptr<Exchange>>& into) {
  into.clear();
  const std::lock_guard lock(mutex_);
  into.swap(ready_);
}

void ReadyQueue::close() {
  std::vector<std::shared_ptr<Exchange>> dropped;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    dropped.swap(ready_);
  }
  for (const auto& exchange : dropped) exchange->lose();
}

}  // namespace detail

void Exchange::schedule() {
  if (std::exchange(scheduled_, true)) return;
  lost_ = !queue_->add(shared_from_this());
}

/// The loop has ended: what is left here would be kept, and whatever it owns, for as long as somebody holds this.
void Exchange::lose() {
  Work dropped;
  const std::lock_guard lock(mutex_);
  lost_ = true;
  dropped = std::exchange(work_, Work{});
}

bool Exchange::send(Response&& response) {
  const std::lock_guard lock(mutex_);
  if (phase_ != Phase::waiting) return false;
  phase_ = Phase::answered;
  work_.response = std::move(response);
  schedule();
  return true;
}

void Exchange::beginStream(int status, Headers&& headers) {
  const std::lock_guard lock(mutex_);
  if (phase_ != Phase::waiting) return;
  phase_ = Phase::streaming;
  work_.response = Response{.status = status, .headers = std::move(headers)};
  work_.streamBegins = true;
  schedule();
}

void Exchange::upgrade(Headers&& headers, std::shared_ptr<detail::Upgraded> reader) {
  const std::lock_guard lock(mutex_);
  if (phase_ != Phase::waiting) return;
  phase_ = Phase::streaming;
  work_.response = Response{.status = 101, .headers = std::move(headers)};
  work_.upgraded = std::move(reader);
  schedule();
}

std::size_t Exchange::write(std::string&& octets) {
  const std::lock_guard lock(mutex_);
  if (phase_ != Phase::streaming || finishing_) return BodyStream::kGone;
  if (!octets.empty()) {
    queued_ += octets.size();
    work_.pieces.push_back(std::move(octets));
    schedule();
  }
  return queued_ + held_.load(std::memory_order_relaxed);
}

std::size_t Exchange::pending() const {
  const std::lock_guard lock(mutex_);
  if (over()) return BodyStream::kGone;
  return queued_ + held_.load(std::memory_order_relaxed);
}

void Exchange::end() {
  const std::lock_guard lock(mutex_);
  if (phase_ != Phase::streaming || finishing_) return;
  finishing_ = true;
  work_.ended = true;
  schedule();
}

void Exchange::abort() {
  const std::lock_guard lock(mutex_);
  if (over()) return;
  work_.aborted = finishing_ = true;
  schedule();
}

void Exchange::onDrained(Callback then) {
  const std::lock_guard lock(mutex_);
  if (!over()) std::swap(onDrained_, then);
}

void Exchange::onGone(Callback then) {
  const std::lock_guard lock(mutex_);
  if (phase_ == Phase::gone) {
    if (!lost_) schedule();
    if (!lost_) std::swap(work_.gone, then);
  } else if (phase_ != Phase::ended) {
    std::swap(onGone_, then);
  }
}

void Exchange::after(std::chrono::milliseconds delay, Callback then) {
  const std::lock_guard lock(mutex_);
  if (over()) return;
  work_.timers.emplace_back(std::chrono::steady_clock::now() + delay, std::move(then));
  schedule();
}

void Exchange::post(Callback then) {
  const std::lock_guard lock(mutex_);
  if (over()) return;
  work_.posted.push_back(std::move(then));
  schedule();
}

void Exchange::abandon() {
  const std::lock_guard lock(mutex_);
  if (phase_ != Phase::waiting) return;
  abandoned_ = true;
  schedule();
}

Exchange::Work Exchange::take() {
  const std::lock_guard lock(mutex_);
  scheduled_ = false;
  queued_ = 0;
  if (abandoned_ && phase_ == Phase::waiting) {
    phase_ = Phase::answered;
    work_.response = problem(500, "the request was given up");
  }
  return std::exchange(work_, Work{});
}

void Exchange::hold() {
  const std::lock_guard lock(mutex_);
  scheduled_ = true;
}

bool Exchange::streaming() const {
  const std::lock_guard lock(mutex_);
  return phase_ == Phase::streaming;
}

bool Exchange::watched() const {
  const std::lock_guard lock(mutex_);
  return phase_ == Phase::streaming || (phase_ == Phase::waiting && onGone_ != nullptr);
}

Exchange::Callback Exchange::drained() const {
  const std::lock_guard lock(mutex_);
  return phase_ == Phase::streaming && queued_ == 0 && !finishing_ ? onDrained_ : nullptr;
}

/// What callers gave is destroyed by the caller of this, outside the lock: it may own anything.
void Exchange::close(Phase phase, Callback& gone) {
  Work dropped;
  Callback drained;
  const std::lock_guard lock(mutex_);
  if (over()) return;
  phase_ = phase;
  connection_ = nullptr;
  queued_ = 0;
  held_ = 0;
  dropped = std::exchange(work_, Work{});
  drained.swap(onDrained_);
  gone.swap(onGone_);
}

void Exchange::finish() {
  Callback dropped;
  close(Phase::ended, dropped);
}

Exchange::Callback Exchange::leave() {
  Callback gone;
  close(Phase::gone, gone);
  return gone;
}

Responder::Responder(std::shared_ptr<Exchange> exchange) noexcept : exchange_(std::move(exchange)) {}
Responder::Responder(Responder&&) noexcept = default;

Responder& Responder::operator=(Responder&& other) noexcept {
  if (exchange_ && exchange_ != other.exchange_) exchange_->abandon();
  exchange_ = std::move(other.exchange_);
  return *this;
}

Responder::~Responder() {
  if (exchange_) exchange_->abandon();
}

void Responder::send(Response response) {
  if (exchange_) exchange_->send(std::move(response));
}

BodyStream Responder::stream(int status, Headers headers) {
  if (exchange_) exchange_->beginStream(status, std::move(headers));
  return BodyStream(exchange_);
}

void Responder::after(std::chrono::milliseconds delay, std::function<void()> then) {
  if (exchange_) exchange_->after(delay, std::move(then));
}

void Responder::onGone(std::function<void()> then) {
  if (exchange_) exchange_->onGone(std::move(then));
}

void Responder::post(std::function<void()> then) {
  if (exchange_) exchange_->post(std::move(then));
}

std::size_t BodyStream::write(std::string octets) const {
  return exchange_ ? exchange_->write(std::move(octets)) : kGone;
}

std::size_t BodyStream::pending() const { return exchange_ ? exchange_->pending() : kGone; }

void BodyStream::end() const {
  if (exchange_) exchange_->end();
}

void BodyStream::abort() const {
  if (exchange_) exchange_->abort();
}

void BodyStream::onDrained(std::function<void()> then) const {
  if (exchange_) exchange_->onDrained(std::move(then));
}

void BodyStream::after(std::chrono::milliseconds delay, std::function<void()> then) const {
  if (exchange_) exchange_->after(delay, std::move(then));
}

void BodyStream::onGone(std::function<void()> then) const {
  if (exchange_) exchange_->onGone(std::move(then));
}

void BodyStream::post(std::function<void()> then) const {
  if (exchange_) exchange_->post(std::move(then));
}

}  // namespace tidegate::http
