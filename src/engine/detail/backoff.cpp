#include "engine/detail/backoff.h"

#include <algorithm>

namespace tidegate::detail {

bool isConnectionLoss(const Error& error) noexcept { return error.code() == ErrorCode::connectionFailed; }

RetryDecision Backoff::failed(const Error& error) {
  const bool lost = isConnectionLoss(error);
  if (inARow_ < UINT32_MAX) ++inARow_;
  if (!lost && counted_ < UINT32_MAX) ++counted_;
  const bool hopeless = error.retry() == Retry::never || error.code() == ErrorCode::fenced;
  RetryDecision decision;
  decision.again = lost || (!hopeless && counted_ <= policy_.attempts);
  decision.attempt = inARow_;
  const double first = static_cast<double>(std::max<std::int64_t>(policy_.firstDelay.count(), 1)) * 1000.0;
  const double most = static_cast<double>(std::max<std::int64_t>(policy_.maxDelay.count(), 1)) * 1000.0;
  double delay = first;
  for (std::uint32_t i = 1; i < inARow_ && delay < most; ++i) delay *= 2;
  delay = std::min(delay, most);
  // Between half and all of it, so that pipelines that failed together do not come back together.
  const double share = 0.5 + 0.5 * static_cast<double>(random_() >> 11) * 0x1.0p-53;
  decision.delay = std::chrono::microseconds(static_cast<std::int64_t>(delay * share));
  return decision;
}

}  // namespace tidegate::detail
