#include "kinesis/detail/aws_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <utility>

#include "core/detail/json_tree.h"

namespace tidegate::kinesis::detail {
namespace {

using tidegate::detail::JsonKind;
using tidegate::detail::JsonTree;

/// What a service said of its failure.
struct AwsComplaint {
  std::string code;
  std::string text;
};

std::string textOf(const JsonTree& tree, std::string_view name) {
  const auto found = tree.root().find(name);
  return found && found->kind() == JsonKind::string ? std::string(found->string()) : std::string();
}

/// The text between <name> and </name>; S3's errors are flat.
std::string elementOf(std::string_view xml, std::string_view name) {
  const std::string open = fmt::format("<{}>", name), close = fmt::format("</{}>", name);
  const std::size_t begin = xml.find(open);
  if (begin == xml.npos) return {};
  const std::size_t end = xml.find(close, begin);
  if (end == xml.npos) return {};
  return std::string(xml.substr(begin + open.size(), end - begin - open.size()));
}

AwsComplaint complaintOf(const http::Response& response) {
  AwsComplaint complaint;
  if (const auto tree = JsonTree::tryParse(response.body); tree && tree->root().kind() == JsonKind::object) {
    complaint.code = textOf(*tree, "__type");
    complaint.text = textOf(*tree, "message");
    if (complaint.text.empty()) complaint.text = textOf(*tree, "Message");
  } else {
    complaint.code = elementOf(response.body, "Code");
    complaint.text = elementOf(response.body, "Message");
  }
  // "com.amazonaws.kinesis.v20131202#ExpiredIteratorException"
  complaint.code = complaint.code.substr(complaint.code.rfind('#') + 1);
  return complaint;
}

AwsFailure failureByStatus(int status) {
  if (status == 404 || status == 410) return AwsFailure::notFound;
  if (status == 401 || status == 403) return AwsFailure::denied;
  if (status == 412) return AwsFailure::changed;
  if (status == 429 || status == 503) return AwsFailure::throttled;
  return status >= 500 || status == 408 ? AwsFailure::unavailable : AwsFailure::invalid;
}

AwsFailure failureNamed(std::string_view code, int status) {
  static constexpr std::array<std::pair<std::string_view, AwsFailure>, 35> kNamed{{
      {"ProvisionedThroughputExceededException", AwsFailure::throttled},
      {"LimitExceededException", AwsFailure::throttled},
      {"ThrottlingException", AwsFailure::throttled},
      {"RequestLimitExceeded", AwsFailure::throttled},
      {"KMSThrottlingException", AwsFailure::throttled},
      {"SlowDown", AwsFailure::throttled},
      {"ExpiredIteratorException", AwsFailure::expiredPlace},
      {"ExpiredNextTokenException", AwsFailure::expiredPlace},
      {"ExpiredTokenException", AwsFailure::oldKeys},
      {"ExpiredToken", AwsFailure::oldKeys},
      {"UnrecognizedClientException", AwsFailure::oldKeys},
      {"InvalidClientTokenId", AwsFailure::oldKeys},
      {"InvalidAccessKeyId", AwsFailure::oldKeys},
      {"InvalidToken", AwsFailure::oldKeys},
      {"TokenRefreshRequired", AwsFailure::oldKeys},
      {"RequestTimeTooSkewed", AwsFailure::clockSkew},
      {"RequestExpired", AwsFailure::clockSkew},
      {"InvalidSignatureException", AwsFailure::clockSkew},
      {"SignatureDoesNotMatch", AwsFailure::clockSkew},
      {"ResourceNotFoundException", AwsFailure::notFound},
      {"NoSuchKey", AwsFailure::notFound},
      {"NoSuchBucket", AwsFailure::notFound},
      {"NoSuchVersion", AwsFailure::notFound},
      {"AccessDenied", AwsFailure::denied},
      {"AccessDeniedException", AwsFailure::denied},
      {"KMSAccessDeniedException", AwsFailure::denied},
      {"ConditionalCheckFailedException", AwsFailure::changed},
      {"PreconditionFailed", AwsFailure::changed},
      {"InternalFailure", AwsFailure::unavailable},
      {"InternalFailureException", AwsFailure::unavailable},
      {"ResourceInUseException", AwsFailure::busy},
      {"KMSDisabledException", AwsFailure::denied},
      {"KMSInvalidStateException", AwsFailure::denied},
      {"KMSNotFoundException", AwsFailure::denied},
      {"KMSOptInRequired", AwsFailure::denied},
  }};
  const auto* const found =
      std::find_if(kNamed.begin(), kNamed.end(), [&](const auto& named) { return named.first == code; });
  return found != kNamed.end() ? found->second : failureByStatus(status);
}

std::optional<std::int64_t> secondsOfHttpDate(std::string_view text) {
  std::tm parts{};
  const std::string terminated(text);
  if (strptime(terminated.c_str(), "%a, %d %b %Y %H:%M:%S", &parts) == nullptr) return std::nullopt;
  return timegm(&parts);
}

std::pair<ErrorCode, Retry> meaningOf(AwsFailure failure) {
  switch (failure) {
    case AwsFailure::throttled:
    case AwsFailure::busy:
    case AwsFailure::unavailable:
    case AwsFailure::expiredPlace:
      return {ErrorCode::connectionFailed, Retry::later};
    case AwsFailure::oldKeys:
    case AwsFailure::clockSkew:
      return {ErrorCode::authenticationFailed, Retry::afterOperator};
    case AwsFailure::notFound:
      return {ErrorCode::tableNotFound, Retry::afterOperator};
    case AwsFailure::denied:
      return {ErrorCode::permissionDenied, Retry::afterOperator};
    case AwsFailure::changed:
      return {ErrorCode::queryFailed, Retry::later};
    case AwsFailure::invalid:
      break;
  }
  return {ErrorCode::queryFailed, Retry::never};
}

/// What of an endpoint is the Host field: the default ports go, as libcurl leaves them out.
std::string hostOf(const std::string& endpoint, const std::string& service) {
  const bool tls = endpoint.starts_with("https://");
  if (!tls && !endpoint.starts_with("http://")) {
    throw Error(ErrorCode::invalidConfig, Retry::never,
                fmt::format("the endpoint of {} must begin with http:// or https://", service));
  }
  std::string host = endpoint.substr(tls ? 8 : 7);
  if (host.empty() || host.find_first_of("/?#@") != host.npos) {
    throw Error(ErrorCode::invalidConfig, Retry::never,
                fmt::format("the endpoint of {} must be a host and perhaps a port, without a path or a user", service));
  }
  const std::string_view port = tls ? ":443" : ":80";
  if (host.ends_with(port)) host.resize(host.size() - port.size());
  return host;
}

}  // namespace

AwsService::AwsService(AwsServiceOptions options) : options_(std::move(options)) {
  while (options_.endpoint.ends_with('/')) options_.endpoint.pop_back();
  host_ = hostOf(options_.endpoint, options_.service);
  if (options_.clock == nullptr) options_.clock = &systemClock();
}

http::ClientRequest AwsService::sign(const AwsRequest& request, const std::stop_token& stop) {
  const Credentials credentials = options_.credentials->get(stop);
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(options_.clock->wallNow()) + skew_;
  const std::string date = amzDate(now.count());
  const std::string path = uriEncode(request.path, true);
  Signable signable{.method = request.method,
                    // S3 alone takes the path as it is sent; the others encode what was sent once more.
                    .canonicalPath = options_.service == "s3" ? path : uriEncode(path, true),
                    .query = request.query,
                    .headers = request.headers,
                    .payloadHash = sha256Hex(request.body)};
  signable.headers.set("host", host_);
  signable.headers.set("x-amz-date", date);
  if (options_.service == "s3") signable.headers.set("x-amz-content-sha256", signable.payloadHash);
  if (!credentials.sessionToken.empty()) signable.headers.set("x-amz-security-token", credentials.sessionToken);
  http::ClientRequest out{.method = request.method,
                          .url = options_.endpoint + path,
                          .headers = signable.headers,
                          .body = request.body,
                          .timeout = request.timeout,
                          .idleTimeout = request.idleTimeout,
                          .repeatable = false,
                          .http2 = options_.http2};
  if (!request.query.empty()) out.url += "?" + canonicalQuery(request.query);
  out.headers.set("authorization", authorization(signable, {options_.region, options_.service}, credentials, date));
  out.headers.remove("host");  // libcurl's own, which is the same
  return out;
}

std::optional<AwsError> AwsService::failureOf(const http::Response& response, std::string_view what) {
  if ((response.status >= 200 && response.status < 300) || response.status == 304) return std::nullopt;
  const AwsComplaint complaint = complaintOf(response);
  AwsFailure failure = failureNamed(complaint.code, response.status);
  if (failure == AwsFailure::clockSkew) {
    const auto theirs = secondsOfHttpDate(response.headers.get("date"));
    const auto ours = std::chrono::duration_cast<std::chrono::seconds>(options_.clock->wallNow()) + skew_;
    // A signature is good for five minutes (S3: fifteen). Within them it is the signature that is wrong, not the time.
    if (theirs && std::abs(*theirs - ours.count()) > 240)
      skew_ += std::chrono::seconds(*theirs) - ours;
    else
      failure = AwsFailure::oldKeys;
  }
  if (failure == AwsFailure::oldKeys) options_.credentials->refused();
  const auto [code, retry] = meaningOf(failure);
  return AwsError(failure, code, retry,
                  fmt::format("{} at {}: status {} {}{}{}", what, options_.endpoint, response.status, complaint.code,
                              complaint.text.empty() ? "" : ": ", redactSecrets(complaint.text.substr(0, 300))));
}

http::Response AwsService::call(http::Client& client, const AwsRequest& request, std::string_view what,
                                const std::stop_token& stop) {
  bool mended = false;
  for (;;) {
    http::Response response = client.perform(sign(request, stop), stop);
    const std::optional<AwsError> failure = failureOf(response, what);
    if (!failure) return response;
    const bool mendable = failure->failure() == AwsFailure::oldKeys || failure->failure() == AwsFailure::clockSkew;
    if (!mendable || mended) throw AwsError(*failure);
    mended = true;
  }
}

AwsRequest jsonRequest(std::string_view target, std::string_view version, std::string body) {
  return {.headers = {{"content-type", fmt::format("application/x-amz-json-{}", version)},
                      {"x-amz-target", std::string(target)}},
          .body = std::move(body)};
}

}  // namespace tidegate::kinesis::detail
