#include "tidegate/server/jwks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "http/server_rig.h"
#include "server/detail/jwks_impl.h"
#include "server/expect_error.h"
#include "server/jwt_signer.h"
#include "support/manual_clock.h"

namespace tidegate::server {
namespace {

using test::signers;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

/// An issuer that publishes what a test says.
struct Issuer {
  explicit Issuer(std::string text) : body(std::move(text)) {}
  void publish(std::string text) {
    const std::lock_guard lock(mutex);
    body = std::move(text);
  }
  void say(std::string cache) {
    const std::lock_guard lock(mutex);
    cacheControl = std::move(cache);
  }
  std::string url() const { return rig.server.url() + "/keys"; }

  std::mutex mutex{};
  std::string body;
  std::string cacheControl = "public, max-age=300";
  std::atomic<int> status{200};
  std::atomic<int> asked{0};
  http::test::Rig rig{[this](http::Request&&, http::Responder answer) {
    ++asked;
    const std::lock_guard lock(mutex);
    answer.send({.status = status, .headers = {{"cache-control", cacheControl}, {"location", "/keys"}}, .body = body});
  }};
};

std::string keySet(const std::string& id) {
  return R"({"keys":[)" + signers().ec.publicJwk(R"(,"kid":")" + id + '"') + "]}";
}

struct FetchedKeys : ::testing::Test {
  JwksOptions options() {
    return {.url = issuer.url(), .allowHttp = true, .allowPrivateAddresses = true, .clock = &clock};
  }
  std::size_t found(const Jwks& keys, const std::string& id) { return keys.find(JwtAlgorithm::es256, id).size(); }

  tidegate::test::ManualClock clock{};
  Issuer issuer{keySet("a")};
};

TEST_F(FetchedKeys, AreKeptAsLongAsTheAnswerSays) {
  Jwks keys(options());
  EXPECT_ERROR(found(keys, "a"), ErrorCode::storeUnavailable, "could not be fetched yet");
  EXPECT_EQ(keys.refresh(), 300s);
  EXPECT_EQ(found(keys, "a"), 1u);
  clock.advance(299s);
  EXPECT_EQ(keys.refresh(), 1s);
  EXPECT_EQ(issuer.asked, 1);
  issuer.publish(keySet("b"));
  clock.advance(1s);
  keys.refresh();
  EXPECT_EQ(issuer.asked, 2);
  EXPECT_EQ(found(keys, "a"), 0u);
  EXPECT_EQ(found(keys, "b"), 1u);
}

TEST_F(FetchedKeys, AreNeverFetchedMoreOftenThanTheFloorNorKeptBeyondTheCeiling) {
  for (const auto& [said, kept] :
       std::vector<std::pair<std::string, std::chrono::seconds>>{{"max-age=0", 60s},
                                                                 {"no-store", 60s},
                                                                 {"NO-CACHE, max-age=500", 60s},
                                                                 {"max-age=5", 60s},
                                                                 {"max-age=\"120\"", 120s},
                                                                 {"max-age=4000000000", 86'400s},
                                                                 {"max-age=-5", 600s},
                                                                 {"max-age=x", 600s},
                                                                 {"", 600s},
                                                                 {"private", 600s},
                                                                 {"max-age", 600s},
                                                                 {"s-maxage=7,Max-Age=90", 90s}}) {
    issuer.say(said);
    Jwks keys(options());
    EXPECT_EQ(keys.refresh(), kept) << said;
  }
}

TEST_F(FetchedKeys, AreFetchedAgainForAnUnknownKeyButNotAtEachOne) {
  Jwks keys(options());
  keys.refresh();
  clock.advance(5s);
  issuer.publish(keySet("b"));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(found(keys, "b"), 0u);
  EXPECT_EQ(keys.refresh(), 25s);  // 30 s after the last fetch
  clock.advance(25s);
  keys.refresh();
  EXPECT_EQ(found(keys, "b"), 1u);
  clock.advance(100s);
  EXPECT_EQ(found(keys, "z"), 0u);  // long ago: at once
  keys.refresh();
  EXPECT_EQ(issuer.asked, 3);
  for (int i = 0; i < 1000; ++i) {  // whoever invents names has them fetched every 30 s, not oftener
    found(keys, "forged" + std::to_string(i));
    keys.refresh();
    clock.advance(100ms);
  }
  EXPECT_LE(issuer.asked, 3 + 4);
}

TEST_F(FetchedKeys, StayWhereTheyCannotBeFetchedAgainButNotForEver) {
  JwksOptions limited = options();
  limited.staleFor = 3'600s;
  Jwks keys(limited);
  keys.refresh();
  issuer.status = 500;
  clock.advance(300s);
  EXPECT_EQ(keys.refresh(), 10s);
  EXPECT_THAT(keys.status().lastError, HasSubstr("answered 500"));
  EXPECT_EQ(found(keys, "a"), 1u);
  std::vector<std::int64_t> pauses;
  for (int i = 0; i < 5; ++i) {
    clock.advance(keys.refresh());
    pauses.push_back(std::chrono::duration_cast<std::chrono::seconds>(keys.refresh()).count());
  }
  EXPECT_THAT(pauses, ::testing::ElementsAre(20, 40, 60, 60, 60));
  clock.advance(3'600s);
  EXPECT_ERROR(found(keys, "a"), ErrorCode::storeUnavailable, "");
  issuer.status = 200;
  keys.refresh();
  EXPECT_EQ(found(keys, "a"), 1u);
  EXPECT_EQ(keys.status().lastError, "");
}

TEST_F(FetchedKeys, AreNotReplacedByWhatIsNoKeySet) {
  JwksOptions limited = options();
  limited.maxBytes = 2'000;
  Jwks keys(limited);
  keys.refresh();
  const std::string secret =
      R"({"keys":[{"kty":"oct","alg":"HS256","k":")" + test::base64Url(signers().secret) + R"("}]})";
  for (const std::string& body :
       {std::string(), std::string("<html>"), std::string("{}"), std::string(R"({"keys":[]})"), secret,
        R"({"keys":[)" + signers().rsa.publicJwk(R"(,"d":"AQAB")") + "]}", keySet("x") + "y",
        std::string(3'000, ' ') + keySet("x")}) {
    issuer.publish(body);
    clock.advance(400s);
    keys.refresh();
    EXPECT_NE(keys.status().lastError, "") << body;
    EXPECT_EQ(found(keys, "a"), 1u);
    EXPECT_TRUE(keys.find(JwtAlgorithm::hs256, "").empty());
  }
  issuer.publish(keySet("x"));
  for (const int redirect : {301, 302, 307}) {
    issuer.status = redirect;
    clock.advance(400s);
    keys.refresh();
    EXPECT_THAT(keys.status().lastError, HasSubstr("redirects are not followed"));
  }
}

TEST_F(FetchedKeys, ComeFromNoLocalAddressUnlessAllowed) {
  for (const std::string host : {"127.0.0.1", "localhost", "[::1]", "0x7f000001", "169.254.169.254"}) {
    JwksOptions closed = options();
    closed.allowPrivateAddresses = false;
    closed.timeout = 2s;
    closed.url = "http://" + host + ":" + std::to_string(issuer.rig.server.port()) + "/keys";
    Jwks keys(closed);
    keys.refresh();
    EXPECT_THAT(keys.status().lastError, HasSubstr("local network")) << host;
  }
  EXPECT_EQ(issuer.asked, 0);
}

TEST_F(FetchedKeys, ComeInTheBackgroundAndAtOnceForAnUnknownKey) {
  JwksOptions eager = options();
  eager.unknownKeyPause = 1s;
  Jwks keys(eager);
  keys.start();
  const auto has = [&](const std::string& id) {
    try {
      return found(keys, id) == 1;
    } catch (const Error&) {
      return false;
    }
  };
  EXPECT_TRUE(http::test::eventually([&] { return has("a"); }));
  issuer.publish(keySet("b"));
  clock.advance(2s);
  EXPECT_TRUE(http::test::eventually([&] { return has("b"); }));
  EXPECT_EQ(issuer.asked, 2);
}

TEST(JwksFile, IsReadAgainAndMayHoldSecrets) {
  const auto path = std::filesystem::temp_directory_path() / ("tidegate-jwks-" + std::to_string(getpid()));
  const auto write = [&](const std::string& text) { std::ofstream(path) << text; };
  tidegate::test::ManualClock clock;
  Jwks keys({.file = path.string(), .clock = &clock});
  keys.refresh();
  EXPECT_THAT(keys.status().lastError, HasSubstr("cannot be read"));
  write(R"({"keys":[{"kty":"oct","alg":"HS256","kid":"s","k":")" + test::base64Url(signers().secret) + R"("}]})");
  clock.advance(10s);
  keys.refresh();
  EXPECT_EQ(keys.find(JwtAlgorithm::hs256, "s").size(), 1u);
  write(keySet("a"));
  clock.advance(5s);
  keys.refresh();
  EXPECT_TRUE(keys.find(JwtAlgorithm::hs256, "s").empty());
  EXPECT_EQ(keys.find(JwtAlgorithm::es256, "a").size(), 1u);
  std::filesystem::remove(path);
}

TEST(JwksOptions, RefuseWhatCannotWork) {
  EXPECT_ERROR(Jwks({}), ErrorCode::invalidConfig, "one of the two");
  EXPECT_ERROR(Jwks({.url = "https://a", .file = "b"}), ErrorCode::invalidConfig, "one of the two");
  for (const std::string url :
       {"http://a.example/keys", "file:///etc/passwd", "ftp://a.example/", "//a.example/", "a"}) {
    EXPECT_ERROR(Jwks({.url = url}), ErrorCode::invalidConfig, "https") << url;
  }
  EXPECT_ERROR(Jwks({.url = "https://a", .leastAge = 100s, .mostAge = 50s}), ErrorCode::invalidConfig, "leastAge");
  EXPECT_ERROR(Jwks({.url = "https://a", .age = 0s}), ErrorCode::invalidConfig, "1 second");
}

}  // namespace
}  // namespace tidegate::server
