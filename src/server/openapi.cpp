#include <nlohmann/json.hpp>

#include <string>
#include <utility>

#include "server/detail/api_impl.h"
#include "tidegate/server/api.h"

namespace tidegate::server {
namespace {

using Json = nlohmann::ordered_json;

/// "/a/{rest...}" as OpenAPI writes it, and the names of its parameters.
std::pair<std::string, Json> pathOf(const std::string& pattern) {
  std::string path;
  Json parameters = Json::array();
  for (std::size_t at = 0; at < pattern.size(); ++at) {
    if (pattern[at] != '{') {
      path += pattern[at];
      continue;
    }
    const std::size_t end = pattern.find('}', at);
    std::string name = pattern.substr(at + 1, end - at - 1);
    if (name.ends_with("...")) name.resize(name.size() - 3);
    path += '{' + name + '}';
    parameters.push_back({{"name", name}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}});
    at = end;
  }
  return {path, parameters};
}

Json contentOf(const std::string& mediaType, const std::string& schema) {
  Json media = Json::object();
  if (!schema.empty()) media["schema"] = Json::parse(schema);
  return {{mediaType, std::move(media)}};
}

Json answersOf(const Operation& operation) {
  Json answers = Json::object();
  for (const Answer& answer : operation.answers) {
    Json entry{{"description", answer.description}};
    if (!answer.mediaType.empty()) entry["content"] = contentOf(answer.mediaType, answer.schema);
    answers[std::to_string(answer.status)] = std::move(entry);
  }
  const Json failure{{"description", "What went wrong, and the remedy (RFC 9457)"},
                     {"content", {{"application/problem+json", Json::object()}}}};
  if (operation.role != Role::anyone) {
    for (const char* status : {"401", "403"}) answers[status] = failure;
  }
  answers["default"] = failure;
  return answers;
}

Json describe(const Operation& operation, Json parameters) {
  Json entry{{"operationId", operation.name}, {"summary", operation.summary}};
  if (!operation.tag.empty()) entry["tags"] = Json::array({operation.tag});
  for (const QueryParameter& parameter : operation.query) {
    parameters.push_back({{"name", parameter.name},
                          {"in", "query"},
                          {"required", parameter.required},
                          {"description", parameter.description},
                          {"schema", Json::parse(parameter.schema)}});
  }
  if (!parameters.empty()) entry["parameters"] = std::move(parameters);
  if (!operation.body.empty()) {
    entry["requestBody"] = {{"required", true}, {"content", contentOf(operation.bodyType, operation.body)}};
  }
  entry["responses"] = answersOf(operation);
  entry["x-tidegate-role"] = operation.role == Role::admin    ? "admin"
                             : operation.role == Role::client ? "client"
                                                              : "anyone";
  entry["security"] = operation.role == Role::anyone ? Json::array() : Json::array({{{"bearer", Json::array()}}});
  return entry;
}

}  // namespace

std::string Api::openApi() const {
  Json document{{"openapi", "3.1.0"}, {"info", {{"title", impl_->options.title}, {"version", impl_->options.version}}}};
  Json& paths = document["paths"] = Json::object();
  for (const Operation& operation : impl_->operations) {
    auto [path, parameters] = pathOf(operation.pattern);
    std::string method;
    for (const char c : operation.method) method += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    paths[path][method] = describe(operation, std::move(parameters));
  }
  Json& components = document["components"];
  components["securitySchemes"]["bearer"] = {{"type", "http"}, {"scheme", "bearer"}};
  Json& schemas = components["schemas"] = Json::object();
  for (const auto& [name, schema] : impl_->schemas) schemas[name] = Json::parse(schema);
  return document.dump(2);
}

}  // namespace tidegate::server
