#include "tidegate/server/auth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <sstream>

#include "server/expect_error.h"
#include "server/jwt_signer.h"
#include "support/manual_clock.h"
#include "tidegate/http/client.h"
#include "tidegate/server/api.h"

namespace tidegate::server {
namespace {

using test::makeToken;
using test::signers;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kAdmin = "an-admin-token-of-the-operator";
const std::string kClient = "a-client-token-0123456789";

http::Request withField(const std::string& value, const std::string& name = "Authorization") {
  http::Request request;
  request.method = "GET";
  request.headers.add(name, value);
  return request;
}

struct TokenAuth : ::testing::Test {
  TokenAuthenticator make(bool queryToken = false) {
    const auto keys = std::make_shared<FixedJwtKeys>(std::vector{JwtKey::secret(signers().secret)});
    return TokenAuthenticator(
        {.tokens = {{.token = kAdmin},
                    {.token = kClient, .role = Role::client, .subject = "c", .claims = {{"t", {"1"}}}}},
         .jwt = JwtVerifier({.clock = &clock}, keys),
         .queryToken = queryToken});
  }
  tidegate::test::ManualClock clock{};
  std::string jwt = makeToken("HS256", R"({"sub":"u7","exp":1700003600})");
};

TEST_F(TokenAuth, KnowsStaticTokensAndJwt) {
  const auto auth = make();
  EXPECT_EQ(auth.identify(withField("Bearer " + kAdmin)).role, Role::admin);
  const Identity client = auth.identify(withField("bearer  " + kClient, "authorization"));
  EXPECT_EQ(client.role, Role::client);
  EXPECT_EQ(client.subject, "c");
  EXPECT_EQ(client.claims.at("t").front(), "1");
  EXPECT_FALSE(client.until);
  EXPECT_EQ(auth.identify(withField("BEARER " + jwt)).subject, "u7");
  EXPECT_EQ(auth.identifyToken(jwt).subject, "u7");
  EXPECT_EQ(auth.identify({}).role, Role::anyone);
}

TEST_F(TokenAuth, GivesAStaticTokensSubjectToSyncRulesAsAJwtDoes) {
  const auto auth = make();
  EXPECT_EQ(auth.identifyToken(kClient).claims.at("sub"), std::vector<std::string>{"c"});
  EXPECT_EQ(auth.identifyToken(jwt).claims.at("sub"), std::vector<std::string>{"u7"});
  const TokenAuthenticator own({.tokens = {{.token = kClient, .subject = "c", .claims = {{"sub", {"given"}}}}}});
  EXPECT_EQ(own.identifyToken(kClient).claims.at("sub"), std::vector<std::string>{"given"});
}

TEST_F(TokenAuth, RefusesWhatItDoesNotKnow) {
  const auto auth = make();
  for (const std::string& value :
       {std::string(), std::string("Bearer"), std::string("Bearer "), "Basic " + kAdmin, kAdmin, "Bearer" + kAdmin,
        "Bearer " + kAdmin + "x", "Bearer " + kAdmin.substr(1), "Bearer " + kAdmin + " ", "Bearer " + kAdmin + " x",
        "Bearer, " + kAdmin, std::string("Bearer a.b.c"), "Bearer " + jwt + "x", "Bearer\t" + kAdmin}) {
    EXPECT_ERROR(auth.identify(withField(value)), ErrorCode::authenticationFailed, "") << value;
  }
  http::Request two = withField("Bearer " + kAdmin);
  two.headers.add("authorization", "Bearer " + kClient);
  EXPECT_ERROR(auth.identify(two), ErrorCode::authenticationFailed, "more than one");
}

TEST_F(TokenAuth, TakesATokenFromTheQueryOnlyWhereAllowedAndForAGet) {
  http::Request request;
  request.method = "GET";
  const auto auth = make(true);
  for (const char* name : {"token", "access_token"}) {
    request.query = std::string("since=5&") + name + "=" + kClient + "&x=1";
    EXPECT_EQ(make().identify(request).role, Role::anyone);
    EXPECT_EQ(auth.identify(request).role, Role::client);
  }
  request.method = "POST";
  EXPECT_EQ(auth.identify(request).role, Role::anyone);
  request.method = "GET";
  for (const std::string& query :
       {"access_token=" + kClient + "x", "access_token=" + kClient + "&access_token=" + kClient,
        "access_token=" + kClient + "&token=" + kClient, std::string("access_token="), std::string("token="),
        std::string("access_token=a%20b.c.d")}) {
    request.query = query;
    EXPECT_ERROR(auth.identify(request), ErrorCode::authenticationFailed, "") << query;
  }
  for (const std::string& query :
       {"access%5ftoken=" + kClient, "Access_Token=" + kClient, "xaccess_token=" + kClient}) {
    request.query = query;
    EXPECT_EQ(auth.identify(request).role, Role::anyone) << query;
  }
  request.query = "access_token=" + kClient;
  request.headers.add("Authorization", "Bearer " + kClient);
  EXPECT_ERROR(auth.identify(request), ErrorCode::authenticationFailed, "twice");
}

TEST_F(TokenAuth, LeavesNoTokenInTheLogOrInAnAnswer) {
  std::ostringstream text;
  const auto logger =
      std::make_shared<spdlog::logger>("tidegate.http", std::make_shared<spdlog::sinks::ostream_sink_st>(text));
  spdlog::register_logger(logger);
  {
    Api api;
    api.add({.method = "GET",
             .pattern = "/mine",
             .role = Role::client,
             .name = "mine",
             .summary = "Says who",
             .handler = [](Call&& call, http::Responder answer) { answer.send({.body = call.who.subject}); }});
    http::Server server({.accessLog = true}, api.handler(std::make_shared<TokenAuthenticator>(make(true))));
    server.start();
    http::Client client;
    std::vector<std::pair<std::string, int>> asked{{"/mine?token=" + kClient, 200},
                                                   {"/mine?t%6fken=" + kClient, 401},
                                                   {"/mine?access_token=" + kClient, 200},
                                                   {"/mine?access_token=" + jwt, 200},
                                                   {"/mine?access_token=" + kClient + "x", 401},
                                                   {"/mine?access%5ftoken=" + kClient, 401},
                                                   {"/mine?acces%73_%74oken=" + kClient, 401},
                                                   {"/nothing?access_token=" + kClient, 404}};
    for (const auto& [target, status] : asked) {
      const auto answer = client.perform({.url = server.url() + target});
      EXPECT_EQ(answer.status, status) << target;
      EXPECT_THAT(answer.body, Not(HasSubstr(kClient)));
    }
    const auto forged =
        client.perform({.url = server.url() + "/mine", .headers = {{"authorization", "Bearer " + kClient + "x"}}});
    EXPECT_EQ(forged.status, 401);
    EXPECT_THAT(forged.body, Not(HasSubstr(kClient)));
    server.stop(std::chrono::seconds(5));
  }
  spdlog::drop("tidegate.http");
  EXPECT_THAT(text.str(), HasSubstr("GET /mine?access_token=***\" 200"));
  EXPECT_THAT(text.str(), Not(HasSubstr(kClient)));
  EXPECT_THAT(text.str(), Not(HasSubstr(jwt.substr(0, 20))));
}

TEST(TokenAuthOptions, RefuseWhatCannotWork) {
  EXPECT_ERROR(TokenAuthenticator({}), ErrorCode::invalidConfig, "nobody");
  EXPECT_ERROR(TokenAuthenticator({.tokens = {{.token = "short"}}}), ErrorCode::invalidConfig, "16");
  EXPECT_ERROR(TokenAuthenticator({.tokens = {{.token = "with a space in the middle"}}}), ErrorCode::invalidConfig,
               "16");
  EXPECT_ERROR(TokenAuthenticator({.tokens = {{.token = kAdmin}, {.token = kAdmin, .role = Role::client}}}),
               ErrorCode::invalidConfig, "twice");
}

}  // namespace
}  // namespace tidegate::server
