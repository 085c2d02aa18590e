#include "server/detail/json_answers.h"

#include <fmt/format.h>

#include <charconv>

#include "tidegate/core/json.h"

namespace tidegate::server::detail {

http::Response jsonAnswer(int status, std::string body) {
  return {.status = status,
          .headers = {{"content-type", "application/json"}, {"cache-control", "no-store"}},
          .body = std::move(body)};
}

http::Response problemOf(int status, const Error& error) {
  http::Response answer = http::problem(status, error.message());
  std::string more = ",\"code\":";
  appendJsonString(toString(error.code()), more);
  more += ",\"retry\":";
  appendJsonString(toString(error.retry()), more);
  answer.body.insert(answer.body.rfind('}'), more);
  answer.headers.set("cache-control", "no-store");
  return answer;
}

std::uint64_t numberParameter(const Call& call, std::string_view name, std::uint64_t otherwise, std::uint64_t low,
                              std::uint64_t high) {
  const auto text = http::queryParameter(call.request.query, name);
  if (!text) return otherwise;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error == std::errc() && end == text->data() + text->size() && value >= low && value <= high) return value;
  throw BadParameter(fmt::format("query parameter \"{}\" must be a whole number from {} to {}", name, low, high));
}

bool flagParameter(const Call& call, std::string_view name, bool otherwise) {
  const auto text = http::queryParameter(call.request.query, name);
  if (!text) return otherwise;
  if (*text == "true") return true;
  if (*text == "false") return false;
  throw BadParameter(fmt::format("query parameter \"{}\" must be true or false", name));
}

std::string schemaReference(std::string_view name) {
  return fmt::format(R"({{"$ref":"#/components/schemas/{}"}})", name);
}

Answer mistake(int status, std::string description) {
  return {.status = status,
          .description = std::move(description),
          .mediaType = "application/problem+json",
          .schema = schemaReference("AdminProblem")};
}

}  // namespace tidegate::server::detail
