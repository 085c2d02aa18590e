/// The model streams behind our own HTTP server, live reads included, with faults on demand.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "durable_streams/model_streams.h"
#include "tidegate/http/server.h"

namespace tidegate::durable_streams::test {

/// What happens to the next requests that match, instead of, or on top of, the right answer.
struct Fault {
  std::string method{};  ///< empty: any
  std::string path{};    ///< empty: any
  std::string live{};    ///< the live parameter that the request must have; empty: any
  unsigned skip = 0;     ///< matching requests that pass first
  unsigned count = 1;
  std::optional<int> status{};  ///< answered without doing anything
  std::string retryAfter{};
  bool drop = false;                      ///< the connection breaks and nothing was done
  bool dropAfter = false;                 ///< it was done, then the connection breaks
  std::optional<std::size_t> cutAfter{};  ///< so many octets of the body arrive, then the connection breaks
  std::optional<std::size_t> truncate{};  ///< the body is only so long, and whole by its framing
  std::string removeHeader{};
  std::optional<std::string> body{};  ///< instead of the right one
  std::chrono::milliseconds delay{0};
  /// An event stream's octets, piece by piece, each sent once the one before has left; then the stream ends.
  std::vector<std::string> pieces{};
  bool base64 = false;    ///< says that `pieces` carry base64
  bool cutAtEnd = false;  ///< after `pieces` the connection breaks instead
  bool goOn = false;      ///< after `pieces` comes the right event stream
};

/// What a request was, for tests that ask.
struct SeenRequest {
  std::string method{};
  std::string path{};
  std::string query{};
  http::Headers headers{};
  std::string body{};
};

/// @thread Any. Answers on threads of its own.
class FaultyServer {
 public:
  struct Options {
    std::chrono::milliseconds longPoll{300};
    std::chrono::milliseconds sseDuration{60'000};
  };

  FaultyServer() : FaultyServer(Options{}) {}
  explicit FaultyServer(Options options);
  ~FaultyServer();

  std::string url() const;
  void inject(Fault fault);
  void clearFaults();
  std::vector<SeenRequest> seen() const;
  /// With the streams, under their lock; live readers then look again.
  void with(const std::function<void(ModelStreams& streams)>& act);
  /// Messages of a stream; none where there is no such stream.
  std::vector<std::string> messages(std::string_view path);

 private:
  struct State;
  std::shared_ptr<State> state_;
  std::unique_ptr<http::Server> server_;
};

}  // namespace tidegate::durable_streams::test
