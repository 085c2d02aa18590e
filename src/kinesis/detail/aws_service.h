/// One AWS service behind one endpoint: signs requests, reads what its errors mean, mends clock skew and old keys.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "kinesis/detail/sigv4.h"
#include "tidegate/core/clock.h"
#include "tidegate/core/error.h"
#include "tidegate/http/client.h"
#include "tidegate/kinesis/credentials.h"

namespace tidegate::kinesis::detail {

/// What an answer that is no success means for whoever asked.
enum class AwsFailure {
  throttled,     ///< too many requests: later, and slower
  busy,          ///< somebody else has it, or it is changing: later
  expiredPlace,  ///< a shard iterator is over five minutes old: ask for another
  oldKeys,       ///< the keys have expired or are not known (any more)
  clockSkew,     ///< our clock and theirs are too far apart
  notFound,      ///< no such stream, table, bucket or key
  denied,        ///< known, and not allowed
  changed,       ///< a condition did not hold: an object or item is another by now
  invalid,       ///< they do not understand what we ask
  unavailable    ///< their failure: later
};

/// An Error that also says which failure it was.
class AwsError : public Error {
 public:
  AwsError(AwsFailure failure, ErrorCode code, Retry retry, const std::string& message)
      : Error(code, retry, message), failure_(failure) {}
  AwsFailure failure() const noexcept { return failure_; }

 private:
  AwsFailure failure_;
};

struct AwsRequest {
  std::string method = "POST";
  std::string path = "/";  ///< not encoded
  QueryParameters query{};
  http::Headers headers{};
  std::string body{};
  std::chrono::milliseconds timeout{30'000};
  std::chrono::milliseconds idleTimeout{0};
};

struct AwsServiceOptions {
  std::string service{};  ///< as signatures name it, e.g. "kinesis"
  std::string region{};
  std::string endpoint{};  ///< scheme, host and port, without a path
  std::shared_ptr<CredentialsProvider> credentials{};
  const Clock* clock = nullptr;
  /// Of all requests, where one needs it: libcurl would use a kept connection of HTTP/1.1 for it.
  bool http2 = false;
};

/// @thread One at a time.
class AwsService {
 public:
  /// @throws Error{invalidConfig} for an endpoint that is none.
  explicit AwsService(AwsServiceOptions options);

  /// The request as it goes on the wire, signed now. @throws as CredentialsProvider::get.
  http::ClientRequest sign(const AwsRequest& request, const std::stop_token& stop);
  /// Why an answer is no success; none for 2xx and 304. Learns their time where clocks disagree, and tells the provider
  /// of refused keys: after `clockSkew` and `oldKeys` the same request, signed anew, may succeed.
  std::optional<AwsError> failureOf(const http::Response& response, std::string_view what);
  /// Sends and waits; skew and old keys are mended once. @throws AwsError, or Error as http::Client::perform.
  http::Response call(http::Client& client, const AwsRequest& request, std::string_view what,
                      const std::stop_token& stop);
  const std::string& endpoint() const noexcept { return options_.endpoint; }

 private:
  AwsServiceOptions options_;
  std::string host_;
  std::chrono::seconds skew_{0};  ///< what is added to our clock
};

/// The request of a service with a JSON protocol: `target` is e.g. "Kinesis_20131202.ListShards".
AwsRequest jsonRequest(std::string_view target, std::string_view version, std::string body);

}  // namespace tidegate::kinesis::detail
