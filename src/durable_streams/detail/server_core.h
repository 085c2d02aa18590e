/// What the parts of the server share.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "durable_streams/detail/live.h"
#include "durable_streams/detail/protocol.h"
#include "tidegate/durable_streams/server.h"

namespace tidegate::durable_streams::detail {

class Subscriptions;

/// A responder that a callback may hold.
using SharedResponder = std::shared_ptr<http::Responder>;

/// A request for a stream, taken apart.
struct StreamRequest {
  http::Request request;
  std::string path{};  ///< below the base path
  SharedResponder answer{};
};

/// What of a request's query is understood.
struct ReadQuery {
  enum class Live { no, longPoll, sse } live = Live::no;
  bool fromNow = false;
  std::string offset{};  ///< as sent; "-1" where none was
  Position from = 0;
  std::string cursor{};
  std::string problem{};
};

class ServerCore : public std::enable_shared_from_this<ServerCore> {
 public:
  explicit ServerCore(DurableStreamServerOptions options);
  ~ServerCore();

  void handle(http::Request&& request, http::Responder answer);
  void stop();

  const DurableStreamServerOptions& options() const noexcept { return options_; }
  StreamStore& store() noexcept { return *options_.store; }
  const Clock& clock() const noexcept { return clock_; }
  const Cursors& cursors() const noexcept { return cursors_; }
  LiveHub& hub() noexcept { return hub_; }
  Subscriptions& subscriptions() noexcept { return *subscriptions_; }
  /// Scheme and authority that this request's client sees.
  std::string origin(const http::Request& request) const;
  void send(const SharedResponder& answer, http::Response&& response);

  std::atomic<std::uint64_t> appends{0};
  std::atomic<std::uint64_t> duplicates{0};
  std::atomic<std::uint64_t> reads{0};
  std::atomic<std::uint64_t> refused{0};

 private:
  bool allowed(StreamAction action, std::string_view path, const http::Request& request, const SharedResponder& answer);
  void route(StreamRequest&& r);
  void create(StreamRequest&& r);
  void append(StreamRequest&& r);
  void head(StreamRequest&& r);
  void remove(StreamRequest&& r);
  void read(StreamRequest&& r);
  void readNow(StreamRequest& r, const ReadQuery& query, const StreamRead& head);
  void sendRead(StreamRequest& r, const ReadQuery& query, StreamRead&& read);
  void longPoll(StreamRequest&& r, const ReadQuery& query, StreamRead&& read);
  void events(StreamRequest&& r, const ReadQuery& query, const StreamRead& head);

  const DurableStreamServerOptions options_;
  const Clock& clock_;
  Cursors cursors_;
  LiveHub hub_;
  std::atomic<bool> stopped_{false};
  std::unique_ptr<Subscriptions> subscriptions_;
};

/// The answer to a read that gives data, or the end of it. `octets` are taken.
http::Response readAnswer(const ReadQuery& query, StreamRead& read, bool publicCache);

/// Begin to wait, or answer at once.
void waitForLongPoll(ServerCore& core, StreamRequest&& r, const ReadQuery& query, std::uint64_t stream);
void beginEvents(ServerCore& core, StreamRequest&& r, Position from, const std::string& cursor,
                 const StreamInfo& stream);

}  // namespace tidegate::durable_streams::detail
