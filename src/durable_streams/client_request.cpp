#include "durable_streams/detail/client_request.h"

#include <algorithm>

#include "durable_streams/detail/json_body.h"

namespace tidegate::durable_streams::detail {
namespace {

void setParameter(Query& query, std::string_view name, std::string value) {
  const auto at = std::find_if(query.begin(), query.end(), [&](const auto& entry) { return entry.first == name; });
  if (at == query.end()) {
    query.emplace_back(name, std::move(value));
  } else {
    at->second = std::move(value);
  }
}

std::string queryText(Query query) {
  std::sort(query.begin(), query.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string text;
  for (const auto& [name, value] : query) {
    text += text.empty() ? '?' : '&';
    text += http::percentEncode(name);
    text += '=';
    text += http::percentEncode(value);
  }
  return text;
}

}  // namespace

http::ClientRequest makeRequest(const Ask& ask, const std::vector<const RequestFields*>& headers,
                                const std::vector<const RequestFields*>& params) {
  http::ClientRequest request{.method = ask.method,
                              .headers = {},
                              .body = ask.body,
                              .timeout = ask.timeout,
                              .idleTimeout = ask.idleTimeout,
                              .maxBodyBytes = ask.maxBodyBytes,
                              .repeatable = ask.repeatable};
  for (const RequestFields* fields : headers) {
    for (const auto& [name, value] : *fields) request.headers.set(name, value());
  }
  for (const auto& [name, value] : ask.headers) request.headers.set(name, value);

  request.url = withoutQuery(ask.url);
  Query query;
  if (request.url.size() < ask.url.size()) query = http::queryParameters(ask.url.substr(request.url.size() + 1));
  for (const RequestFields* fields : params) {
    for (const auto& [name, value] : *fields) setParameter(query, name, value());
  }
  for (const auto& [name, value] : ask.query) setParameter(query, name, value);
  request.url += queryText(std::move(query));
  return request;
}

bool saysTrue(const http::Headers& headers, std::string_view name) {
  const std::string_view value = headers.get(name);
  static constexpr std::string_view kTrue = "true";
  return std::equal(value.begin(), value.end(), kTrue.begin(), kTrue.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b; });
}

std::string withoutQuery(std::string_view url) { return std::string(url.substr(0, url.find('?'))); }

bool isJsonType(std::string_view contentType) { return normalContentType(contentType) == "application/json"; }

}  // namespace tidegate::durable_streams::detail
