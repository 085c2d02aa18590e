/// What a client's streams share: its options and its connections.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "durable_streams/detail/client_failure.h"
#include "durable_streams/detail/client_request.h"
#include "durable_streams/detail/json_body.h"
#include "durable_streams/detail/retry_plan.h"
#include "tidegate/durable_streams/client.h"

namespace tidegate::durable_streams::detail {

/// The clock and the waits that a client was given, or the system's.
const Clock& clockOf(const http::ClientOptions& options);
Scheduler& schedulerOf(const http::ClientOptions& options);
/// The same options for an http::Client that repeats nothing by itself.
http::ClientOptions withoutRetries(http::ClientOptions options);

/// @thread One at a time; `options` from any.
class Session {
 public:
  explicit Session(DurableStreamClientOptions options);

  /// A whole URL, or a path behind the client's.
  std::string urlOf(std::string_view path) const;
  /// Sends, retries as far as that may be done, and gives the last answer, whatever its status.
  /// @param more headers and parameters of this request alone; may be null.
  /// @throws StreamError{unreachable}; Error{queryCancelled} when stopped.
  http::Response perform(const Ask& ask, const Asked& asked, const RequestFields* moreHeaders,
                         const std::stop_token& stop);
  /// @throws Error{invalidArgument} for a text that is not one JSON document.
  void checkJson(std::string_view text);

  /// The content type of a stream, by HEAD. @throws StreamError.
  std::string askContentType(const std::string& url, const RequestFields* moreHeaders, const std::stop_token& stop);

  const std::shared_ptr<const DurableStreamClientOptions>& options() const noexcept { return options_; }
  http::Client& http() noexcept { return client_; }
  RetryPlan plan() const { return plan_; }

 private:
  struct Attempt {
    http::Response answer{};
    std::optional<StreamError> failure{};
  };

  Attempt once(const http::ClientRequest& request, const Asked& asked, const std::stop_token& stop);
  void pauseFor(std::chrono::milliseconds pause, const Asked& asked, const std::stop_token& stop);

  std::shared_ptr<const DurableStreamClientOptions> options_;
  http::Client client_;
  RetryPlan plan_;
  JsonChecker json_;
};

}  // namespace tidegate::durable_streams::detail
