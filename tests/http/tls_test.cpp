#include <gtest/gtest.h>

#include <fstream>

#include "http/certificates.h"
#include "http/server_rig.h"
#include "tidegate/core/error.h"
#include "tidegate/http/client.h"

namespace tidegate::http {
namespace {

using namespace std::chrono_literals;
using test::Certificates;
using test::echo;
using test::eventually;
using test::RawClient;
using test::Rig;

const Certificates& certificates() {
  static const Certificates made;
  return made;
}

TlsFiles serverFiles() {
  return {.certificate = certificates().path("server.pem"), .key = certificates().path("server.key")};
}

ErrorCode refusalOf(Client& client, const std::string& url) {
  try {
    client.perform({.url = url});
  } catch (const Error& e) {
    return e.code();
  }
  ADD_FAILURE() << "was accepted";
  return ErrorCode::internal;
}

TEST(HttpTls, ServesWhoTrustsItsAuthority) {
  Rig rig(echo, {.tls = serverFiles()});
  EXPECT_TRUE(rig.server.url().starts_with("https://127.0.0.1:"));
  Client client({.authorityFile = certificates().path("ca.pem")});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client.perform({.method = "POST", .url = rig.server.url() + "/p", .body = "hi"}).body, "POST /p hi");
  }
  EXPECT_EQ(rig.server.stats().connections, 1u);
}

TEST(HttpTls, CarriesLargeBodiesBothWays) {
  Rig rig([](Request&& request, Responder answer) { answer.send({.body = std::move(request.body)}); },
          {.tls = serverFiles()});
  Client client({.authorityFile = certificates().path("ca.pem")});
  std::string body;
  for (int i = 0; body.size() < (6u << 20); ++i) body += std::to_string(i);
  EXPECT_TRUE(client.perform({.method = "POST", .url = rig.server.url() + "/", .body = body}).body == body);
}

TEST(HttpTls, StreamsAndTellsWhenThePeerHasGone) {
  std::atomic<bool> gone{false};
  Rig rig(
      [&](Request&&, Responder answer) {
        answer.onGone([&] { gone = true; });
        answer.stream(200, {}).write("piece");
      },
      {.tls = serverFiles()});
  Client client({.authorityFile = certificates().path("ca.pem")});
  std::string got;
  EXPECT_THROW(client.stream({.url = rig.server.url() + "/"}, {},
                             [&](std::string_view piece) {
                               got += piece;
                               return false;
                             }),
               Error);
  EXPECT_EQ(got, "piece");
  EXPECT_TRUE(eventually([&] { return gone.load(); }));
}

TEST(HttpTls, IsRefusedByWhoDoesNotKnowItsAuthority) {
  Rig rig(echo, {.tls = serverFiles()});
  Client strict;
  EXPECT_EQ(refusalOf(strict, rig.server.url() + "/"), ErrorCode::authenticationFailed);
  Client careless({.verifyTls = false});
  EXPECT_EQ(careless.perform({.url = rig.server.url() + "/"}).status, 200);
}

TEST(HttpTls, IsRefusedUnderAnotherName) {
  certificates().sign("elsewhere", "subjectAltName=DNS:elsewhere.example");
  Rig rig(echo,
          {.tls = {.certificate = certificates().path("elsewhere.pem"), .key = certificates().path("elsewhere.key")}});
  Client client({.authorityFile = certificates().path("ca.pem")});
  EXPECT_EQ(refusalOf(client, rig.server.url() + "/"), ErrorCode::authenticationFailed);
}

TEST(HttpTls, UsesNewFilesForNewConnectionsAndKeepsOldOnesWhereTheyAreBad) {
  const Certificates changing;
  Rig rig(echo, {.tls = {.certificate = changing.path("server.pem"), .key = changing.path("server.key")}});
  Client old({.authorityFile = changing.path("ca.pem")});
  EXPECT_EQ(old.perform({.url = rig.server.url() + "/"}).status, 200);

  for (const char* file : {"server.pem", "server.key"}) {
    std::filesystem::copy_file(certificates().path(file), changing.path(file),
                               std::filesystem::copy_options::overwrite_existing);
  }
  rig.server.reloadTls();
  Client fresh({.authorityFile = certificates().path("ca.pem")});
  EXPECT_EQ(fresh.perform({.url = rig.server.url() + "/"}).status, 200);
  EXPECT_EQ(old.perform({.url = rig.server.url() + "/"}).status, 200);  // on its kept connection
  Client stranger({.authorityFile = changing.path("ca.pem")});
  EXPECT_EQ(refusalOf(stranger, rig.server.url() + "/"), ErrorCode::authenticationFailed);

  std::ofstream(changing.path("server.pem")) << "nonsense";
  try {
    rig.server.reloadTls();
    FAIL() << "took nonsense";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalidConfig);
    EXPECT_NE(e.message().find("server.pem"), std::string::npos) << e.message();
  }
  Client after({.authorityFile = certificates().path("ca.pem")});
  EXPECT_EQ(after.perform({.url = rig.server.url() + "/"}).status, 200);
}

TEST(HttpTls, RefusesAKeyOfAnotherCertificate) {
  EXPECT_THROW(
      Server({.tls = {.certificate = certificates().path("server.pem"), .key = certificates().path("ca.key")}}, echo),
      Error);
}

TEST(HttpTls, AsksForACertificateWhereToldTo) {
  TlsFiles files = serverFiles();
  files.clientAuthority = certificates().path("ca.pem");
  Rig rig(echo, {.tls = files});
  Client client({.authorityFile = certificates().path("ca.pem")});
  EXPECT_EQ(refusalOf(client, rig.server.url() + "/"), ErrorCode::connectionFailed);
  EXPECT_EQ(rig.server.stats().requests, 0u);
  const std::string command = "curl -s --cacert " + certificates().path("ca.pem") + " --cert " +
                              certificates().path("server.pem") + " --key " + certificates().path("server.key") + " " +
                              rig.server.url() + "/ >/dev/null";
  if (std::system("command -v curl >/dev/null") == 0) {
    EXPECT_EQ(std::system(command.c_str()), 0);
    EXPECT_EQ(rig.server.stats().requests, 1u);
  }
}

TEST(HttpTls, EndsWhoDoesNotSpeakTls) {
  Rig rig(echo, {.limits = {.headerTimeout = 200ms}, .tls = serverFiles()});
  RawClient plain = rig.client();
  plain.send(test::kGet);
  EXPECT_TRUE(plain.closedByServer());
  RawClient silent = rig.client();
  EXPECT_TRUE(silent.closedByServer());
  EXPECT_EQ(rig.server.stats().requests, 0u);
}

}  // namespace
}  // namespace tidegate::http
