#include <gtest/gtest.h>
#include <openssl/evp.h>

#include "core/detail/octet_text.h"
#include "durable_streams/detail/protocol.h"
#include "durable_streams/detail/webhook_keys.h"
#include "durable_streams/detail/webhook_url.h"
#include "durable_streams/server_rig.h"
#include "durable_streams/temp_folder.h"
#include "tidegate/core/error.h"
#include "tidegate/durable_streams/file_store.h"

namespace tidegate::durable_streams::testing {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

DurableStreamServerOptions localHooks() { return {.subscriptions = {.localWebhooks = true}}; }

class SubscriptionRig : public ServerRig {
 public:
  explicit SubscriptionRig(DurableStreamServerOptions options = localHooks()) : ServerRig(std::move(options)) {}
  http::Response control(const std::string& method, const std::string& path, const json& body = {},
                         const std::string& token = {}) {
    http::Headers headers{{"Content-Type", "application/json"}};
    if (!token.empty()) headers.add("Authorization", "Bearer " + token);
    return ask(method, "__ds/subscriptions/" + path, std::move(headers), body.is_null() ? "" : body.dump());
  }
  json created(const std::string& id, const json& body) {
    const http::Response response = control("PUT", id, body);
    EXPECT_EQ(response.status, 201) << response.body;
    return json::parse(response.body);
  }
  json wakes(const std::string& stream) { return json::parse(get(stream).body); }
};

json pullWake() {
  return {{"type", "pull-wake"}, {"pattern", "events/**"}, {"wake_stream", "wake"}, {"lease_ttl_ms", 5000}};
}
json webhook(const std::string& url) {
  return {{"type", "webhook"}, {"pattern", "events/*"}, {"webhook", {{"url", url}}}, {"lease_ttl_ms", 5000}};
}

TEST(DurableStreamSubscription, AWorkerClaimsAcknowledgesAndReleases) {
  SubscriptionRig rig;
  rig.put("wake", "[]", "application/json");
  rig.created("s", pullWake());
  rig.put("events/a", "x");
  ASSERT_EQ(rig.wakes("wake").size(), 1u);
  EXPECT_EQ(rig.wakes("wake")[0]["stream"], "events/a");
  const json claim = json::parse(rig.control("POST", "s/claim", {{"worker", "w1"}}).body);
  const json busy = json::parse(rig.control("POST", "s/claim", {{"worker", "w2"}}).body);
  EXPECT_EQ(busy["error"]["code"], "ALREADY_CLAIMED");
  EXPECT_EQ(busy["error"]["current_holder"], "w1");
  const json tail = claim["streams"][0]["tail_offset"];
  json ack = {{"wake_id", claim["wake_id"]},
              {"generation", claim["generation"]},
              {"acks", {{{"stream", "events/a"}, {"offset", tail}}}}};
  const std::string token = claim["token"];
  EXPECT_EQ(rig.control("POST", "s/ack", ack, "forged." + token).status, 401);
  EXPECT_EQ(json::parse(rig.control("POST", "s/ack", ack, token).body), json({{"ok", true}, {"next_wake", false}}));
  rig.post("events/a", "y");
  ack["done"] = true;
  EXPECT_EQ(json::parse(rig.control("POST", "s/ack", ack, token).body)["next_wake"], true)
      << "y came after the snapshot";
  EXPECT_EQ(json::parse(rig.control("POST", "s/ack", ack, token).body)["error"]["code"], "FENCED");
  EXPECT_EQ(rig.wakes("wake").size(), 2u);
}

TEST(DurableStreamSubscription, ALeaseThatRunsOutWakesTheNextWorker) {
  SubscriptionRig rig;
  rig.put("wake", "[]", "application/json");
  rig.created("s", pullWake());
  rig.put("events/deep/er", "x");
  const json first = json::parse(rig.control("POST", "s/claim", {{"worker", "w1"}}).body);
  rig.clock.advance(6s);
  EXPECT_TRUE(eventually([&] { return rig.wakes("wake").size() == 2; }));
  EXPECT_EQ(rig.control("POST", "s/release", {{"wake_id", first["wake_id"]}, {"generation", first["generation"]}},
                        first["token"])
                .status,
            409);
  const json second = json::parse(rig.control("POST", "s/claim", {{"worker", "w2"}}).body);
  EXPECT_GT(second["generation"], first["generation"]);
}

TEST(DurableStreamSubscription, RefusesAcknowledgementsThatCannotBe) {
  SubscriptionRig rig;
  rig.put("wake", "[]", "application/json");
  rig.created("s", pullWake());
  rig.put("events/a", "12345");
  const json claim = json::parse(rig.control("POST", "s/claim", {{"worker", "w"}}).body);
  const auto code = [&](const std::string& stream, const std::string& offset) {
    const json body = {{"wake_id", claim["wake_id"]},
                       {"generation", claim["generation"]},
                       {"acks", {{{"stream", stream}, {"offset", offset}}}}};
    const json answer = json::parse(rig.control("POST", "s/ack", body, claim["token"]).body);
    return answer.contains("error") ? answer["error"]["code"].get<std::string>() : "ok";
  };
  EXPECT_EQ(code("events/b", formatPosition(0)), "INVALID_OFFSET");
  EXPECT_EQ(code("events/a", formatPosition(6)), "INVALID_OFFSET");
  EXPECT_EQ(code("events/a", "-1"), "INVALID_OFFSET");
  EXPECT_EQ(code("events/a", formatPosition(5)), "ok");
  EXPECT_EQ(code("events/a", formatPosition(0)), "INVALID_OFFSET") << "a cursor does not go back";
}

TEST(DurableStreamSubscription, AFailedWebhookComesAgainAndSaysMeanwhileThatItFailed) {
  SubscriptionRig rig;
  WebhookReceiver receiver;
  receiver.answerNext({.status = 500});
  receiver.answerNext({.status = 200, .body = R"({"done":true})"});
  rig.created("s", webhook(receiver.url()));
  rig.put("events/a", "x");
  const json first = json::parse(receiver.next().body);
  EXPECT_TRUE(eventually([&] { return json::parse(rig.control("GET", "s").body)["status"] == "failed"; }));
  EXPECT_TRUE(receiver.idle());
  rig.clock.advance(2s);
  const json second = json::parse(receiver.next().body);
  EXPECT_EQ(second["wake_id"], first["wake_id"]) << "the same wake, told again";
  const std::string tail(rig.ask("HEAD", "events/a").headers.get("Stream-Next-Offset"));
  EXPECT_TRUE(
      eventually([&] { return json::parse(rig.control("GET", "s").body)["streams"][0]["acked_offset"] == tail; }));
  EXPECT_EQ(json::parse(rig.control("GET", "s").body)["status"], "active");
}

TEST(DurableStreamSubscription, WebhooksAreSignedWithAKeyOfTheKeySet) {
  SubscriptionRig rig;
  WebhookReceiver receiver;
  rig.created("s", webhook(receiver.url()));
  rig.streams->rotateWebhookKey();
  rig.put("events/a", "x");
  const http::Request hook = receiver.next();
  const std::string field(hook.headers.get("Webhook-Signature"));
  const std::string time = field.substr(2, field.find(',') - 2);
  const std::string kid = field.substr(field.find("kid=") + 4, field.find(",ed25519=") - field.find("kid=") - 4);
  const auto signature = tidegate::detail::fromBase64Url(field.substr(field.find("ed25519=") + 8));
  const json keys = json::parse(rig.get("__ds/jwks.json").body)["keys"];
  ASSERT_EQ(keys.size(), 2u) << "the old key stays for what it has signed";
  ASSERT_EQ(keys[1]["kid"], kid);
  const std::string open = *tidegate::detail::fromBase64Url(keys[1]["x"].get<std::string>());
  const std::string text = time + "." + hook.body;
  EVP_PKEY* key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr,
                                              reinterpret_cast<const unsigned char*>(open.data()), open.size());
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ASSERT_EQ(EVP_DigestVerifyInit(context, nullptr, nullptr, nullptr, key), 1);
  EXPECT_EQ(EVP_DigestVerify(context, reinterpret_cast<const unsigned char*>(signature->data()), signature->size(),
                             reinterpret_cast<const unsigned char*>(text.data()), text.size()),
            1);
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(key);
}

TEST(DurableStreamSubscription, OutlivesTheProcessWithItsCursorsAndKeys) {
  const TempFolder folder;
  const auto open = [&] {
    std::shared_ptr<FileStreamStore> store;
    // The last callback of the server before may still hold the folder.
    EXPECT_TRUE(eventually([&] {
      try {
        store = fileStreamStore({.folder = folder.path() + "/streams"});
      } catch (const Error& e) {
        if (e.retry() != Retry::later) throw;
      }
      return store != nullptr;
    }));
    return store;
  };
  std::string tail, kid;
  {
    DurableStreamServerOptions options = localHooks();
    options.store = open();
    SubscriptionRig rig(std::move(options));
    rig.put("wake", "[]", "application/json");
    rig.created("s", pullWake());
    rig.put("events/a", "x");
    const json claim = json::parse(rig.control("POST", "s/claim", {{"worker", "w"}}).body);
    tail = claim["streams"][0]["tail_offset"];
    const json ack = {{"wake_id", claim["wake_id"]},
                      {"generation", claim["generation"]},
                      {"acks", {{{"stream", "events/a"}, {"offset", tail}}}},
                      {"done", true}};
    EXPECT_EQ(rig.control("POST", "s/ack", ack, claim["token"]).status, 200);
    rig.post("events/a", "y");
    kid = json::parse(rig.get("__ds/jwks.json").body)["keys"][0]["kid"];
    rig.stop();
  }
  DurableStreamServerOptions options = localHooks();
  options.store = open();
  SubscriptionRig rig(std::move(options));
  EXPECT_EQ(json::parse(rig.get("__ds/jwks.json").body)["keys"][0]["kid"], kid);
  EXPECT_EQ(json::parse(rig.control("GET", "s").body)["streams"][0]["acked_offset"], tail);
  EXPECT_EQ(rig.control("PUT", "s", pullWake()).status, 200) << "the same configuration";
  const json claim = json::parse(rig.control("POST", "s/claim", {{"worker", "w"}}).body);
  EXPECT_EQ(claim["streams"][0]["has_pending"], true) << "y is still to be done";
  EXPECT_EQ(claim["generation"], 2);
}

TEST(DurableStreamSubscription, ADeletedSubscriptionFencesItsWorkers) {
  SubscriptionRig rig;
  rig.put("wake", "[]", "application/json");
  rig.created("s", pullWake());
  rig.put("events/a", "x");
  const json claim = json::parse(rig.control("POST", "s/claim", {{"worker", "w"}}).body);
  EXPECT_EQ(rig.control("DELETE", "s").status, 204);
  const json ack = {{"wake_id", claim["wake_id"]}, {"generation", claim["generation"]}};
  EXPECT_EQ(rig.control("POST", "s/ack", ack, claim["token"]).status, 404);
  EXPECT_EQ(rig.control("GET", "s").status, 404);
}

TEST(DurableStreamSubscription, ListedStreamsTakePrecedenceOverThePattern) {
  SubscriptionRig rig;
  rig.put("wake", "[]", "application/json");
  rig.put("events/a", "x");
  rig.created("s", pullWake());
  const auto linkType = [&] { return json::parse(rig.control("GET", "s").body)["streams"][0]["link_type"]; };
  EXPECT_EQ(linkType(), "glob");
  EXPECT_EQ(rig.control("POST", "s/streams", {{"streams", {"/events/a"}}}).status, 204);
  EXPECT_EQ(linkType(), "explicit");
  EXPECT_EQ(rig.control("DELETE", "s/streams/events%2Fa").status, 204);
  EXPECT_EQ(linkType(), "glob");
}

TEST(DurableStreamSubscription, RefusesWhatItCannotServe) {
  SubscriptionRig rig;
  const auto status = [&](const json& body) { return rig.control("PUT", "s", body).status; };
  EXPECT_EQ(status({{"type", "pigeon"}, {"pattern", "a"}}), 400);
  EXPECT_EQ(status({{"type", "pull-wake"}, {"wake_stream", "w"}}), 400);
  EXPECT_EQ(status({{"type", "pull-wake"}, {"pattern", "a"}}), 400);
  EXPECT_EQ(status({{"type", "pull-wake"}, {"pattern", "a"}, {"wake_stream", "w"}, {"lease_ttl_ms", 999}}), 400);
  EXPECT_EQ(status({{"type", "webhook"}, {"pattern", "a"}}), 400);
  EXPECT_EQ(rig.ask("PUT", "__ds/subscriptions/s", {}, "{").status, 400);
  EXPECT_EQ(rig.ask("PUT", "__ds/streams").status, 404) << "the prefix is the protocol's own";
  SubscriptionRig strict(DurableStreamServerOptions{});
  EXPECT_EQ(strict.control("PUT", "s", webhook("http://127.0.0.1:1/hook")).status, 400)
      << "local hooks are for development";
}

TEST(DurableStreamWebhookUrl, PointsToPublicHostsAlone) {
  for (const char* url : {"https://worker.example/hook", "https://8.8.8.8/hook", "https://worker.example:8443/x?y=1"}) {
    EXPECT_EQ(detail::webhookUrlProblem(url, false), "") << url;
  }
  for (const char* url : {"",
                          "worker.example",
                          "ftp://worker.example",
                          "http://worker.example",
                          "https://",
                          "https://localhost/",
                          "https://10.0.0.1/",
                          "https://172.16.5.5/",
                          "https://192.168.1.1/",
                          "https://169.254.169.254/latest",
                          "https://127.0.0.1/",
                          "https://0/",
                          "https://2130706433/",
                          "https://0x7f.1/",
                          "https://017700000001/",
                          "https://100.64.0.1/",
                          "https://[::1]/",
                          "https://user@worker.example/",
                          "https://worker.example\\@10.0.0.1/",
                          "https://db.internal/",
                          "https://localhost./",
                          "https://224.0.0.1/",
                          "https://a b/"}) {
    EXPECT_NE(detail::webhookUrlProblem(url, true), "") << url;
  }
  EXPECT_EQ(detail::webhookUrlProblem("http://127.0.0.5:9/h", true), "");
  EXPECT_EQ(detail::webhookUrlProblem("http://localhost:9/h", true), "");
  EXPECT_NE(detail::webhookUrlProblem("http://127.1.0.5:9/h", true), "");
}

TEST(DurableStreamGlob, MatchesSegments) {
  EXPECT_TRUE(detail::globMatches("events/*", "events/a"));
  EXPECT_FALSE(detail::globMatches("events/*", "events/a/b"));
  EXPECT_FALSE(detail::globMatches("events/*", "events"));
  EXPECT_TRUE(detail::globMatches("events/**", "events"));
  EXPECT_TRUE(detail::globMatches("**/log", "a/b/log"));
  EXPECT_TRUE(detail::globMatches("a/**/z", "a/z"));
  EXPECT_FALSE(detail::globMatches("a", "ab"));
  EXPECT_FALSE(detail::globMatches(std::string(200, '*') + "/x", std::string(5'000, 'a')));
}

TEST(DurableStreamTokens, AreOfOneSubscriptionAndExpire) {
  const detail::WakeTokens tokens("key");
  const std::string token = tokens.make("s", 7, 100s);
  std::uint64_t generation = 0;
  EXPECT_EQ(tokens.check(token, "s", 99s, generation), detail::TokenVerdict::good);
  EXPECT_EQ(generation, 7u);
  EXPECT_EQ(tokens.check(token, "s", 101s, generation), detail::TokenVerdict::expired);
  EXPECT_EQ(tokens.check(token, "other", 99s, generation), detail::TokenVerdict::invalid);
  EXPECT_EQ(detail::WakeTokens("other key").check(token, "s", 99s, generation), detail::TokenVerdict::invalid);
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_EQ(tokens.check(changed, "s", 99s, generation), detail::TokenVerdict::invalid) << i;
  }
}

}  // namespace
}  // namespace tidegate::durable_streams::testing
