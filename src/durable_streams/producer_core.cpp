#include "durable_streams/detail/producer_core.h"

#include <algorithm>
#include <charconv>

namespace tidegate::durable_streams {
namespace {

constexpr std::uint64_t kMostEpoch = (1ULL << 53) - 1;  // JavaScript's exact integers (section 5.2.1)
constexpr std::int64_t kMostClockEpoch = 1LL << 52;     // the year 2112
constexpr std::uint64_t kClaimSpread = 1'000'000;
constexpr std::size_t kMostBytes = std::size_t{1} << 40;

[[noreturn]] void refuseProducer(const std::string& why) {
  throw Error(ErrorCode::invalidConfig, Retry::never, "ProducerOptions::" + why);
}

}  // namespace

void ProducerOptions::validate() const {
  if (id.empty()) refuseProducer("id must not be empty");
  for (const char c : id) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) refuseProducer("id must hold no control characters");
  }
  if (epoch.value_or(0) > kMostEpoch) refuseProducer("epoch must be 0..2^53-1");
  if (maxBatchBytes == 0 || maxBatchBytes > kMostBytes) refuseProducer("maxBatchBytes must be 1..2^40");
  if (maxBatchMessages == 0 || maxBatchMessages > kMostBytes) refuseProducer("maxBatchMessages must be 1..2^40");
  if (maxInFlight == 0 || maxInFlight > 64) refuseProducer("maxInFlight must be 1..64");
  if (linger.count() < 0) refuseProducer("linger must not be negative");
  if (maxQueuedBytes == 0 || maxQueuedBytes > kMostBytes) refuseProducer("maxQueuedBytes must be 1..2^40");
}

namespace detail {

ProducerCore::ProducerCore(ProducerOptions options, RetryPlan plan, std::string url, Micros now)
    : options_(std::move(options)),
      claimMode_(options_.claim.value_or(options_.epoch ? Claim::never : Claim::first)),
      plan_(std::move(plan)),
      url_(std::move(url)),
      clockEpoch_(static_cast<std::uint64_t>(std::clamp<std::int64_t>(now.count(), 0, kMostClockEpoch))),
      epoch_(options_.epoch.value_or(claimMode_ == Claim::never ? 0 : clockEpoch_)) {
  options_.validate();
}

bool ProducerCore::hasRoomFor(std::size_t bytes) const noexcept {
  return stats_.queuedBytes == 0 || stats_.queuedBytes + bytes <= options_.maxQueuedBytes;
}

ProducerCore::OutBatch& ProducerCore::openBatch(Micros now) {
  if (batches_.empty() || batches_.back().sealed) {
    batches_.push_back({.id = nextBatch_++, .first = nextMessage_, .opened = now});
  }
  return batches_.back();
}

std::uint64_t ProducerCore::add(std::string_view message, Micros now) {
  OutBatch* batch = &openBatch(now);
  if (batch->bytes > 0 && batch->bytes + message.size() > options_.maxBatchBytes) {
    seal(*batch);
    batch = &openBatch(now);
  }
  if (json_) batch->body += batch->messages.empty() ? '[' : ',';
  batch->messages.emplace_back(batch->body.size(), message.size());
  batch->body += message;
  batch->bytes += message.size();
  stats_.queuedBytes += message.size();
  ++stats_.messages;
  if (batch->bytes >= options_.maxBatchBytes || batch->messages.size() >= options_.maxBatchMessages) seal(*batch);
  return nextMessage_++;
}

void ProducerCore::addClose(std::optional<std::string_view> last) {
  if (!batches_.empty() && !batches_.back().sealed) seal(batches_.back());
  OutBatch& batch = openBatch(Micros(0));
  batch.closes = true;
  if (last) add(*last, Micros(0));
  if (!batch.sealed) seal(batch);
}

void ProducerCore::seal(OutBatch& batch) {
  if (json_ && !batch.messages.empty()) batch.body += ']';
  batch.seq = nextSeq_++;
  batch.sealed = true;
}

bool ProducerCore::isDue(const OutBatch& batch, Micros now) const {
  return batch.sealed || flushing_ || now >= batch.opened + options_.linger;
}

std::optional<ProducerSend> ProducerCore::nextSend(Micros now) {
  // A failure is told before anything is sent again: it must not be thrown for what is acknowledged by then.
  if (final_ || passing_ || claim_ || stats_.inFlight >= options_.maxInFlight) return std::nullopt;
  if (!established_ && stats_.inFlight > 0) return std::nullopt;
  for (OutBatch& batch : batches_) {
    if (batch.inFlight || batch.receipt) continue;
    if (!isDue(batch, now) || batch.notBefore > now) return std::nullopt;
    if ((batch.awaitsFront || batch.closes) && !isFront(batch)) return std::nullopt;
    if (!batch.sealed) seal(batch);
    return send(batch);
  }
  return std::nullopt;
}

ProducerSend ProducerCore::send(OutBatch& batch) {
  batch.inFlight = true;
  batch.awaitsFront = false;
  batch.sentAsFront = isFront(batch);
  if (batch.sends++ > 0) ++stats_.retries;
  highestSent_ = std::max(highestSent_, batch.seq);
  ++stats_.requests;
  ++stats_.inFlight;
  return {.batch = batch.id, .epoch = epoch_, .seq = batch.seq, .closes = batch.closes, .body = batch.body};
}

std::optional<ProducerCore::Micros> ProducerCore::wakeAt() const {
  if (final_ || claim_ || stats_.inFlight >= options_.maxInFlight || (!established_ && stats_.inFlight > 0)) {
    return std::nullopt;
  }
  for (const OutBatch& batch : batches_) {
    if (batch.inFlight || batch.receipt) continue;
    if ((batch.awaitsFront || batch.closes) && !isFront(batch)) return std::nullopt;
    const bool waits = !batch.sealed && !flushing_;
    return std::max(batch.notBefore, waits ? batch.opened + options_.linger : Micros(0));
  }
  return std::nullopt;
}

ProducerCore::OutBatch* ProducerCore::find(std::uint64_t id) {
  const auto at = std::find_if(batches_.begin(), batches_.end(), [id](const OutBatch& b) { return b.id == id; });
  return at == batches_.end() || !at->inFlight ? nullptr : &*at;
}

void ProducerCore::answered(std::uint64_t id, const http::Response& answer, Micros now) {
  OutBatch* batch = find(id);
  if (!batch) return;
  batch->inFlight = false;
  --stats_.inFlight;
  if (answer.status == 200 || answer.status == 201 || answer.status == 204) {
    if (answer.status == 204 && !options_.acceptForeignDuplicates && isForeign(answer)) {
      foreign(*batch, answer);
    } else {
      acknowledge(*batch, answer);
    }
  } else {
    refused(*batch, answer, now);
  }
  claimIfQuiet();
}

void ProducerCore::failed(std::uint64_t id, const Error& why, Micros now) {
  OutBatch* batch = find(id);
  if (!batch) return;
  batch->inFlight = false;
  --stats_.inFlight;
  if (why.retry() == Retry::outcomeUnknown) batch->maybeApplied = true;
  retryLater(*batch, unreachable(asked(), why), nullptr, now);
  claimIfQuiet();
}

void ProducerCore::acknowledge(OutBatch& batch, const http::Response& answer) {
  established_ = everEstablished_ = true;
  batch.receipt = Receipt{.first = batch.first,
                          .count = batch.messages.size(),
                          .offset = std::string(answer.headers.get("stream-next-offset")),
                          .duplicate = answer.status == 204 && !batch.closes};
  if (batch.receipt->duplicate) ++stats_.duplicates;
  releaseFront();
}

/// Receipts are told in order, whatever the order of answers.
void ProducerCore::releaseFront() {
  while (!batches_.empty() && batches_.front().receipt) {
    OutBatch& front = batches_.front();
    stats_.acknowledged += front.messages.size();
    stats_.queuedBytes -= front.bytes;
    ++stats_.batches;
    receipts_.push_back(*std::move(front.receipt));
    batches_.pop_front();
  }
}

void ProducerCore::refused(OutBatch& batch, const http::Response& answer, Micros now) {
  const StreamError error = refusal(asked(), answer);
  if (error.failure() == StreamFailure::staleEpoch) return fenced(error);
  if (error.failure() == StreamFailure::producerGap) return gap(batch, error);
  const bool mendable = error.retry() == Retry::afterOperator;
  if (!mendable && !plan_.isTransient(answer.status)) return endWith(error);
  // 429 and 503 are said instead of doing it. Behind another 5xx it may have been done.
  if (answer.status >= 500 && answer.status != 503) batch.maybeApplied = true;
  retryLater(batch, error, &answer, now);
}

/// Requests of one producer race on several connections: one that overtook another is sent again behind it.
void ProducerCore::gap(OutBatch& batch, const StreamError& error) {
  const std::uint64_t expected = error.details().expectedSeq.value_or(batch.seq);
  if (batch.sentAsFront || expected >= batch.seq) return endWith(error);
  batch.awaitsFront = true;
}

void ProducerCore::retryLater(OutBatch& batch, const StreamError& error, const http::Response* answer, Micros now) {
  ++batch.failures;
  if (batch.failures > plan_.maxRetries() || error.retry() == Retry::afterOperator) {
    passing_ = afterAttempts(error, batch.failures);
    batch.failures = 0;
    batch.notBefore = now;
    return;
  }
  batch.notBefore = now + plan_.pause(batch.failures, answer);
}

bool ProducerCore::mayClaim() const {
  return claimMode_ == Claim::always || (claimMode_ == Claim::first && !everEstablished_);
}

void ProducerCore::fenced(const StreamError& error) {
  const std::uint64_t theirs = error.details().epoch.value_or(epoch_);
  if (!mayClaim() || theirs >= kMostEpoch - kClaimSpread) return endWith(error);
  const std::uint64_t above = std::max({theirs, epoch_, clockEpoch_}) + 1;
  claim_ = std::max(claim_.value_or(0), above + plan_.random(kClaimSpread));
  claimCause_ = error;
}

/// The server has sequences that this producer never sent. A duplicate of one that it did send may as well be its own,
/// which a proxy sent twice.
bool ProducerCore::isForeign(const http::Response& answer) const {
  const std::string_view text = answer.headers.get("producer-seq");
  std::uint64_t highest = 0;
  const auto [rest, failure] = std::from_chars(text.data(), text.data() + text.size(), highest);
  return !text.empty() && failure == std::errc() && rest == text.data() + text.size() && highest > highestSent_;
}

void ProducerCore::foreign(const OutBatch& batch, const http::Response& answer) {
  http::Response stale{.status = 403, .headers = answer.headers};
  if (!stale.headers.has("producer-epoch")) stale.headers.set("producer-epoch", std::to_string(epoch_));
  if (mayClaim()) return fenced(refusal(asked(), stale));
  endWith(StreamError(StreamFailure::sequenceConflict, ErrorCode::fenced, Retry::never,
                      "POST " + redactSecrets(url_) + ": sequence " + std::to_string(batch.seq) + " of epoch " +
                          std::to_string(epoch_) + " was written before by another life of producer \"" + options_.id +
                          "\", so these messages were dropped; start with a higher epoch, or set "
                          "acceptForeignDuplicates where all lives write the same",
                      {.method = "POST", .url = redactSecrets(url_), .status = answer.status, .epoch = epoch_}));
}

bool ProducerCore::anyMaybeApplied() const {
  return std::any_of(batches_.begin(), batches_.end(), [](const OutBatch& b) { return b.maybeApplied && !b.receipt; });
}

void ProducerCore::claimIfQuiet() {
  if (!claim_ || stats_.inFlight > 0 || final_) return;
  if (anyMaybeApplied()) {
    return endWith(StreamError(
        StreamFailure::staleEpoch, ErrorCode::fenced, Retry::outcomeUnknown,
        claimCause_->message() + "; the id was not claimed, because a batch before it may have been appended",
        claimCause_->details()));
  }
  epoch_ = *claim_;
  claim_.reset();
  established_ = false;
  nextSeq_ = highestSent_ = 0;
  ++stats_.claims;
  for (OutBatch& batch : batches_) {
    if (!batch.sealed || batch.receipt) continue;
    batch.seq = nextSeq_++;
    batch.sends = batch.failures = 0;
    batch.awaitsFront = false;
    batch.notBefore = Micros(0);
  }
}

void ProducerCore::endWith(const StreamError& error) {
  if (!final_) final_ = error;
}

std::optional<StreamError> ProducerCore::finalFailure() const {
  if (!final_ || final_->retry() == Retry::outcomeUnknown || !anyMaybeApplied()) return final_;
  return StreamError(final_->failure(), final_->code(), Retry::outcomeUnknown,
                     final_->message() + "; a batch whose answer was lost may have been appended before",
                     final_->details());
}

std::optional<StreamError> ProducerCore::takeFailure() { return std::exchange(passing_, std::nullopt); }

std::vector<std::string> ProducerCore::unacknowledged() const {
  std::vector<std::string> messages;
  for (const OutBatch& batch : batches_) {
    for (const auto& [begin, length] : batch.messages) messages.push_back(batch.body.substr(begin, length));
  }
  return messages;
}

}  // namespace detail
}  // namespace tidegate::durable_streams
