#include "postgres/detail/feedback.h"

#include <algorithm>

namespace tidegate::postgres::detail {

Lsn confirmedBy(const Place& place) noexcept {
  return place.ordinal == kWholeTransaction ? place.commit + 1 : place.commit;
}

bool Feedback::ack(const Position& position) {
  placeOf(position);  // or it is none of ours
  const std::lock_guard lock(mutex_);
  if (!acked_.empty() && comparePositions(position, acked_) <= 0) return false;
  acked_ = position;
  news_ = true;
  return true;
}

Position Feedback::acked() const {
  const std::lock_guard lock(mutex_);
  return acked_;
}

void Feedback::restart(const Place& from) { received_ = confirmedBy(from); }

void Feedback::delivered(const Place& place) noexcept { delivered_ = std::max(delivered_.value_or(place), place); }

void Feedback::received(Lsn lsn) noexcept { received_ = std::max(received_, lsn); }

Lsn Feedback::durable(bool inHand) {
  const Position told = acked();
  const std::optional<Place> acknowledged = told.empty() ? std::nullopt : std::optional(placeOf(told));
  const bool nothingWaits = !inHand && (!delivered_ || (acknowledged && *acknowledged >= *delivered_));
  Lsn lsn = std::max(confirmed_.load(), acknowledged ? confirmedBy(*acknowledged) : 0);
  if (nothingWaits) lsn = std::max(lsn, received_);
  confirmed_ = lsn;
  return lsn;
}

}  // namespace tidegate::postgres::detail
