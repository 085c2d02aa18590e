/// How long to wait before a request is sent again.
#pragma once

#include <chrono>
#include <random>

#include "tidegate/http/client.h"

namespace tidegate::http::detail {

/// Whether what came of a request may be mended by sending it again: the policy names it, and nothing happened, or may
/// happen twice. 502 and 504 are a gateway's word for "it may have happened".
bool mayRepeat(const Outcome& outcome, const RetryPolicy& policy, const ClientRequest& request);

/// Doubles from `first` to `most`, a random half of it; or what Retry-After asks, up to `most`, and a little more, so
/// that those who were sent away together do not come back together.
std::chrono::milliseconds pauseBefore(unsigned attempt, const Response& response, const RetryPolicy& policy,
                                      const Clock& clock, std::mt19937_64& jitter);

}  // namespace tidegate::http::detail
