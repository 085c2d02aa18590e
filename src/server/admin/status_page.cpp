#include "tidegate/server/status_page.h"

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "server/detail/status_page_files.h"

namespace tidegate::server {
namespace status_page_detail {

constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";

http::Response pageFile(const std::string& type, std::string_view body) {
  return {.headers = {{"content-type", type},
                      {"content-security-policy", kPolicy},
                      {"x-content-type-options", "nosniff"},
                      {"x-frame-options", "DENY"},
                      {"referrer-policy", "no-referrer"},
                      {"cross-origin-opener-policy", "same-origin"},
                      {"cache-control", "no-cache"}},
          .body = std::string(body)};
}

void addFile(Api& api, std::string pattern, std::string name, std::string summary, std::string type,
             std::string_view body) {
  Operation file;
  file.method = "GET";
  file.pattern = std::move(pattern);
  file.role = Role::anyone;
  file.name = std::move(name);
  file.summary = std::move(summary);
  file.tag = "page";
  file.answers = {
      {.description = "The file", .mediaType = type.substr(0, type.find(';')), .schema = R"({"type":"string"})"}};
  file.handler = [type = std::move(type), body](Call&&, http::Responder answer) { answer.send(pageFile(type, body)); };
  api.add(std::move(file));
}

}  // namespace status_page_detail

void addStatusPage(Api& api) {
  using namespace status_page_detail;
  addFile(api, "/", "statusPage", "The status page", "text/html; charset=utf-8", detail::kStatusHtml);
  addFile(api, "/status.js", "statusScript", "Its script", "text/javascript; charset=utf-8", detail::kStatusScript);
  addFile(api, "/status.css", "statusStyle", "Its style", "text/css; charset=utf-8", detail::kStatusStyle);
}

void addOpenApiDocument(Api& api) {
  struct Document {
    std::once_flag once;
    std::string text;
  };
  Operation document;
  document.method = "GET";
  document.pattern = "/openapi.json";
  document.role = Role::anyone;
  document.name = "openApi";
  document.summary = "This document";
  document.tag = "page";
  document.answers = {
      {.description = "OpenAPI 3.1", .mediaType = "application/json", .schema = R"({"type":"object"})"}};
  document.handler = [&api, kept = std::make_shared<Document>()](Call&&, http::Responder answer) {
    std::call_once(kept->once, [&] { kept->text = api.openApi(); });
    answer.send({.headers = {{"content-type", "application/json"}, {"cache-control", "no-cache"}}, .body = kept->text});
  };
  api.add(std::move(document));
}

}  // namespace tidegate::server
