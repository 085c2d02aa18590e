#include "http/detail/retry_pause.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>

#include "http/detail/transfer.h"

namespace tidegate::http::detail {
namespace {

using std::chrono::milliseconds;

/// Retry-After in seconds or as a date (RFC 9110, section 10.2.3).
std::optional<milliseconds> retryAfter(const Response& response, const Clock& clock, milliseconds most) {
  const std::string* field = response.headers.find("retry-after");
  if (!field || field->empty()) return std::nullopt;
  std::int64_t seconds = 0;
  const char* end = field->data() + field->size();
  if (const auto [rest, failure] = std::from_chars(field->data(), end, seconds); rest != end) {
    const std::time_t date = curl_getdate(field->c_str(), nullptr);
    if (date == -1) return std::nullopt;
    seconds = date - std::chrono::duration_cast<std::chrono::seconds>(clock.wallNow()).count();
  } else if (failure != std::errc()) {
    return most;
  }
  // Compared as seconds: as milliseconds a large number would not fit.
  if (seconds >= most.count() / 1000) return most;
  return milliseconds(std::max<std::int64_t>(seconds, 0) * 1000);
}

milliseconds randomUpTo(milliseconds bound, std::mt19937_64& jitter) {
  if (bound.count() <= 0) return milliseconds(0);
  return milliseconds(static_cast<std::int64_t>(jitter() % (static_cast<std::uint64_t>(bound.count()) + 1)));
}

}  // namespace

bool mayRepeat(const Outcome& outcome, const RetryPolicy& policy, const ClientRequest& request) {
  const bool twice = isSafe(request.method) || request.repeatable;
  if (outcome.error) {
    if (outcome.error->code() != ErrorCode::connectionFailed) return false;
    return outcome.error->retry() == Retry::later || twice;
  }
  const int status = outcome.response.status;
  if (std::find(policy.statuses.begin(), policy.statuses.end(), status) == policy.statuses.end()) return false;
  return (status != 502 && status != 504) || twice;
}

milliseconds pauseBefore(unsigned attempt, const Response& response, const RetryPolicy& policy, const Clock& clock,
                         std::mt19937_64& jitter) {
  if (const auto asked = retryAfter(response, clock, policy.most)) {
    return std::min(*asked + randomUpTo(policy.first, jitter), std::max(policy.most, *asked));
  }
  milliseconds pause = policy.first;
  for (unsigned i = 1; i < attempt && pause < policy.most; ++i) pause *= 2;
  pause = std::min(pause, policy.most);
  return pause / 2 + randomUpTo(pause - pause / 2, jitter);
}

}  // namespace tidegate::http::detail
