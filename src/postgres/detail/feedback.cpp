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

void Feedback::forget() {
  const std::lock_guard lock(mutex_);
  acked_ = {};
  received_ = confirmed_ = 0;
}

void Feedback::restart(const Place& from) { received_ = confirmedBy(from); }

void Feedback::received(Lsn lsn) noexcept { received_ = std::max(received_, lsn); }

Lsn Feedback::durable() {
  const Position told = acked();
  const Lsn durable = told.empty() ? 0 : confirmedBy(placeOf(told));
  confirmed_ = std::max(confirmed_.load(), std::min(durable, received_));
  return confirmed_;
}

}  // namespace tidegate::postgres::detail
