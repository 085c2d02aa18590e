#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include "server/access_matrix.h"

namespace tidegate::server {
namespace {

/// An Api with an operation of each kind. `leaky`: one that forgets to look whose gateway is meant.
std::unique_ptr<Api> sampleApi(bool leaky = false) {
  auto api = std::make_unique<Api>();
  const auto answer = [](Call&& call, http::Responder to) {
    const auto gw = call.who.claims.find("gw");
    const bool other = !call.path("gateway").empty() && call.who.role == Role::client &&
                       (gw == call.who.claims.end() || gw->second.front() != call.path("gateway"));
    to.send(other ? http::problem(403, "this token is for another gateway") : http::Response{.status = 200});
  };
  const auto blocking = [](Call&&) { return http::Response{.status = 202}; };
  api->add(
      {.method = "GET", .pattern = "/open", .role = Role::anyone, .name = "open", .summary = "O", .handler = answer});
  api->add({.method = "GET",
            .pattern = "/v1/{gateway}/pull",
            .role = Role::client,
            .name = "pull",
            .summary = "P",
            .handler = answer});
  api->add({.method = "POST",
            .pattern = "/v1/{gateway}/push",
            .role = Role::client,
            .name = "push",
            .summary = "P",
            .body = "{}",
            .handler = answer});
  api->add({.method = "POST",
            .pattern = "/v1/{gateway}/flush",
            .role = Role::admin,
            .name = "flush",
            .summary = "F",
            .blocking = blocking});
  api->add({.method = "DELETE",
            .pattern = "/jobs/{name}",
            .role = Role::admin,
            .name = "remove",
            .summary = "R",
            .blocking = blocking});
  api->add({.method = "PATCH",
            .pattern = "/jobs/{name}",
            .name = "change",
            .summary = "C",
            .body = "{}",
            .blocking = blocking});
  if (leaky) {
    api->add({.method = "GET",
              .pattern = "/v1/{gateway}/leak",
              .role = Role::client,
              .name = "leak",
              .summary = "L",
              .handler = [](Call&&, http::Responder to) { to.send({.status = 200}); }});
  }
  return api;
}

std::size_t tryApi(const Api& api) {
  test::AccessMatrix matrix;
  http::Server server({}, api.handler(matrix.authenticator()));
  server.start();
  return matrix.tryAll(api, server.url());
}

TEST(Access, OfEachOperationIsForItsRoleAlone) { EXPECT_EQ(tryApi(*sampleApi()), 6u * 10 + 3); }

TEST(Access, MatrixSeesAnOperationThatForgetsWhoseGatewayIsMeant) {
  const auto api = sampleApi(true);
  EXPECT_NONFATAL_FAILURE(tryApi(*api), "as a client of another gateway: 200");
}

}  // namespace
}  // namespace tidegate::server
