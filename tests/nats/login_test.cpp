/// Real servers that want a login, or TLS, or both: who is let in, and what those hear who are not.
#include <gtest/gtest.h>

#include <cstdlib>
#include <stdexcept>

#include "nats/detail/jetstream.h"
#include "nats/nats_rig.h"
#include "nats/own_server.h"
#include "nats/test_logins.h"
#include "tidegate/nats/state_store.h"

namespace tidegate::nats {
namespace {

using detail::Connection;
using detail::Effect;
using testing::OwnServer;
using testing::TempFolder;

ConnectOptions optionsFor(const std::string& url) {
  ConnectOptions options{.servers = {url}};
  options.retryFor = std::chrono::milliseconds(0);
  return options;
}
ConnectOptions optionsFor(const OwnServer& server) { return optionsFor("nats://" + server.address()); }

/// Whether the server takes us, and what we ask reaches it.
bool letsIn(const ConnectOptions& options) {
  Connection connection(options);
  auto listener = connection.subscribe("echo");
  connection.publish("echo", "", "hello");
  const detail::Msg msg = listener.next(std::chrono::milliseconds(5'000));
  return msg && detail::bodyOf(msg.get()) == "hello";
}

/// The refusal of a login: it must say where, and what to look at, but nothing secret.
std::string refusalOf(const ConnectOptions& options, const std::vector<std::string>& secrets = {},
                      ErrorCode code = ErrorCode::authenticationFailed) {
  try {
    Connection connection{options};
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code) << e.what();
    const Retry retry = code == ErrorCode::invalidConfig      ? Retry::never
                        : code == ErrorCode::connectionFailed ? Retry::later
                                                              : Retry::afterOperator;
    EXPECT_EQ(e.retry(), retry) << e.what();
    for (const std::string& secret : secrets) EXPECT_EQ(e.message().find(secret), std::string::npos) << e.what();
    if (code != ErrorCode::invalidConfig) {
      EXPECT_NE(e.message().find("127.0.0.1"), std::string::npos) << "which server? " << e.what();
    }
    return e.message();
  }
  ADD_FAILURE() << "it was let in";
  return {};
}

bool says(const std::string& message, std::string_view text) {
  if (message.find(text) != std::string::npos) return true;
  ADD_FAILURE() << "\"" << text << "\" is not in: " << message;
  return false;
}

TEST(NatsLogin, ByUserAndPassword) {
  const OwnServer server(R"(authorization {user: "bob", password: "hunter-2-hunter"})");
  ConnectOptions options = optionsFor(server);
  options.user = "bob";
  options.password = "hunter-2-hunter";
  EXPECT_TRUE(letsIn(options));
  EXPECT_TRUE(letsIn(optionsFor("nats://bob:hunter-2-hunter@" + server.address())));
  options.password = "wrong-password";
  EXPECT_TRUE(says(refusalOf(options, {"wrong-password"}), "check the password of user \"bob\""));
  EXPECT_TRUE(says(refusalOf(optionsFor("nats://bob:wrong-password@" + server.address()), {"wrong-password"}), "URL"));
  EXPECT_TRUE(says(refusalOf(optionsFor(server)), "give user and password, token, nkey or credentialsFile"));
}

TEST(NatsLogin, ByToken) {
  const OwnServer server(R"(authorization {token: "open-sesame-42"})");
  ConnectOptions options = optionsFor(server);
  options.token = "open-sesame-42";
  EXPECT_TRUE(letsIn(options));
  options.token = "close-sesame-43";
  EXPECT_TRUE(says(refusalOf(options, {"close-sesame-43"}), "check token"));
}

TEST(NatsLogin, ByNkey) {
  const OwnServer server(std::string("authorization {users: [{nkey: ") + testing::kNkey + "}]}");
  const TempFolder folder;
  ConnectOptions options = optionsFor(server);
  options.nkey = testing::kNkey;
  options.nkeySeedFile = folder.write("user.nk", testing::kNkeySeed);
  EXPECT_TRUE(letsIn(options));
  options.nkeySeedFile = folder.write("other.nk", testing::kOtherNkeySeed);
  const std::string wrongSeed = refusalOf(options, {testing::kOtherNkeySeed});
  EXPECT_TRUE(says(wrongSeed, testing::kNkey));
  EXPECT_TRUE(says(wrongSeed, "other.nk"));
  options.nkey = testing::kOtherNkey;
  EXPECT_TRUE(says(refusalOf(options, {testing::kOtherNkeySeed}), testing::kOtherNkey));
}

TEST(NatsLogin, ByCredentials) {
  const OwnServer server(std::string("operator: \"") + testing::kOperatorJwt +
                         "\"\nresolver: MEMORY\nresolver_preload: {" + testing::kAccount + ": \"" +
                         testing::kAccountJwt + "\"}");
  const auto credentials = [](const char* seed) {
    return std::string("-----BEGIN NATS USER JWT-----\n") + testing::kUserJwt +
           "\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n" + seed +
           "\n------END USER NKEY SEED------\n";
  };
  const TempFolder folder;
  ConnectOptions options = optionsFor(server);
  options.credentialsFile = folder.write("app.creds", credentials(testing::kUserSeed));
  EXPECT_TRUE(letsIn(options));
  options.credentialsFile = folder.write("wrong.creds", credentials(testing::kOtherNkeySeed));
  EXPECT_TRUE(says(refusalOf(options, {testing::kOtherNkeySeed, testing::kUserJwt}), "wrong.creds"));
}

TEST(NatsLogin, AFileThatCannotBeReadIsNamedWithItsOption) {
  ConnectOptions options = optionsFor("nats://127.0.0.1:1");
  options.credentialsFile = "/nonexistent/app.creds";
  const std::string message = refusalOf(options, {}, ErrorCode::invalidConfig);
  EXPECT_TRUE(says(message, "credentialsFile"));
  EXPECT_TRUE(says(message, "/nonexistent/app.creds"));
}

TEST(NatsLogin, WhatAUserMayNotDoIsNamedWithItsSubject) {
  const OwnServer server(
      R"(authorization {users: [{user: "bob", password: "pw-of-bob", permissions: {publish: "echo", subscribe: ">"}}]})");
  ConnectOptions options = optionsFor(server);
  options.user = "bob";
  options.password = "pw-of-bob";
  EXPECT_TRUE(letsIn(options));
  options.requestTimeout = std::chrono::milliseconds(500);
  Connection connection(options);
  try {
    connection.request("forbidden.fruit", "", Effect::none, "asking on \"forbidden.fruit\"");
    FAIL() << "it was let through";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::permissionDenied) << e.what();
    EXPECT_TRUE(says(e.message(), "forbidden.fruit"));
    EXPECT_TRUE(says(e.message(), "grant the subject"));
  }
}

TEST(NatsLogin, WhatWasRefusedBeforeIsNoReasonOfALaterSilence) {
  const OwnServer server(
      R"(authorization {users: [{user: "bob", password: "pw-of-bob", permissions: {publish: {deny: "forbidden.>"}}}]})");
  ConnectOptions options = optionsFor(server);
  options.user = "bob";
  options.password = "pw-of-bob";
  options.requestTimeout = std::chrono::milliseconds(300);
  Connection connection(options), other(options);
  const auto silent = other.subscribe("silent");
  other.flush();
  connection.publish("forbidden.fruit", "", "");
  connection.flush();
  ASSERT_TRUE(testing::soon([&] { return !connection.complaint().empty(); }));
  try {
    connection.request("silent", "", Effect::possible, "asking who does not answer");
    FAIL() << "somebody answered";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::connectionFailed) << e.what();
    EXPECT_EQ(e.retry(), Retry::outcomeUnknown) << e.what();
  }
}

/// A server with TLS, and everybody's certificates.
class NatsTls : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    certificates = new TempFolder;
    const std::string script = std::string(TIDEGATE_TESTS_DIR "/nats/make_certificates.sh ") + certificates->path();
    if (std::system(script.c_str()) != 0) throw std::runtime_error("failed: " + script);
  }
  static void TearDownTestSuite() {
    delete certificates;
    certificates = nullptr;
  }
  static std::string at(const std::string& name) { return certificates->path() + "/" + name; }
  /// @param more of the block "tls".
  static std::string tls(const std::string& more = "") {
    return "tls {cert_file: \"" + at("server.pem") + "\", key_file: \"" + at("server.key") + "\"" + more + "}\n";
  }
  static std::string verifying() { return tls(", ca_file: \"" + at("ca.pem") + "\", verify: true"); }

  static TempFolder* certificates;
};

TempFolder* NatsTls::certificates = nullptr;

TEST_F(NatsTls, AServerOfAKnownAuthorityIsSpokenTo) {
  const OwnServer server(tls());
  ConnectOptions options = optionsFor(server);
  options.tls = {.required = true, .authorityFile = at("ca.pem")};
  EXPECT_TRUE(letsIn(options));
  options.tls.hostname = "localhost";
  EXPECT_TRUE(letsIn(options)) << "its certificate has this name too";
  options = optionsFor("tls://" + server.address());
  options.tls.authorityFile = at("ca.pem");
  EXPECT_TRUE(letsIn(options)) << "as the URL asks";
}

TEST_F(NatsTls, AServerOfAnotherAuthorityOrNameIsNot) {
  const OwnServer server(tls());
  ConnectOptions options = optionsFor(server);
  options.tls = {.required = true, .authorityFile = at("other_ca.pem")};
  const std::string message = refusalOf(options);
  EXPECT_TRUE(says(message, "tls.authorityFile"));
  EXPECT_TRUE(says(message, "other_ca.pem"));
  options.tls = {.required = true};
  EXPECT_TRUE(says(refusalOf(options), "set tls.authorityFile")) << "the system does not know it either";
  options.tls = {.required = true, .authorityFile = at("ca.pem"), .hostname = "n1.example.org"};
  EXPECT_TRUE(says(refusalOf(options), "tls.hostname"));
}

TEST_F(NatsTls, WhoWantsTlsAndWhoDoesNotAreToldSo) {
  const OwnServer plain(""), secure(tls());
  ConnectOptions options = optionsFor(plain);
  options.tls = {.required = true, .authorityFile = at("ca.pem")};
  EXPECT_TRUE(says(refusalOf(options), "tls.required"));
  EXPECT_TRUE(says(refusalOf(optionsFor(secure)), "tls."));
}

TEST_F(NatsTls, AServerThatAsksForACertificateTakesThatOfItsAuthorityAlone) {
  const OwnServer server(verifying());
  ConnectOptions options = optionsFor(server);
  options.tls = {.required = true,
                 .authorityFile = at("ca.pem"),
                 .certificateFile = at("client.pem"),
                 .keyFile = at("client.key")};
  EXPECT_TRUE(letsIn(options));
  options.tls.certificateFile = at("stranger.pem");
  options.tls.keyFile = at("stranger.key");
  // The server hangs up after the handshake: it may as well have died.
  EXPECT_TRUE(says(refusalOf(options, {}, ErrorCode::connectionFailed), "stranger.pem"));
  options.tls.certificateFile = options.tls.keyFile = "";
  EXPECT_TRUE(says(refusalOf(options, {}, ErrorCode::connectionFailed), "set tls.certificateFile"));
  options.tls.certificateFile = at("client.pem");
  options.tls.keyFile = at("stranger.key");
  EXPECT_TRUE(says(refusalOf(options, {}, ErrorCode::invalidConfig), "tls.certificateFile"));
}

TEST_F(NatsTls, AStoreKeepsItsStateBehindTlsAndALogin) {
  const TempFolder data;
  const OwnServer server(verifying() + R"(authorization {user: "bob", password: "pw-of-bob"})" +
                         "\njetstream: {store_dir: \"" + data.path() + "\"}");
  ConnectOptions options = optionsFor(server);
  options.user = "bob";
  options.password = "pw-of-bob";
  options.retryFor = std::chrono::milliseconds(20'000);
  options.tls = {.required = true,
                 .authorityFile = at("ca.pem"),
                 .certificateFile = at("client.pem"),
                 .keyFile = at("client.key")};
  stateStore({.connect = options})->put("cursor", "17");
  EXPECT_EQ(stateStore({.connect = options})->get("cursor"), "17");
}

}  // namespace
}  // namespace tidegate::nats
