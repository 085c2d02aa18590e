// What the server adds to answers: CORS, compression, health, metrics, the access log.
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <sstream>

#include "http/detail/gzip.h"
#include "http/server_rig.h"
#include "tidegate/http/client.h"

namespace tidegate::http {
namespace {

using test::echo;
using test::eventually;
using test::kGet;
using test::RawClient;
using test::Rig;

std::string preflight(const std::string& origin) {
  return "OPTIONS /x HTTP/1.1\r\nHost: a\r\nOrigin: " + origin +
         "\r\nAccess-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-a, if-none-match\r\n\r\n";
}

TEST(HttpCors, IsClosedUnlessOpened) {
  Rig rig([](Request&&, Responder answer) {
    answer.send({.headers = {{"Access-Control-Allow-Origin", "*"}}, .body = "x"});
  });
  RawClient client = rig.client();
  const auto answer = client.ask("GET /x HTTP/1.1\r\nHost: a\r\nOrigin: https://page\r\n\r\n");
  EXPECT_EQ(answer.head.find("ccess-"), std::string::npos) << answer.head;
  EXPECT_EQ(client.ask(preflight("https://page")).head.find("ccess-"), std::string::npos);
}

TEST(HttpCors, AnswersPreflightsAndExposesFields) {
  Rig rig(echo, {.cors = {.origins = {"*"}, .exposed = {"Stream-Next-Offset", "ETag"}}});
  RawClient client = rig.client();
  const auto allowed = client.ask(preflight("https://page"));
  EXPECT_EQ(allowed.status, 204);
  EXPECT_EQ(RawClient::field(allowed.head, "Access-Control-Allow-Origin"), "*");
  EXPECT_NE(RawClient::field(allowed.head, "Access-Control-Allow-Methods")->find("PUT"), std::string::npos);
  EXPECT_EQ(RawClient::field(allowed.head, "Access-Control-Allow-Headers"), "x-a, if-none-match");
  EXPECT_EQ(RawClient::field(allowed.head, "Access-Control-Max-Age"), "86400");
  EXPECT_FALSE(RawClient::field(allowed.head, "Content-Length"));
  const auto got = client.ask(kGet);
  EXPECT_EQ(RawClient::field(got.head, "Access-Control-Allow-Origin"), "*");
  EXPECT_EQ(RawClient::field(got.head, "Access-Control-Expose-Headers"), "Stream-Next-Offset, ETag");
}

TEST(HttpCors, AnswersOnlyTheOriginsThatItNames) {
  Rig rig(echo, {.cors = {.origins = {"https://page", "http://localhost:3000"}, .requestHeaders = {"x-b"}}});
  RawClient client = rig.client();
  const auto named = client.ask(preflight("http://localhost:3000"));
  EXPECT_EQ(named.status, 204);
  EXPECT_EQ(RawClient::field(named.head, "Access-Control-Allow-Origin"), "http://localhost:3000");
  EXPECT_EQ(RawClient::field(named.head, "Access-Control-Allow-Headers"), "x-b");
  EXPECT_EQ(RawClient::field(named.head, "Vary"), "Origin");
  const auto other = client.ask(preflight("https://page.evil"));
  EXPECT_EQ(other.status, 403);
  EXPECT_FALSE(RawClient::field(other.head, "Access-Control-Allow-Origin"));
  const auto plain = client.ask("GET /x HTTP/1.1\r\nHost: a\r\nOrigin: https://evil\r\n\r\n");
  EXPECT_EQ(plain.status, 200);
  EXPECT_FALSE(RawClient::field(plain.head, "Access-Control-Allow-Origin"));
  EXPECT_EQ(RawClient::field(plain.head, "Vary"), "Origin");
}

TEST(HttpGzip, CompressesLargeTextsForWhoTakesThem) {
  std::string text;
  for (int i = 0; text.size() < 100'000; ++i) text += "{\"n\":" + std::to_string(i) + "},";
  Rig rig([&](Request&& request, Responder answer) {
    Response response{.headers = {{"content-type", "application/json; charset=utf-8"}, {"etag", "\"1\""}},
                      .body = text};
    if (request.path == "/small") response.body.resize(1000);
    if (request.path == "/image") response.headers.set("content-type", "image/png");
    if (request.path == "/coded") response.headers.add("content-encoding", "br");
    if (request.path == "/fixed") response.headers.add("cache-control", "no-transform");
    answer.send(std::move(response));
  });
  RawClient client = rig.client();
  const auto get = [&](const std::string& path, const std::string& accept) {
    return client.ask("GET " + path + " HTTP/1.1\r\nHost: a\r\nAccept-Encoding: " + accept + "\r\n\r\n");
  };
  const auto packed = get("/", "gzip, br");
  EXPECT_EQ(RawClient::field(packed.head, "Content-Encoding"), "gzip");
  EXPECT_EQ(RawClient::field(packed.head, "Vary"), "Accept-Encoding");
  EXPECT_EQ(RawClient::field(packed.head, "etag"), "W/\"1\"");
  EXPECT_LT(packed.body.size(), text.size() / 2);
  const auto plain = get("/", "identity");
  EXPECT_EQ(RawClient::field(plain.head, "etag"), "\"1\"");
  EXPECT_EQ(RawClient::field(plain.head, "Vary"), "Accept-Encoding");
  EXPECT_TRUE(plain.body == text);
  for (const char* path : {"/small", "/image", "/fixed"}) {
    EXPECT_FALSE(RawClient::field(get(path, "gzip").head, "Content-Encoding")) << path;
  }
  EXPECT_EQ(RawClient::field(get("/coded", "gzip").head, "content-encoding"), "br");

  Client unpacking;
  EXPECT_TRUE(unpacking.perform({.url = rig.server.url() + "/"}).body == text);
  Client plainly({.acceptCompressed = false});
  EXPECT_TRUE(plainly.perform({.url = rig.server.url() + "/"}).body == text);
}

TEST(HttpGzip, ReadsWhatAClientAccepts) {
  for (const char* yes : {"gzip", "GZIP", "br, gzip;q=0.5", "*", "deflate , gzip"}) {
    EXPECT_TRUE(detail::acceptsGzip(yes)) << yes;
  }
  for (const char* no : {"", "br", "gzip;q=0", "gzip; q=0.000", "*;q=0", "gzip;q=0, *", "xgzip"}) {
    EXPECT_FALSE(detail::acceptsGzip(no)) << no;
  }
}

TEST(HttpOwnPaths, SayHealthReadinessAndMetrics) {
  std::atomic<bool> ready{false};
  Rig rig(echo, {.healthPath = "/healthz",
                 .readyPath = "/readyz",
                 .metricsPath = "/metrics",
                 .ready = [&] { return ready.load(); },
                 .metrics = [] { return std::string("own_metric 7\n"); }});
  RawClient client = rig.client();
  const auto get = [&](const std::string& path) { return client.ask("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"); };
  EXPECT_EQ(get("/healthz").status, 200);
  EXPECT_EQ(get("/readyz").status, 503);
  ready = true;
  EXPECT_EQ(get("/readyz").status, 200);
  const auto metrics = get("/metrics");
  EXPECT_TRUE(RawClient::field(metrics.head, "content-type")->starts_with("text/plain"));
  EXPECT_NE(metrics.body.find("# TYPE tidegate_http_requests_total counter\ntidegate_http_requests_total 3\n"),
            std::string::npos)
      << metrics.body;
  EXPECT_NE(metrics.body.find("tidegate_http_connections 1\n"), std::string::npos);
  EXPECT_TRUE(metrics.body.ends_with("own_metric 7\n"));
  EXPECT_EQ(client.ask("POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").body, "POST /healthz");
}

TEST(HttpAccessLog, WritesALineARequestWithoutSecrets) {
  std::ostringstream text;
  spdlog::register_logger(
      std::make_shared<spdlog::logger>("tidegate.http", std::make_shared<spdlog::sinks::ostream_sink_mt>(text)));
  {
    Rig rig(echo, {.accessLog = true});
    RawClient client = rig.client();
    EXPECT_EQ(client.ask("GET /a?token=hunter2 HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
    EXPECT_EQ(client.ask("nonsense\r\n\r\n").status, 400);
    rig.server.stop(test::kPatience);
  }
  spdlog::drop("tidegate.http");
  EXPECT_NE(text.str().find("127.0.0.1 \"GET /a?token=***\" 200 "), std::string::npos) << text.str();
  EXPECT_NE(text.str().find("\"- -\" 400 "), std::string::npos) << text.str();
  EXPECT_EQ(text.str().find("hunter2"), std::string::npos);
}

}  // namespace
}  // namespace tidegate::http
