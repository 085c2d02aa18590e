#include "engine/detail/retry_state.h"

#include <algorithm>

namespace tidegate::detail {
namespace {

BackoffOptions backoffOf(const RetryPolicy& policy) {
  const auto first = std::max(policy.firstDelay, std::chrono::milliseconds(1));
  return {.firstDelay = first, .maxDelay = std::max(policy.maxDelay, first), .maxRetries = UINT32_MAX};
}

/// Says nothing of any change: the sink or the source cannot be used for now.
bool isAway(const Error& error) {
  switch (error.code()) {
    case ErrorCode::connectionFailed:
      return true;
    case ErrorCode::backPressure:
    case ErrorCode::storeUnavailable:
      return error.retry() == Retry::later || error.retry() == Retry::outcomeUnknown;
    default:
      return false;
  }
}

}  // namespace

RetryState::RetryState(RetryPolicy policy, std::uint64_t seed)
    : attempts_(policy.attempts), backoff_(backoffOf(policy), seed) {}

RetryDecision RetryState::failed(const Error& error) {
  const bool away = isAway(error);
  if (!away && counted_ < UINT32_MAX) ++counted_;
  const bool hopeless = error.retry() == Retry::never || error.code() == ErrorCode::fenced;
  RetryDecision decision;
  decision.again = away || (!hopeless && counted_ <= attempts_);
  decision.delay = backoff_.next().value_or(std::chrono::milliseconds(0));
  decision.attempt = backoff_.failures();
  return decision;
}

void RetryState::succeeded() noexcept {
  backoff_.reset();
  counted_ = 0;
}

}  // namespace tidegate::detail
