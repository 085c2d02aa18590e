#include "tidegate/durable_streams/server.h"
#include "tidegate/http/client.h"

using namespace tidegate;

int main() {
  durable_streams::DurableStreamServer streams({.store = durable_streams::memoryStreamStore()});
  http::Server server({}, streams.handler());
  server.onStopping([&] { streams.stop(); });
  server.start();
  http::Client client({.headers = {{"Content-Type", "application/json"}}});
  const std::string url = server.url() + "/v1/stream/a";
  client.perform({.method = "PUT", .url = url, .body = "[1,2]"});
  client.perform({.method = "POST", .url = url, .body = "3"});
  const std::string body = client.perform({.url = url}).body;
  return server.stop(std::chrono::seconds(5)) && body == "[1,2,3]" ? 0 : 1;
}
