#include "http/detail/cors.h"

#include <algorithm>

#include "http/detail/text.h"
#include "tidegate/core/error.h"

namespace tidegate::http::detail {
namespace {

std::string joined(const std::vector<std::string>& list) {
  std::string out;
  for (const std::string& one : list) out.append(out.empty() ? "" : ", ").append(one);
  return out;
}

void checkTokens(const std::vector<std::string>& list, const char* option) {
  for (const std::string& one : list) {
    if (!isToken(one)) {
      throw Error(ErrorCode::invalidConfig, Retry::never,
                  std::string("Cors::") + option + ": \"" + one + "\" is no name; give names alone");
    }
  }
}

void checkOrigin(const std::string& origin) {
  const std::size_t scheme = origin.find("://");
  const bool plain = scheme != std::string::npos && scheme > 0 && scheme + 3 < origin.size() &&
                     origin.find_first_of("/?#*, \r\n", scheme + 3) == std::string::npos && isFieldValue(origin);
  if (!plain) {
    throw Error(ErrorCode::invalidConfig, Retry::never,
                "Cors::origins: \"" + origin + "\" is no origin; write \"https://example.org\" or \"*\"");
  }
}

}  // namespace

CorsRules::CorsRules(const Cors& cors) : maxAge_(std::to_string(cors.maxAge.count())) {
  checkTokens(cors.methods, "methods");
  checkTokens(cors.requestHeaders, "requestHeaders");
  checkTokens(cors.exposed, "exposed");
  methods_ = joined(cors.methods);
  requestHeaders_ = joined(cors.requestHeaders);
  std::string common;
  if (!cors.exposed.empty()) common = "Access-Control-Expose-Headers: " + joined(cors.exposed) + "\r\n";
  for (const std::string& origin : cors.origins) {
    if (origin == "*") {
      any_ = true;
      anyFields_ = "Access-Control-Allow-Origin: *\r\n" + common;
      continue;
    }
    checkOrigin(origin);
    origins_.push_back({origin, "Access-Control-Allow-Origin: " + origin + "\r\nVary: Origin\r\n" + common});
  }
  if (!any_ && !origins_.empty()) otherFields_ = "Vary: Origin\r\n";
}

const CorsRules::Origin* CorsRules::find(std::string_view origin) const noexcept {
  const auto at = std::find_if(origins_.begin(), origins_.end(), [&](const Origin& o) { return o.name == origin; });
  return at == origins_.end() ? nullptr : &*at;
}

std::string_view CorsRules::fieldsFor(const Request& request) const {
  if (any_) return anyFields_;
  if (origins_.empty()) return {};
  const Origin* origin = find(request.headers.get("origin"));
  return origin ? std::string_view(origin->fields) : std::string_view(otherFields_);
}

bool CorsRules::mayUpgrade(const Request& request) const {
  const std::string_view origin = request.headers.get("origin");
  if (origin.empty() || any_ || find(origin)) return true;
  // Behind a proxy that ends TLS the schemes differ, so hosts alone are compared.
  const std::size_t host = origin.find("://");
  return host != origin.npos && sameName(origin.substr(host + 3), request.headers.get("host"));
}

std::optional<Response> CorsRules::preflight(const Request& request) const {
  if (!open() || request.method != "OPTIONS" || !request.headers.has("access-control-request-method"))
    return std::nullopt;
  if (!any_ && !find(request.headers.get("origin"))) return problem(403, "this origin is not allowed");
  return Response{.status = 204};
}

std::string CorsRules::preflightFields(const Request& request) const {
  std::string out(fieldsFor(request));
  if (!any_ && !find(request.headers.get("origin"))) return out;
  out += "Access-Control-Allow-Methods: " + methods_ + "\r\n";
  const std::string_view asked = request.headers.get("access-control-request-headers");
  const std::string_view allowed = requestHeaders_.empty() ? asked : std::string_view(requestHeaders_);
  if (!allowed.empty()) out.append("Access-Control-Allow-Headers: ").append(allowed).append("\r\n");
  if (requestHeaders_.empty() && !asked.empty()) out += "Vary: Access-Control-Request-Headers\r\n";
  return out + "Access-Control-Max-Age: " + maxAge_ + "\r\n";
}

}  // namespace tidegate::http::detail
