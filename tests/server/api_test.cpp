#include "tidegate/server/api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "server/token_is_role.h"
#include "tidegate/core/error.h"
#include "tidegate/http/client.h"

namespace tidegate::server {
namespace {

using ::testing::HasSubstr;

struct ServedApi : ::testing::Test {
  void serve(ApiOptions options = {}) {
    api = std::make_unique<Api>(std::move(options));
    for (const auto& [name, role] :
         {std::pair("open", Role::anyone), {"clients", Role::client}, {"admins", Role::admin}}) {
      api->add({.method = "GET",
                .pattern = "/" + std::string(name) + "/{id}",
                .role = role,
                .name = name,
                .summary = "Says its id",
                .handler = [](Call&& call, http::Responder answer) {
                  answer.send({.body = call.who.subject + ":" + std::string(call.path("id"))});
                }});
    }
    api->add({.method = "POST",
              .pattern = "/slow",
              .role = Role::client,
              .name = "slow",
              .summary = "Waits",
              .blocking = [this](Call&& call) -> http::Response {
                thread = std::this_thread::get_id();
                if (call.request.body == "bad") throw Error(ErrorCode::invalidArgument, Retry::never, "\"bad\" is bad");
                return {.status = 201, .body = call.request.body};
              }});
    server = std::make_unique<http::Server>(http::ServerOptions{}, api->handler(std::make_shared<test::TokenIsRole>()));
    server->start();
  }
  http::Response ask(std::string path, std::string token, std::string method = "GET", std::string body = {}) {
    http::ClientRequest request{.method = std::move(method), .url = server->url() + path, .body = std::move(body)};
    if (!token.empty()) request.headers.add("authorization", "Bearer " + token);
    return client.perform(request);
  }

  std::unique_ptr<Api> api;
  std::unique_ptr<http::Server> server;
  http::Client client;
  std::thread::id thread{};
};

TEST_F(ServedApi, EachRoleReachesItsOwnAndWhatLiesBelow) {
  serve();
  const std::vector<std::tuple<std::string, std::string, int>> expected{
      {"/open/1", "", 200},       {"/open/1", "client", 200},    {"/open/1", "admin", 200},
      {"/clients/1", "", 401},    {"/clients/1", "client", 200}, {"/clients/1", "admin", 200},
      {"/admins/1", "", 401},     {"/admins/1", "client", 403},  {"/admins/1", "admin", 200},
      {"/open/1", "forged", 401}, {"/clients/1", "forged", 401}, {"/nothing", "admin", 404}};
  for (const auto& [path, token, status] : expected) {
    const auto answer = ask(path, token);
    EXPECT_EQ(answer.status, status) << path << " as '" << token << "': " << answer.body;
    EXPECT_EQ(answer.headers.has("www-authenticate"), status == 401);
    EXPECT_THAT(answer.body, ::testing::Not(HasSubstr("forged")));
  }
  EXPECT_EQ(ask("/clients/a%2Fb", "client").body, "c:a/b");
}

TEST_F(ServedApi, WhatMayWaitRunsOnAThreadOfItsOwnAndItsFailuresAreAnswers) {
  serve();
  EXPECT_EQ(ask("/slow", "client", "POST", "x").status, 201);
  EXPECT_NE(thread, std::thread::id{});
  const auto failed = ask("/slow", "client", "POST", "bad");
  EXPECT_EQ(failed.status, 400);
  EXPECT_THAT(failed.body, HasSubstr("is bad"));
}

TEST_F(ServedApi, WhoIsNotAdmittedIsTold) {
  using std::chrono::milliseconds;
  serve({.admit = [](const http::Request&, const Identity& who) -> std::optional<milliseconds> {
           if (who.role == Role::client) return milliseconds(1'001);
           return std::nullopt;
         },
         .admitAddress = [](const http::Request& request) -> std::optional<milliseconds> {
           if (request.query == "flood") return milliseconds(0);
           return std::nullopt;
         }});
  const auto told = ask("/clients/1", "client");
  EXPECT_EQ(told.status, 429);
  EXPECT_EQ(told.headers.get("retry-after"), "2");
  EXPECT_EQ(ask("/clients/1", "admin").status, 200);
  // Before a token is looked at.
  const auto flood = ask("/clients/1?flood", "forged");
  EXPECT_EQ(flood.status, 429);
  EXPECT_EQ(flood.headers.get("retry-after"), "1");
}

TEST_F(ServedApi, TheDocumentNamesEveryOperationWithItsRole) {
  serve();
  const auto document = nlohmann::json::parse(api->openApi());
  EXPECT_EQ(document["openapi"], "3.1.0");
  for (const Operation& operation : api->operations()) {
    const std::string method = operation.method == "GET" ? "get" : "post";
    const auto& entry = document["paths"][operation.pattern][method];
    EXPECT_EQ(entry["operationId"], operation.name);
    EXPECT_EQ(entry["security"].empty(), operation.role == Role::anyone);
    EXPECT_TRUE(entry["responses"].contains("default"));
  }
  EXPECT_EQ(document["paths"]["/open/{id}"]["get"]["parameters"][0]["name"], "id");
}

TEST(Api, RefusesAnOperationThatCannotBeServed) {
  Api api;
  const auto handler = [](Call&&, http::Responder answer) { answer.send({}); };
  EXPECT_THROW(api.add({.method = "GET", .pattern = "/a", .name = "a", .summary = "A"}), Error);
  EXPECT_THROW(api.add({.method = "GET", .pattern = "/a", .summary = "A", .handler = handler}), Error);
  EXPECT_THROW(
      api.add({.method = "GET", .pattern = "/a", .name = "a", .summary = "A", .body = "{}", .handler = handler}),
      Error);
}

}  // namespace
}  // namespace tidegate::server
