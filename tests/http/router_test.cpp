#include <gtest/gtest.h>

#include "http/server_rig.h"
#include "tidegate/core/error.h"

namespace tidegate::http {
namespace {

using test::RawClient;
using test::Rig;

Handler say(std::string text) {
  return [text = std::move(text)](Request&&, Responder answer) { answer.send({.body = text}); };
}

Router::RouteHandler sayParameters() {
  return [](Request&&, const Router::Parameters& parameters, Responder answer) {
    std::string body;
    for (const auto& [name, value] : parameters) body += name + "=" + value + ";";
    answer.send({.body = body});
  };
}

std::string get(RawClient& client, const std::string& path, const std::string& method = "GET") {
  const auto answer = client.ask(method + " " + path + " HTTP/1.1\r\nHost: a\r\n\r\n");
  return std::to_string(answer.status) + " " + answer.body;
}

TEST(HttpRouter, PrefersTheMoreExactRoute) {
  Router router;
  router.add("GET", "/a/{rest...}", sayParameters());
  router.add("GET", "/a/{x}/c", sayParameters());
  router.add("GET", "/a/b", say("literal"));
  router.add("GET", "/a/{x}", sayParameters());
  router.mount("/a/", say("mounted"));
  router.mount("/", say("root"));
  router.mount("/b/c/", say("deeper"));
  router.mount("/b/", say("deep"));
  Rig rig(router.handler());
  RawClient client = rig.client();
  EXPECT_EQ(get(client, "/a/b"), "200 literal");
  EXPECT_EQ(get(client, "/a/z"), "200 x=z;");
  EXPECT_EQ(get(client, "/a/z/c"), "200 x=z;");
  EXPECT_EQ(get(client, "/a/z/d/e"), "200 rest=z/d/e;");
  EXPECT_EQ(get(client, "/a/z", "POST"), "200 mounted");
  EXPECT_EQ(get(client, "/b/c/d"), "200 deeper");
  EXPECT_EQ(get(client, "/b/d"), "200 deep");
  EXPECT_EQ(get(client, "/elsewhere"), "200 root");
}

TEST(HttpRouter, KeepsAnEncodedSlashInItsSegment) {
  Router router;
  router.add("GET", "/s/{name}/end", sayParameters());
  Rig rig(router.handler());
  RawClient client = rig.client();
  EXPECT_EQ(get(client, "/s/a%2Fb%20c/end"), "200 name=a/b c;");
  EXPECT_TRUE(get(client, "/s/a/b/end").starts_with("404"));
  EXPECT_TRUE(get(client, "/s//end").starts_with("404"));
}

TEST(HttpRouter, TellsAnotherMethodFromAnUnknownPath) {
  Router router;
  router.add("GET", "/a", say("got"));
  router.add("PUT", "/a", say("put"));
  Rig rig(router.handler());
  RawClient client = rig.client();
  const auto other = client.ask("POST /a HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(other.status, 405);
  EXPECT_EQ(RawClient::field(other.head, "allow"), "GET, PUT");
  EXPECT_TRUE(get(client, "/b").starts_with("404"));
  client.send("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(client.readAnswer(true).status, 200);
}

TEST(HttpRouter, RefusesMalformedAndRepeatedPatterns) {
  Router router;
  router.add("GET", "/a/{x}", say("1"));
  router.add("PUT", "/a/{x}", say("2"));
  EXPECT_THROW(router.add("GET", "/a/{y}", say("again")), Error);
  for (const char* pattern : {"a", "/{", "/a{x}", "/{}", "/{x...}/b", "/{a{b}}"}) {
    EXPECT_THROW(router.add("GET", pattern, say("never")), Error) << pattern;
  }
  router.mount("/m", say("m"));
  EXPECT_THROW(router.mount("/m", say("m")), Error);
  EXPECT_THROW(router.mount("m", say("m")), Error);
  ASSERT_EQ(router.routes().size(), 2u);
  EXPECT_EQ(router.routes()[1], (std::pair<std::string, std::string>("PUT", "/a/{x}")));
}

TEST(HttpRouter, GivesAHandlerThatLaterRoutesDoNotChange) {
  Router router;
  const Handler before = router.handler();
  router.add("GET", "/a", say("late"));
  Rig rig(before);
  RawClient client = rig.client();
  EXPECT_TRUE(get(client, "/a").starts_with("404"));
}

}  // namespace
}  // namespace tidegate::http
