#include "electric/detail/source_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "electric/detail/source_refusal.h"

namespace tidegate::electric::reading {
namespace {

using std::chrono::milliseconds;

/// Logs that end one after the other without having been read are an outage, not a rotation.
constexpr unsigned kMostRotations = 3;
constexpr unsigned kMostStales = 3;
/// Event streams that end at once, without an event: something between does not let them through.
constexpr unsigned kMostShortStreams = 3;
constexpr milliseconds kShortStream{1'000};
/// An answer to a request that waits should have waited.
constexpr milliseconds kQuickAnswer{200};
constexpr unsigned kQuickAnswers = 5;
constexpr milliseconds kMostRetryAfter{300'000};

/// Seconds; nullopt for a date, which servers of shapes do not send.
std::optional<milliseconds> retryAfter(const http::Headers& headers) {
  const std::string_view text = headers.get("retry-after");
  std::uint32_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return std::min(kMostRetryAfter, milliseconds(std::uint64_t{seconds} * 1'000));
}

}  // namespace

ShapeReader::ShapeReader(Parts parts) : parts_(std::move(parts)), backoff_(parts_.options.backoff, parts_.seed) {}

Error ShapeReader::named(ErrorCode code, Retry retry, const std::string& what) const {
  return Error(code, retry, fmt::format("shape \"{}\": {}", name(), what));
}

void ShapeReader::start(const ShapePlace& from, Shape told, bool mayRefetch) {
  told_ = std::move(told);
  parts_.epochs.saw(from);
  if (!from.known()) return;
  mayRefetch_ = mayRefetch;
  handle_ = from.handle;
  epoch_ = from.epoch;
  received_ = from.at;
  baseline_ = from.inBaseline();
  if (baseline_) {
    if (!mayRefetch) return loseLog();
    // The rows of the piece that was being told come again. One whose first piece was not told to its end is begun
    // anew: not every server gives the same first piece twice.
    reading_ = parts_.epochs.next();
    begun_ = !from.at.isStart();
    return;
  }
  skip_ = from.index;
  skipMark_ = from.mark;
}

ReadRequest ShapeReader::makeRequest(RequestKind kind, Clock::Micros now) {
  ReadRequest request{.kind = kind,
                      .era = era_,
                      .from = received_,
                      .handle = handle_.empty() ? hint_ : handle_,
                      .expired = expired_,
                      .lsnAtStart = parts_.newestLsn,
                      .startedAt = now};
  if (request.waits()) request.cursor = cursor_;
  if (bypassCache_ || kind == RequestKind::probe) request.cacheKey = parts_.epochs.next();
  return request;
}

std::optional<ReadRequest> ShapeReader::nextRequest(Clock::Micros now) {
  if (running_ || fatal_ || now < notBefore_ || full()) return std::nullopt;
  if (live_ && stopAtLive_) return std::nullopt;
  running_ = true;
  if (!live_) return makeRequest(RequestKind::page, now);
  const bool events = parts_.options.live == LiveMode::events && !pollsOnly_;
  ReadRequest request = makeRequest(events ? RequestKind::events : RequestKind::poll, now);
  eventsAt_ = request.from;
  eventsNews_ = false;
  return request;
}

ReadRequest ShapeReader::probe(Clock::Micros now) {
  probing_ = true;
  ++probes_;
  return makeRequest(RequestKind::probe, now);
}

bool ShapeReader::canProbe(Clock::Micros now) const noexcept {
  return live_ && placesTold_ && !probing_ && !fatal_ && !stopAtLive_ && now >= probeNotBefore_;
}

std::optional<Clock::Micros> ShapeReader::due() const {
  if (running_ || fatal_ || full() || (live_ && stopAtLive_)) return std::nullopt;
  return notBefore_;
}

void ShapeReader::ended(const ReadRequest& request) noexcept {
  if (!isCurrent(request)) return;
  (request.kind == RequestKind::probe ? probing_ : running_) = false;
}

bool ShapeReader::mayBring(std::int64_t lsn) const noexcept {
  if (baseline_ || failing_ || fatal_ || excused_ || !placesTold_) return false;
  if (!items_.empty()) {
    const ReadItem& newest = items_.back();
    if (newest.lsn > lsn || (newest.lsn == lsn && newest.last)) return false;
  }
  return seen_ < lsn;
}

bool ShapeReader::hasPartOf(std::int64_t lsn) const noexcept {
  if (baseline_ || items_.empty()) return false;
  const ReadItem& newest = items_.back();
  return newest.lsn == lsn && !newest.last && seen_ < lsn;
}

void ShapeReader::popped(const ReadItem& item) noexcept { bytes_ -= std::min(bytes_, item.bytes()); }

void ShapeReader::succeeded() {
  failing_.reset();
  excused_ = false;
  backoff_.reset();
}

/// A server, or a cache before it, that does not let requests wait must not be asked without a pause.
void ShapeReader::calm(const ReadRequest& request, bool news) {
  const Clock::Micros now = parts_.clock.steadyNow();
  if (request.kind == RequestKind::probe) {
    if (seen_ >= request.lsnAtStart) probes_ = 0;
    probeNotBefore_ = now + milliseconds(probes_ == 0 ? 0 : 5 << std::min(probes_, 6u));
    return;
  }
  if (!request.waits() || news || now - request.startedAt > kQuickAnswer) {
    quickAnswers_ = 0;
    return;
  }
  if (++quickAnswers_ > kQuickAnswers) {
    notBefore_ = now + milliseconds(50 << std::min(quickAnswers_ - kQuickAnswers, 7u));
  }
}

void ShapeReader::fail(Error error, milliseconds atLeast) {
  if (error.retry() == Retry::never || error.retry() == Retry::afterOperator) {
    fatal_ = std::move(error);
    return;
  }
  const auto wait = backoff_.next();
  if (!wait) {
    fatal_ = Error(error.code(), error.retry(),
                   fmt::format("{} (gave up after {} tries in a row)", error.message(), backoff_.failures() + 1));
    return;
  }
  notBefore_ = parts_.clock.steadyNow() + std::max<milliseconds>(*wait, atLeast);
  // Where to go on is asked anew: what was up to date when the connection broke is not any more.
  live_ = false;
  failing_ = std::move(error);
}

/// Others may have been told of what followed, and would take a second telling of it in part.
void ShapeReader::loseLog() {
  fatal_ = named(ErrorCode::positionLost, Retry::afterOperator,
                 fmt::format("the place {} of the log \"{}\" is one from which it cannot be read on; a new baseline is "
                             "needed",
                             toText(received_), handle_));
}

void ShapeReader::rotate(const std::string& next) {
  if (!mayRefetch_) return loseLog();
  if (!handle_.empty()) expired_ = handle_;
  hint_ = next == expired_ ? std::string() : next;
  handle_.clear();
  ++era_;
  running_ = probing_ = false;
  // What was received of the log and not told says less than the table itself, which is read now. Only a transaction
  // that was told in part is told to its end.
  while (!items_.empty() && (items_.back().lsn != parts_.openLsn || parts_.openLsn < 0)) {
    popped(items_.back());
    items_.pop_back();
  }
  received_ = {};
  cursor_.clear();
  seen_ = -1;
  skip_ = skipped_ = 0;
  begun_ = live_ = false;
  baseline_ = bypassCache_ = placesTold_ = true;
  if (++rotations_ > kMostRotations) {
    fail(named(ErrorCode::queryFailed, Retry::later,
               fmt::format("the server ended its log {} times in a row before it was read", rotations_)));
    return;
  }
  parts_.warn(fmt::format("shape \"{}\": the server ended its log {}; the table is read anew", name(),
                          expired_.empty() ? "that was asked for" : "\"" + expired_ + "\""));
}

/// A cache answered with a log that has ended: ask past it.
void ShapeReader::stale() {
  bypassCache_ = true;
  if (++stales_ <= kMostStales) return;
  fail(named(ErrorCode::queryFailed, Retry::later,
             fmt::format("answers are of the log \"{}\", which has ended: a cache between here and the server does not "
                         "tell requests apart by their parameters",
                         expired_)));
}

void ShapeReader::refused(const ReadRequest& request, int status, const http::Headers& headers, std::string_view body) {
  // The request beside it learns the same, and has nobody to hurry for.
  if (request.kind == RequestKind::probe) return probeFailed();
  fail(refusal(
           parts_.shape,
           {.status = status, .body = body, .from = request.from, .mayMend = static_cast<bool>(parts_.options.auth)}),
       retryAfter(headers).value_or(milliseconds(0)));
}

void ShapeReader::probeFailed() {
  probeNotBefore_ = parts_.clock.steadyNow() + parts_.options.mergeWait;
  excused_ = true;
}

void ShapeReader::onAnswer(const ReadRequest& request, int status, const http::Headers& headers,
                           std::string_view body) {
  if (!isCurrent(request)) return;
  ended(request);
  try {
    if (status == 409) return rotate(std::string(headers.get("electric-handle")));
    if (status != 200 && status != 204) return refused(request, status, headers, body);
    takePage(request, headers, body);
  } catch (const Error& e) {
    // What stands in an answer may be otherwise in the next; a broken law of the place may not.
    const bool malformed = e.code() == ErrorCode::parseError;
    fail(named(e.code(), malformed ? Retry::later : e.retry(), (malformed ? "malformed answer: " : "") + e.message()));
  }
}

void ShapeReader::onFailure(const ReadRequest& request, const Error& error) {
  if (!isCurrent(request)) return;
  ended(request);
  if (request.kind == RequestKind::probe) return probeFailed();
  const bool tooLarge = error.code() == ErrorCode::parseError;
  const Retry retry = error.retry() == Retry::outcomeUnknown || tooLarge ? Retry::later : error.retry();
  fail(named(error.code(), retry, error.message()));
}

void ShapeReader::onCancelled(const ReadRequest& request) { ended(request); }

void ShapeReader::onEventsEnd(const ReadRequest& request) {
  if (!isCurrent(request)) return;
  ended(request);
  const auto now = parts_.clock.steadyNow();
  if (eventsNews_ || now - request.startedAt >= kShortStream) {
    shortStreams_ = 0;
    return;
  }
  notBefore_ = now + milliseconds(100);
  if (++shortStreams_ < kMostShortStreams) return;
  pollsOnly_ = true;
  parts_.warn(fmt::format(
      "shape \"{}\": event streams end at once, so that long polls are used; something between here and the server "
      "may buffer or end them",
      name()));
}

}  // namespace tidegate::electric::reading
