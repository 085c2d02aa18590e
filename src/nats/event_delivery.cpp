#include <charconv>
#include <utility>

#include "core/detail/octet_text.h"
#include "nats/detail/source_core.h"
#include "source/detail/hash.h"

namespace tidegate::nats::detail {
namespace {

constexpr std::size_t kPositionBytes = 14;
constexpr std::size_t kIncarnationBytes = 6;
constexpr std::uint64_t kIncarnationMask = (std::uint64_t{1} << 48) - 1;

}  // namespace

Position positionOf(const StreamPlace& place) {
  Position position;
  for (int shift = 56; shift >= 0; shift -= 8) position.octets.push_back(static_cast<char>(place.sequence >> shift));
  for (int shift = 40; shift >= 0; shift -= 8) position.octets.push_back(static_cast<char>(place.incarnation >> shift));
  return position;
}

std::optional<StreamPlace> placeOf(const Position& position) noexcept {
  if (position.octets.size() != kPositionBytes) return std::nullopt;
  StreamPlace place;
  for (std::size_t i = 0; i < kPositionBytes; ++i) {
    const auto octet = static_cast<std::uint8_t>(position.octets[i]);
    if (i < kPositionBytes - kIncarnationBytes)
      place.sequence = place.sequence << 8 | octet;
    else
      place.incarnation = place.incarnation << 8 | octet;
  }
  return place;
}

StreamPlace requirePlace(const Position& position) {
  if (const auto place = placeOf(position)) return *place;
  throw Error(ErrorCode::invalidArgument, Retry::never,
              position.empty() ? "an empty position says nothing: take a baseline first"
                               : "this is not a position of a NATS source");
}

std::string placeText(const StreamPlace& place) {
  return std::to_string(place.sequence) + "@" +
         tidegate::detail::hexOf(positionOf(place).octets.substr(kPositionBytes - kIncarnationBytes));
}

std::optional<StreamPlace> placeFromText(std::string_view text) noexcept {
  StreamPlace place;
  const char* end = text.data() + text.size();
  const auto sequence = std::from_chars(text.data(), end, place.sequence);
  if (sequence.ec != std::errc() || sequence.ptr == end || *sequence.ptr != '@') return std::nullopt;
  const char* digits = sequence.ptr + 1;
  if (end - digits != 2 * static_cast<std::ptrdiff_t>(kIncarnationBytes)) return std::nullopt;
  const auto incarnation = std::from_chars(digits, end, place.incarnation, 16);
  if (incarnation.ec != std::errc() || incarnation.ptr != end) return std::nullopt;
  return place;
}

std::uint64_t incarnationOf(const StreamInfo& info) {
  return tidegate::detail::hash64(info.created) & kIncarnationMask;
}

bool EventDelivery::flush(std::size_t keep) {
  if (batch_.size() <= keep) return true;
  ChangeEvent held;
  if (keep == 1) {
    held = std::move(batch_.back());
    batch_.dropLast();
  }
  const std::uint64_t last = placeOf(batch_.back().position)->sequence;
  if (!offer_(batch_)) return false;
  told_ = last;
  batch_.clear();
  if (keep == 1) batch_.add(held.op, held.shape) = std::move(held);
  return true;
}

bool EventDelivery::take(ChangeEvent& event, std::uint64_t sequence) {
  if (event.transactionBegin) {
    begins_ = true;
    // Its end may have been an event that a filter took away before it was sent.
    if (!batch_.empty()) batch_.back().transactionEnd = true;
  }
  if (!wanted_.contains(event.shape->schema.table)) {
    dropped_ = true;
    // The transaction's end may be nobody's: then the last event in hand is its end.
    if (event.transactionEnd && !batch_.empty() && !begins_) batch_.back().transactionEnd = true;
    if (event.transactionEnd) begins_ = false;
    return true;
  }
  // Within a transaction the last event stays in hand: it may turn out to be the last of it.
  if (batch_.size() >= batchEvents_ && !flush(batch_.back().transactionEnd ? 0 : 1)) return false;
  event.transactionBegin = begins_;
  begins_ = false;
  event.position = positionOf({sequence, incarnation_});
  if (event.commitMicros != 0) lastCommitMicros_ = event.commitMicros;
  batch_.add(event.op, event.shape) = std::move(event);
  return true;
}

bool EventDelivery::endUnit(std::uint64_t sequence, bool empty) {
  const bool dropped = std::exchange(dropped_, false);
  begins_ = false;
  if (!batch_.empty()) {
    // Units are whole transactions, whatever marks a filter took away.
    batch_.back().transactionEnd = true;
    return flush(0);
  }
  // Of a unit that was told before nothing is news.
  if (sequence <= told_ || !(empty || dropped)) return true;
  ChangeEvent& event = batch_.add(ChangeOp::progress, nullptr);
  event.transactionBegin = event.transactionEnd = true;
  event.position = positionOf({sequence, incarnation_});
  return flush(0);
}

}  // namespace tidegate::nats::detail
