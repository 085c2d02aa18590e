#include "tidegate/http/client.h"
#include "tidegate/http/server.h"
#include "tidegate/http/sse.h"

using namespace tidegate;

int main() {
  http::Router router;
  router.add("GET", "/answer", http::Handler([](http::Request&&, http::Responder answer) {
               std::string body;
               http::appendSse(body, "", "42");
               answer.send({.headers = {{"content-type", "text/event-stream"}}, .body = body});
             }));
  http::Server server({}, router.handler());
  server.start();
  http::Client client;
  std::string data;
  http::SseParser parser([&](const http::SseEvent& event) { data = event.data; });
  parser.feed(client.perform({.url = server.url() + "/answer"}).body);
  return server.stop(std::chrono::seconds(5)) && data == "42" ? 0 : 1;
}
