/// A client beside a faulty server, with retries that take no time worth mentioning.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "durable_streams/faulty_server.h"
#include "tidegate/durable_streams/client.h"

namespace tidegate::durable_streams::test {

/// Waits are real, and short: the server's are, too.
inline RetryOptions quick(unsigned maxRetries = 6) {
  return {.maxRetries = maxRetries, .initialDelay = std::chrono::milliseconds(1), .maxDelay = std::chrono::seconds(2)};
}

class ClientRig : public ::testing::Test {
 protected:
  explicit ClientRig(FaultyServer::Options options = {}) : server(options) {}

  DurableStreamClient client(unsigned maxRetries = 6) const {
    return DurableStreamClient({.url = server.url(), .retry = quick(maxRetries)});
  }
  /// A stream that is there.
  DurableStream made(const std::string& type = "text/plain", const std::string& path = "/s") const {
    DurableStream stream = client().stream(path);
    stream.create({.contentType = type});
    return stream;
  }
  /// Everything that a read tells, as text.
  static std::string all(DurableStream stream, ReadOptions options = {}) {
    std::string data;
    stream.read(options, [&data](const Chunk& chunk) {
      data += chunk.data;
      return true;
    });
    return data;
  }
  std::vector<std::string> stored(const std::string& path = "/s") { return server.messages(path); }
  std::size_t requests(const std::string& method) const {
    std::size_t count = 0;
    for (const SeenRequest& request : server.seen()) count += request.method == method;
    return count;
  }

  FaultyServer server;
};

/// The StreamError that `act` must throw.
inline StreamError thrownBy(const std::function<void()>& act) {
  try {
    act();
  } catch (const StreamError& e) {
    return e;
  }
  ADD_FAILURE() << "no StreamError was thrown";
  return StreamError(StreamFailure::badRequest, ErrorCode::internal, Retry::never, "none", {});
}

using Texts = std::vector<std::string>;

}  // namespace tidegate::durable_streams::test
