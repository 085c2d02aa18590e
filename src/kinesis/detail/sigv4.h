/// AWS Signature Version 4, after "Signing AWS API requests" in the IAM User Guide. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tidegate/http/message.h"
#include "tidegate/kinesis/credentials.h"

namespace tidegate::kinesis::detail {

using QueryParameters = std::vector<std::pair<std::string, std::string>>;  ///< not encoded

/// What is signed of a request.
struct Signable {
  std::string method{};
  std::string canonicalPath{};  ///< encoded as the service's rules want it; begins with '/'
  QueryParameters query{};
  http::Headers headers{};  ///< all of them are signed; `host` and `x-amz-date` among them
  std::string payloadHash{};
};

struct SigningScope {
  std::string region{};
  std::string service{};
};

std::string sha256Hex(std::string_view octets);
/// All but RFC 3986's unreserved characters, in upper case; '/' stays where asked.
std::string uriEncode(std::string_view text, bool keepSlash = false);
/// Encoded, sorted by encoded name and value; every name has its '='.
std::string canonicalQuery(const QueryParameters& query);
/// "20150830T123600Z".
std::string amzDate(std::int64_t unixSeconds);

std::string canonicalRequest(const Signable& request);
std::string stringToSign(const Signable& request, const SigningScope& scope, std::string_view date);
/// The Authorization header's value. `date` is the request's `x-amz-date`.
std::string authorization(const Signable& request, const SigningScope& scope, const Credentials& credentials,
                          std::string_view date);

}  // namespace tidegate::kinesis::detail
