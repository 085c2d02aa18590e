/// An api behind a real server, with a token for each role.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "server/token_is_role.h"
#include "tidegate/core/error.h"
#include "tidegate/http/client.h"
#include "tidegate/http/server.h"
#include "tidegate/server/api.h"

namespace tidegate::server::test {

struct Told {
  int status = 0;
  nlohmann::json body{};
  std::string text{};
  http::Headers headers{};
};

/// Serves what was added to `api` by then.
struct AdminRig {
  void serve() {
    server = std::make_unique<http::Server>(http::ServerOptions{}, api.handler(std::make_shared<TokenIsRole>()));
    server->start();
  }
  Told ask(std::string method, const std::string& path, std::string body = {}, const std::string& token = "admin") {
    http::ClientRequest request{.method = std::move(method), .url = server->url() + path, .body = std::move(body)};
    if (!token.empty()) request.headers.add("authorization", "Bearer " + token);
    http::Client client;
    const http::Response answer = client.perform(request);
    return {.status = answer.status,
            .body = nlohmann::json::parse(answer.body, nullptr, false),
            .text = answer.body,
            .headers = answer.headers};
  }

  Api api{{.title = "Tidegate"}};
  std::unique_ptr<http::Server> server;
};

}  // namespace tidegate::server::test
