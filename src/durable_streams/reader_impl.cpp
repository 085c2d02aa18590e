#include "durable_streams/detail/reader_impl.h"

#include <algorithm>

#include "durable_streams/detail/client_session.h"

namespace tidegate::durable_streams::detail {
namespace {

using std::chrono::milliseconds;

/// An event stream that ends sooner and brought nothing is not worth making again at once.
constexpr Clock::Micros kShortLife = std::chrono::seconds(1);
/// How many of those in a row make Live::automatic change to long polls.
constexpr unsigned kShortLives = 3;
/// A long poll that is answered sooner, without anything, did not wait.
constexpr Clock::Micros kNoWait = milliseconds(100);
constexpr std::size_t kRefusalBytes = 4096;

}  // namespace

ReaderImpl::ReaderImpl(std::shared_ptr<const DurableStreamClientOptions> client, std::string url, ReadOptions options)
    : options_(std::move(client)),
      clock_(clockOf(options_->http)),
      session_(std::move(options), std::move(url)),
      plan_(options_->retry, clock_, options_->http.jitterSeed),
      parser_([this](const http::SseEvent& event) { session_.event(event); }, session_.options().maxChunkBytes * 2),
      client_(withoutRetries(options_->http)) {
  place_.offset = session_.options().offset;
}

std::optional<Chunk> ReaderImpl::next(milliseconds timeout, const std::stop_token& stop) {
  const auto left = [this, until = clock_.steadyNow() + std::min<milliseconds>(timeout, std::chrono::hours(24 * 365))] {
    return std::max(until - clock_.steadyNow(), Clock::Micros(0));
  };
  for (bool tried = false;; tried = true) {
    if (auto chunk = session_.take()) return told(*std::move(chunk));
    if (failure_) throwFailure();
    if (session_.ended()) {
      place_.notModified = session_.notModified();
      return std::nullopt;
    }
    if (stop.stop_requested() || (tried && left().count() == 0)) return std::nullopt;
    const auto pause = running_ ? Clock::Micros(0) : notBefore_ - clock_.steadyNow();
    if (pause.count() > 0) {
      if (left().count() == 0) return std::nullopt;
      schedulerOf(options_->http).waitFor(std::min(pause, left()), stop);
      continue;
    }
    if (!running_) begin();
    client_.run(std::chrono::ceil<milliseconds>(left()), stop);
  }
}

Chunk ReaderImpl::told(Chunk chunk) {
  place_.offset = chunk.nextOffset;
  place_.upToDate = chunk.upToDate;
  place_.closed = chunk.closed;
  place_.contentType = session_.contentType();
  place_.etag = session_.etag();
  stats_.bytes += chunk.data.size();
  return chunk;
}

void ReaderImpl::throwFailure() {
  const StreamError failure = *std::exchange(failure_, std::nullopt);
  failures_ = 0;
  notBefore_ = Clock::Micros(0);
  throw failure;
}

void ReaderImpl::begin() {
  const ReadOptions& own = session_.options();
  http::ClientRequest request =
      makeRequest(session_.want(), {&options_->headers, &own.headers}, {&options_->params, &own.params});
  if (session_.mode() == ReadSession::Mode::catchUp) request.timeout = options_->timeout;
  client_.start(std::move(request), session_.mode() == ReadSession::Mode::events ? eventStream() : wholeAnswer());
  running_ = true;
  begun_ = clock_.steadyNow();
  ++stats_.requests;
}

/// What goes wrong inside a callback is kept for `next`. @return whether to go on.
template <class Call>
bool ReaderImpl::guarded(Call&& call) {
  try {
    call();
  } catch (const StreamError& e) {
    failure_ = e;
  } catch (const Error& e) {
    failure_ = badAnswer(session_.asked(), e.message());
  }
  return !failure_ && !session_.ended();
}

http::Callbacks ReaderImpl::wholeAnswer() {
  return {.onDone = [this](const http::Outcome& outcome) {
    running_ = false;
    if (!outcome.error) {
      guarded([&] { answered(outcome.response); });
    } else {
      brokeOff(unreachable(session_.asked(), *outcome.error), nullptr);
    }
    client_.wake();
  }};
}

void ReaderImpl::answered(http::Response response) {
  stats_.lastStatus = response.status;
  if (plan_.isTransient(response.status)) {
    brokeOff(refusal(session_.asked(), response), &response);
    return;
  }
  const bool live = session_.mode() == ReadSession::Mode::longPoll;
  session_.answer(std::move(response));
  failures_ = 0;
  if (live) paceEmptyAnswers();
}

/// A server that does not wait is not asked without pause.
void ReaderImpl::paceEmptyAnswers() {
  const bool atOnce = !session_.broughtNews() && clock_.steadyNow() - begun_ < kNoWait;
  emptyAnswers_ = atOnce ? emptyAnswers_ + 1 : 0;
  if (emptyAnswers_ > kShortLives) {
    notBefore_ = clock_.steadyNow() + plan_.pause(std::min(emptyAnswers_ - kShortLives, 8u), nullptr);
  }
}

http::Callbacks ReaderImpl::eventStream() {
  return {.onHead =
              [this](const http::Response& head) {
                head_ = {.status = head.status, .headers = head.headers};
                stats_.lastStatus = head.status;
                parser_.reset();
                if (head.status != 200) return true;
                return guarded([&] { session_.beginEvents(head); });
              },
          .onData =
              [this](std::string_view piece) {
                if (head_.status != 200) {
                  head_.body.append(piece.substr(0, kRefusalBytes - std::min(head_.body.size(), kRefusalBytes)));
                  return true;
                }
                const bool more = guarded([&] { parser_.feed(piece); });
                if (session_.hasChunk()) client_.wake();
                return more;
              },
          .onDone =
              [this](const http::Outcome& outcome) {
                running_ = false;
                if (!failure_ && !session_.ended()) eventsEnded(outcome);
                client_.wake();
              }};
}

void ReaderImpl::eventsEnded(const http::Outcome& outcome) {
  session_.endEvents();
  const bool refused = !outcome.error && head_.status != 200;
  if (refused) {
    const StreamError why = refusal(session_.asked(), head_);
    if (plan_.isTransient(head_.status)) {
      brokeOff(why, &head_);
    } else {
      failure_ = why;
    }
    return;
  }
  ++stats_.reconnects;
  if (session_.broughtNews() || (!outcome.error && clock_.steadyNow() - begun_ >= kShortLife)) {
    failures_ = 0;
    return;
  }
  brokeOff(outcome.error ? unreachable(session_.asked(), *outcome.error)
                         : badAnswer(session_.asked(), "the event stream ended at once, with nothing in it"),
           nullptr);
  if (session_.options().live == Live::automatic && failures_ >= kShortLives) session_.leaveEvents();
}

/// Asks again later, or gives up.
void ReaderImpl::brokeOff(const StreamError& why, const http::Response* answer) {
  ++failures_;
  if (failures_ > plan_.maxRetries() || why.retry() != Retry::later) {
    failure_ = afterAttempts(why, failures_);
    return;
  }
  ++stats_.retries;
  notBefore_ = clock_.steadyNow() + plan_.pause(failures_, answer);
}

}  // namespace tidegate::durable_streams::detail

namespace tidegate::durable_streams {

Reader::Reader(std::unique_ptr<detail::ReaderImpl> impl) noexcept : impl_(std::move(impl)) {}
Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&&) noexcept = default;
Reader::~Reader() = default;

std::optional<Chunk> Reader::next(std::chrono::milliseconds timeout, std::stop_token stop) {
  return impl_->next(timeout, stop);
}
bool Reader::ended() const noexcept { return impl_->ended(); }
const ReadEnd& Reader::place() const noexcept { return impl_->place(); }
ReaderStats Reader::stats() const noexcept { return impl_->stats(); }

}  // namespace tidegate::durable_streams
