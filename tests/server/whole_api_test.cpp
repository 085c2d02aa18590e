/// Everything that a server can serve in one table, asked by every kind of caller.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "jobs/jobs_rig.h"
#include "server/access_matrix.h"
#include "tidegate/gateway/gateway.h"
#include "tidegate/server/change_feed.h"
#include "tidegate/server/engine_api.h"
#include "tidegate/server/jobs_api.h"
#include "tidegate/server/status_page.h"
#include "tidegate/server/sync_api.h"

namespace tidegate::server::test {
namespace {

struct WholeApi : ::testing::Test {
  WholeApi() {
    addStatusPage(api);
    addOpenApiDocument(api);
    addJobsApi(api, *rig.jobs);
    addEngineApi(api, {});
    addChangeFeed(api, std::make_shared<ChangeFeed>());
    sync.addTo(api);
    server.emplace(http::ServerOptions{}, api.handler(matrix.authenticator()));
    server->onStopping([this] { sync.stop(); });
    server->start();
  }

  int status(const std::string& method, const std::string& path, const std::string& token,
             const std::string& body = {}) {
    http::ClientRequest request{.method = method, .url = server->url() + path, .body = body};
    if (!token.empty()) request.headers.add("authorization", "Bearer " + token);
    int seen = 0;
    http::Client client;
    try {
      client.stream(request,
                    [&](const http::Response& head) {
                      seen = head.status;
                      return false;
                    },
                    {});
    } catch (const Error& e) {
      if (seen == 0) ADD_FAILURE() << method << ' ' << path << ": " << e.what();
    }
    return seen;
  }

  AccessMatrix matrix;
  tidegate::test::JobsRig rig;
  Gateway gateway;
  Gateway other;
  SyncApi sync{{{.name = "g1", .gateway = &gateway}, {.name = "elsewhere", .gateway = &other}},
               {.clock = &matrix.clock()}};
  Api api;
  std::optional<http::Server> server;
};

TEST_F(WholeApi, IsForEachOperationsRoleAlone) {
  std::set<std::string> tags;
  std::size_t scoped = 0;
  for (const Operation& operation : api.operations()) {
    tags.insert(operation.tag);
    if (operation.pattern.find("{gateway}") != std::string::npos) ++scoped;
  }
  for (const char* part : {"page", "jobs", "engines", "admin", "sync", "sync admin"}) {
    EXPECT_TRUE(tags.contains(part)) << part << " is not among what is tried";
  }
  EXPECT_EQ(matrix.tryAll(api, server->url()), api.operations().size() * 10 + scoped);
}

/// What is neither the page nor its document is for somebody.
TEST_F(WholeApi, LeavesNothingOpenButThePage) {
  for (const Operation& operation : api.operations()) {
    EXPECT_EQ(operation.role == Role::anyone, operation.tag == "page") << operation.method << ' ' << operation.pattern;
  }
}

TEST_F(WholeApi, JudgesHeadAsGet) {
  for (const Operation& operation : api.operations()) {
    if (operation.method != "GET" || operation.role == Role::anyone) continue;
    EXPECT_EQ(status("HEAD", operation.pattern, ""), 401) << operation.pattern;
  }
}

/// From the signature to the rows: what a token claims is what its client sees.
TEST_F(WholeApi, ShowsAClientTheRowsThatItsTokensClaimsMatch) {
  gateway.setSyncRules(SyncRules::parse(R"({"version":1,"buckets":[{"name":"mine","tables":["todos"],
    "filters":[{"column":"owner","op":"eq","value":"jwt:sub"}]}]})"));
  SyncPush push{.clientId = "host"};
  for (const char* owner : {"ann", "bob"}) {
    push.deltas.push_back({.op = DeltaOp::insert,
                           .table = "todos",
                           .rowId = std::string("of-") + owner,
                           .clientId = "host",
                           .columns = {{"owner", Value(owner)}},
                           .hlc = gateway.clock().now()});
  }
  ASSERT_EQ(gateway.handlePush(push).applied, 2u);
  http::Client client;
  for (const std::string owner : {"ann", "bob"}) {
    const std::string token = makeToken("ES256", R"({"sub":")" + owner + R"(","exp":1700003600})");
    const auto page = client.perform({.url = server->url() + "/v1/sync/g1/pull?since=0&clientId=" + owner,
                                      .headers = {{"authorization", "Bearer " + token}}});
    ASSERT_EQ(page.status, 200) << page.body;
    const PullResult seen = pullResultFromJson(page.body);
    ASSERT_EQ(seen.deltas.size(), 1u) << page.body;
    EXPECT_EQ(seen.deltas[0].rowId, "of-" + owner);
  }
}

/// LakeSync's "gw": an admin's token that has it is for that gateway alone; one without it is for all.
TEST_F(WholeApi, KeepsAnAdminOfOneGatewayOutOfTheOthers) {
  const std::string admin = makeToken("HS256", R"({"sub":"a","role":"admin","gw":"g1","exp":1700003600})");
  std::size_t asked = 0;
  for (const Operation& operation : api.operations()) {
    const std::size_t at = operation.pattern.find("{gateway}");
    if (at == std::string::npos) continue;
    const auto path = [&](const std::string& name) { return std::string(operation.pattern).replace(at, 9, name); };
    const std::string body = operation.body.empty() ? "" : "{}";
    const std::string what = operation.method + " " + operation.pattern;
    EXPECT_EQ(status(operation.method, path("elsewhere"), admin, body), 403) << what;
    // Whether there is a gateway of a name is not told to who may not use it.
    EXPECT_EQ(status(operation.method, path("no-such"), admin, body), 403) << what;
    EXPECT_EQ(status(operation.method, path("no-such"), matrix.adminToken(), body), 404) << what;
    EXPECT_NE(status(operation.method, path("elsewhere"), matrix.adminToken(), body), 403) << what;
    ++asked;
  }
  EXPECT_GE(asked, 11u);
}

/// The same name, written another way, is the same gateway.
TEST_F(WholeApi, IsNotFooledByHowAGatewaysNameIsWritten) {
  const std::string mine = matrix.clientToken("g1");
  for (const char* name : {"elsewher%65", "%65lsewhere", "elsewhere%00", "g1%2F..%2Felsewhere", "..%2Felsewhere"}) {
    const int seen = status("GET", std::string("/v1/sync/") + name + "/pull?since=0&clientId=client-1", mine);
    EXPECT_TRUE(seen == 400 || seen == 403 || seen == 404) << name << ": " << seen;
  }
  EXPECT_EQ(status("GET", "/v1/sync/%671/pull?since=0&clientId=client-1", mine), 200);
}

}  // namespace
}  // namespace tidegate::server::test
