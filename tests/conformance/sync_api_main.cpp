// Serves a gateway "main" with the sync API. For `tests/conformance/run.sh lakesync`.
//
// A token is its caller's subject, in Authorization or in the query; "admin" is one. A row's column "owner" says who
// sees it, "all": everybody. Prints its URL, and ends when its input does.
#include <fmt/core.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <iostream>
#include <memory>
#include <string>

#include "tidegate/server/sync_api.h"

using namespace tidegate;

namespace {

class TokenIsSubject final : public server::Authenticator {
 public:
  server::Identity identify(const http::Request& request) const override {
    std::string token(request.headers.get("authorization"));
    token = token.starts_with("Bearer ") ? token.substr(7) : http::queryParameter(request.query, "token").value_or("");
    if (token.empty()) return {};
    if (token == "admin") return {.role = server::Role::admin, .subject = token};
    return {.role = server::Role::client, .subject = token, .claims = {{"sub", {token}}}};
  }
};

}  // namespace

int main() {
  spdlog::set_default_logger(spdlog::stderr_logger_mt("sync_api_server"));
  Gateway gateway({.rules = SyncRules::parse(R"({"version":1,"buckets":[
      {"name":"mine","tables":["todos"],"filters":[{"column":"owner","op":"eq","value":"jwt:sub"}]},
      {"name":"all","tables":["todos"],"filters":[{"column":"owner","op":"eq","value":"all"}]}]})")});
  server::SyncApi sync({{.name = "main", .gateway = &gateway}});
  server::Api api;
  sync.addTo(api);
  http::Server server({}, api.handler(std::make_shared<TokenIsSubject>()));
  server.onStopping([&] { sync.stop(); });
  server.start();
  fmt::print("Listening on {}\n", server.url());
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
  }
  return server.stop(std::chrono::seconds(2)) ? 0 : 1;
}
