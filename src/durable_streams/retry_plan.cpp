#include "durable_streams/detail/retry_plan.h"

#include <algorithm>

#include "http/detail/retry_pause.h"
#include "tidegate/core/error.h"

namespace tidegate::durable_streams {

namespace {

[[noreturn]] void refuseRetry(const std::string& why) {
  throw Error(ErrorCode::invalidConfig, Retry::never, "RetryOptions::" + why);
}

}  // namespace

void RetryOptions::validate() const {
  if (maxRetries > 1000) refuseRetry("maxRetries must be 0..1000");
  if (initialDelay.count() <= 0) refuseRetry("initialDelay must be more than 0 ms");
  if (maxDelay < initialDelay) refuseRetry("maxDelay must not be less than initialDelay");
  if (!(multiplier >= 1.0)) refuseRetry("multiplier must be at least 1");
}

namespace detail {

RetryPlan::RetryPlan(const RetryOptions& options, const Clock& clock, std::uint64_t jitterSeed)
    : options_(options), clock_(&clock), jitter_(jitterSeed != 0 ? jitterSeed : std::random_device{}()) {}

bool RetryPlan::isTransient(int status) const {
  return std::find(options_.statuses.begin(), options_.statuses.end(), status) != options_.statuses.end();
}

std::chrono::milliseconds RetryPlan::pause(unsigned retry, const http::Response* answer) {
  if (answer && answer->headers.has("retry-after")) {
    const http::RetryPolicy policy{.first = options_.initialDelay, .most = options_.maxDelay};
    return http::detail::pauseBefore(retry, *answer, policy, *clock_, jitter_);
  }
  double pause = static_cast<double>(options_.initialDelay.count());
  const auto most = static_cast<double>(options_.maxDelay.count());
  for (unsigned i = 1; i < retry && pause < most; ++i) pause *= options_.multiplier;
  const auto whole = static_cast<std::int64_t>(std::min(pause, most));
  const auto half = static_cast<std::uint64_t>(whole - whole / 2);
  return std::chrono::milliseconds(whole / 2 + static_cast<std::int64_t>(jitter_() % (half + 1)));
}

}  // namespace detail
}  // namespace tidegate::durable_streams
