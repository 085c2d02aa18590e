/// A producer's machine without a network, for tests.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "durable_streams/detail/producer_core.h"
#include "durable_streams/model_streams.h"
#include "support/manual_clock.h"

namespace tidegate::durable_streams::test {

/// @param seed of its jitter and claims.
inline detail::ProducerCore makeCore(ProducerOptions options, const Clock& clock, unsigned maxRetries = 8,
                                     std::uint64_t seed = 1) {
  const RetryOptions retry{.maxRetries = maxRetries};
  return detail::ProducerCore(std::move(options), detail::RetryPlan(retry, clock, seed), "http://host/stream",
                              clock.wallNow());
}

/// The request that a machine asked for, as a server sees it.
inline http::Request requestOf(const detail::ProducerSend& send, const std::string& id, const std::string& type) {
  http::Request request;
  request.method = "POST";
  request.path = "/stream";
  request.body = send.body;
  request.headers = {
      {"producer-id", id}, {"producer-epoch", std::to_string(send.epoch)}, {"producer-seq", std::to_string(send.seq)}};
  if (!send.body.empty()) request.headers.set("content-type", type);
  if (send.closes) request.headers.set("stream-closed", "true");
  return request;
}

inline http::Response answerOf(int status, http::Headers headers = {}) {
  return {.status = status, .headers = std::move(headers)};
}

inline Error broken(bool maybeArrived) {
  return Error(ErrorCode::connectionFailed, maybeArrived ? Retry::outcomeUnknown : Retry::later, "the test cut it");
}

}  // namespace tidegate::durable_streams::test
