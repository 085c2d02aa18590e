#include "tidegate/http/client.h"
#include "tidegate/server/api.h"

using namespace tidegate;

int main() {
  server::Api api;
  api.add({.method = "GET",
           .pattern = "/hello",
           .name = "hello",
           .summary = "Greets",
           .handler = [](server::Call&&, http::Responder answer) { answer.send({.body = "hello"}); }});
  http::Server server({}, api.handler(nullptr));
  server.start();
  http::Client client;
  return client.perform({.url = server.url() + "/hello"}).body == "hello" ? 0 : 1;
}
