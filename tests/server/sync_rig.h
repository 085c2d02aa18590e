/// Gateways served on loopback, callers by name, and deltas to push.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tidegate/core/error.h"
#include "tidegate/core/json.h"
#include "tidegate/gateway/gateway.h"
#include "tidegate/http/client.h"
#include "tidegate/http/server.h"
#include "tidegate/server/sync_api.h"

namespace tidegate::server::test {

/// A token says who calls: "role:subject", then ";claim=value" as often as wanted. In `Authorization`, or in the query.
class TokenSaysAll final : public Authenticator {
 public:
  Identity identify(const http::Request& request) const override {
    std::string token(request.headers.get("authorization"));
    if (token.starts_with("Bearer ")) token.erase(0, 7);
    if (token.empty()) token = http::queryParameter(request.query, "token").value_or("");
    if (token.empty()) return {};
    Identity who;
    std::vector<std::string> parts = split(token, ';');
    const std::size_t colon = parts[0].find(':');
    const std::string role = parts[0].substr(0, colon);
    if (role != "client" && role != "admin") {
      throw Error(ErrorCode::authenticationFailed, Retry::never, "the token does not hold");
    }
    who.role = role == "admin" ? Role::admin : Role::client;
    if (colon != std::string::npos) who.subject = parts[0].substr(colon + 1);
    who.claims["sub"] = {who.subject};
    for (std::size_t i = 1; i < parts.size(); ++i) {
      const std::size_t equals = parts[i].find('=');
      who.claims[parts[i].substr(0, equals)].push_back(parts[i].substr(equals + 1));
    }
    return who;
  }

 private:
  static std::vector<std::string> split(const std::string& text, char at) {
    std::vector<std::string> parts{""};
    for (const char c : text) {
      if (c == at) {
        parts.emplace_back();
      } else {
        parts.back() += c;
      }
    }
    return parts;
  }
};

/// A delta stamped a little before the gateway's clock, with its id.
inline RowDelta deltaNow(Gateway& gateway, const std::string& client, const std::string& row,
                         std::vector<ColumnValue> columns, DeltaOp op = DeltaOp::insert,
                         const std::string& table = "todos") {
  RowDelta delta{op, table, row, client, std::move(columns), gateway.clock().now(), {}};
  delta.deltaId = computeDeltaId(delta);
  return delta;
}

/// Serves its gateways from construction to the end.
class SyncRig {
 public:
  explicit SyncRig(SyncApiOptions options = {}, http::ServerOptions serverOptions = {}, GatewayOptions main = {})
      : gateway(std::move(main)) {
    sync = std::make_unique<SyncApi>(
        std::vector<ServedGateway>{{.name = "main",
                                    .gateway = &gateway,
                                    .sources = {{"crm", &crm}},
                                    .onSyncRules = [this](const SyncRules& rules) { keptRules = rules.toJson(); },
                                    .onSchema = [this](const TableSchema& schema) { keptSchema = schema.table; },
                                    .onFlush = [this] { flush(); }},
                                   {.name = "other", .gateway = &other}},
        std::move(options));
    sync->addTo(api);
    server = std::make_unique<http::Server>(std::move(serverOptions), api.handler(std::make_shared<TokenSaysAll>()));
    server->onStopping([this] { sync->stop(); });
    server->start();
  }

  http::Response ask(const std::string& method, const std::string& path, const std::string& token,
                     std::string body = {}, http::Headers headers = {}) {
    if (!token.empty()) headers.add("authorization", "Bearer " + token);
    http::Client client;
    return client.perform({.method = method, .url = server->url() + path, .headers = headers, .body = std::move(body)});
  }
  http::Response push(const std::string& token, const SyncPush& push, const std::string& to = "main") {
    return ask("POST", "/v1/sync/" + to + "/push", token, toJson(push));
  }
  http::Response pull(const std::string& token, const std::string& query, const std::string& from = "main") {
    return ask("GET", "/v1/sync/" + from + "/pull?" + query, token);
  }

  Gateway gateway;
  Gateway other;
  Gateway crm;
  std::string keptRules{}, keptSchema{};
  std::function<void()> flush = [] {};
  Api api{{.title = "Sync"}};
  std::unique_ptr<SyncApi> sync;
  std::unique_ptr<http::Server> server;
};

inline nlohmann::json jsonOf(const http::Response& response) { return nlohmann::json::parse(response.body); }

}  // namespace tidegate::server::test
