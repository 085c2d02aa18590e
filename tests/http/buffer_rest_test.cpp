/// What a large request made the input grow to is given back, but never while the next read is already under way.
#include <gtest/gtest.h>

#include <thread>

#include "tidegate/http/client.h"
#include "tidegate/http/server.h"

namespace tidegate::http {
namespace {

TEST(HttpServer, ReadsTheNextRequestAfterALargeOneThatWasAnsweredLater) {
  std::vector<std::jthread> answering;
  Server server({}, [&](Request&& request, Responder answer) {
    const std::size_t length = request.body.size();
    answering.emplace_back([length, later = std::make_shared<Responder>(std::move(answer))] {
      later->send({.status = 200, .body = std::to_string(length)});
    });
  });
  server.start();
  Client client;
  for (int i = 0; i < 50; ++i) {
    const std::string body(static_cast<std::size_t>(i % 2 == 0 ? 200'000 : 10), 'x');
    const Response got = client.perform({.method = "POST", .url = server.url() + "/", .body = body});
    ASSERT_EQ(got.status, 200);
    EXPECT_EQ(got.body, std::to_string(body.size()));
  }
  server.stop(std::chrono::seconds(5));
}

}  // namespace
}  // namespace tidegate::http
