#include "durable_streams/detail/producer_impl.h"

#include <algorithm>

namespace tidegate::durable_streams {
namespace detail {
namespace {

using std::chrono::milliseconds;

/// Messages taken between two looks for answers; a look costs more than a message.
constexpr unsigned kAnswersEvery = 32;
constexpr milliseconds kLongWait = std::chrono::minutes(1);

[[noreturn]] void refuseEnded(const std::string& url, std::string_view how) {
  throw Error(ErrorCode::stopped, Retry::never,
              "the producer of " + redactSecrets(url) + " was " + std::string(how) + "; make another one");
}

/// Flushing lasts no longer than the call that asked for it.
class Flushing {
 public:
  explicit Flushing(ProducerCore& core) : core_(core) { core_.setFlushing(true); }
  ~Flushing() { core_.setFlushing(false); }
  Flushing(const Flushing&) = delete;
  Flushing& operator=(const Flushing&) = delete;

 private:
  ProducerCore& core_;
};

}  // namespace

ProducerImpl::ProducerImpl(const DurableStreamClientOptions& client, std::string url, ProducerOptions options)
    : url_(std::move(url)),
      contentType_(options.contentType),
      session_(client),
      clock_(clockOf(client.http)),
      core_(std::move(options), session_.plan(), withoutQuery(url_), clock_.wallNow()) {
  core_.setJson(isJsonType(contentType_));
}

void ProducerImpl::learnType(const std::stop_token& stop) {
  if (!contentType_.empty()) return;
  contentType_ = session_.askContentType(url_, nullptr, stop);
  core_.setJson(isJsonType(contentType_));
}

void ProducerImpl::check(std::string_view message, const std::stop_token& stop) {
  if (message.empty()) throw Error(ErrorCode::invalidArgument, Retry::never, "an empty message appends nothing");
  learnType(stop);
  if (isJsonType(contentType_)) session_.checkJson(message);
}

std::optional<std::uint64_t> ProducerImpl::tryAppend(std::string_view message) {
  if (phase_ == Phase::detached) refuseEnded(url_, "detached");
  if (phase_ != Phase::open) refuseEnded(url_, "closed");
  check(message, {});
  throwFailure();
  if (!core_.hasRoomFor(message.size()) || ++sinceAnswers_ >= kAnswersEvery) {
    sinceAnswers_ = 0;
    poll(milliseconds(0), {});
  }
  if (!core_.hasRoomFor(message.size())) return std::nullopt;
  const std::uint64_t number = core_.add(message, clock_.steadyNow());
  sendDue();
  return number;
}

std::uint64_t ProducerImpl::append(std::string_view message, const std::stop_token& stop) {
  if (phase_ == Phase::open) learnType(stop);
  while (true) {
    if (const auto number = tryAppend(message)) return *number;
    if (stop.stop_requested()) {
      throw Error(ErrorCode::queryCancelled, Retry::later,
                  "append to " + redactSecrets(url_) + " was stopped while the queue was full; it was not taken");
    }
    const Flushing flushing(core_);
    poll(kLongWait, stop);
  }
}

void ProducerImpl::poll(milliseconds wait, const std::stop_token& stop) {
  const auto until = clock_.steadyNow() + std::min<milliseconds>(wait, std::chrono::hours(24 * 365));
  const std::uint64_t before = core_.stats().batches;
  while (true) {
    const auto left = std::chrono::ceil<milliseconds>(until - clock_.steadyNow());
    step(std::max(left, milliseconds(0)), stop);
    throwFailure();
    if (core_.stats().batches > before || left.count() <= 0 || stop.stop_requested()) return;
    if (core_.idle()) return;
  }
}

/// Sends what is due, then waits for an answer or for the next thing that becomes due.
void ProducerImpl::step(milliseconds wait, const std::stop_token& stop) {
  const std::uint64_t before = core_.stats().batches;
  sendDue();
  if (core_.stats().batches > before) wait = milliseconds(0);  // that was quick
  const auto wake = core_.wakeAt();
  if (wake) {
    const auto pause = std::max(*wake - clock_.steadyNow(), Clock::Micros(0));
    wait = std::min(wait, std::chrono::ceil<milliseconds>(pause));
  }
  if (core_.inFlight() > 0) {
    session_.http().run(wait, stop);
  } else if (wake && wait.count() > 0) {
    schedulerOf(session_.options()->http).waitFor(wait, stop);
  }
  sendDue();
  tellReceipts();
}

void ProducerImpl::sendDue() {
  const auto now = clock_.steadyNow();
  bool any = false;
  while (auto due = core_.nextSend(now)) {
    send(*std::move(due));
    any = true;
  }
  if (any) session_.http().run(milliseconds(0));
}

void ProducerImpl::send(ProducerSend what) {
  const auto& options = *session_.options();
  // Not `repeatable` for the HTTP client: what it would send twice by itself looked like another's duplicate.
  Ask ask{.method = "POST",
          .url = url_,
          .headers = {{std::string(wire::kProducerId), core_.options().id},
                      {std::string(wire::kProducerEpoch), std::to_string(what.epoch)},
                      {std::string(wire::kProducerSeq), std::to_string(what.seq)}},
          .body = std::move(what.body),
          .timeout = options.timeout};
  if (!ask.body.empty()) ask.headers.set("content-type", contentType_);
  if (what.closes) ask.headers.set(wire::kClosed, "true");
  const std::uint64_t batch = what.batch;
  http::ClientRequest request;
  try {
    request = makeRequest(ask, {&options.headers}, {&options.params});
  } catch (...) {  // a header that could not be computed: nothing was sent
    core_.failed(batch, Error(ErrorCode::connectionFailed, Retry::later, "a header could not be computed"),
                 clock_.steadyNow());
    throw;
  }
  session_.http().start(std::move(request), {.onDone = [this, batch](const http::Outcome& outcome) {
                          if (outcome.error) {
                            core_.failed(batch, *outcome.error, clock_.steadyNow());
                          } else {
                            core_.answered(batch, outcome.response, clock_.steadyNow());
                          }
                        }});
}

void ProducerImpl::tellReceipts() {
  for (const Receipt& receipt : core_.takeReceipts()) {
    last_ = receipt;
    if (core_.options().onReceipt) core_.options().onReceipt(receipt);
  }
}

void ProducerImpl::throwFailure() {
  if (core_.inFlight() == 0) {
    if (const auto failure = core_.finalFailure()) throw StreamError(*failure);
  }
  if (core_.finalFailure()) return;
  if (const auto failure = core_.takeFailure()) throw StreamError(*failure);
}

void ProducerImpl::drain(const std::stop_token& stop) {
  const Flushing flushing(core_);
  throwFailure();
  while (!core_.idle()) {
    if (stop.stop_requested()) {
      throw Error(ErrorCode::queryCancelled, Retry::later,
                  "flushing to " + redactSecrets(url_) + " was stopped; what is not acknowledged stays queued");
    }
    step(kLongWait, stop);
    throwFailure();
  }
}

void ProducerImpl::flush(const std::stop_token& stop) {
  if (phase_ == Phase::detached || phase_ == Phase::closed) return;
  drain(stop);
}

Receipt ProducerImpl::close(std::optional<std::string_view> last, const std::stop_token& stop) {
  if (phase_ == Phase::detached) refuseEnded(url_, "detached");
  if (phase_ == Phase::closed) return last_;
  if (phase_ == Phase::open) {
    if (last) check(*last, stop);
    drain(stop);
    core_.addClose(last);
    phase_ = Phase::closing;
  }
  drain(stop);
  phase_ = Phase::closed;
  return last_;
}

void ProducerImpl::detach(const std::stop_token& stop) {
  if (phase_ == Phase::detached || phase_ == Phase::closed) return;
  drain(stop);
  phase_ = Phase::detached;
}

}  // namespace detail

Producer::Producer(std::unique_ptr<detail::ProducerImpl> impl) noexcept : impl_(std::move(impl)) {}
Producer::Producer(Producer&&) noexcept = default;
Producer& Producer::operator=(Producer&&) noexcept = default;
Producer::~Producer() = default;

std::uint64_t Producer::append(std::string_view message, std::stop_token stop) { return impl_->append(message, stop); }
std::optional<std::uint64_t> Producer::tryAppend(std::string_view message) { return impl_->tryAppend(message); }
void Producer::poll(std::chrono::milliseconds wait, std::stop_token stop) { impl_->poll(wait, stop); }
void Producer::flush(std::stop_token stop) { impl_->flush(stop); }
Receipt Producer::close(std::optional<std::string_view> last, std::stop_token stop) { return impl_->close(last, stop); }
void Producer::detach(std::stop_token stop) { impl_->detach(stop); }
std::uint64_t Producer::acknowledged() const noexcept { return impl_->core().stats().acknowledged; }
std::vector<std::string> Producer::unacknowledged() const { return impl_->core().unacknowledged(); }
std::uint64_t Producer::epoch() const noexcept { return impl_->core().epoch(); }
ProducerStats Producer::stats() const noexcept { return impl_->core().stats(); }

}  // namespace tidegate::durable_streams
