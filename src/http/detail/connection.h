/// One client's connection: reads requests, serves them one after the other, writes answers.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/detail/asio.h"
#include "http/detail/exchange.h"
#include "http/detail/in_buffer.h"
#include "http/detail/loop.h"
#include "http/detail/out_buffer.h"
#include "http/detail/request_reader.h"
#include "http/detail/response_head.h"
#include "http/detail/server_context.h"
#include "http/detail/tls.h"
#include "http/detail/upgraded.h"

namespace tidegate::http::detail {

/// @thread Its loop's.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Loop& loop, Tcp::socket socket, std::shared_ptr<SSL_CTX> tls, AddressPlaces::Place place);

  void start();
  /// The exchange has something to say.
  void advance(const std::shared_ptr<Exchange>& exchange);
  /// Runs a callback of the exchange in work; what it throws is the answer.
  void runForExchange(const Exchange::Callback& then);
  void forgetTimer(Loop::Timers::iterator timer) { std::erase(timers_, timer); }
  SteadyTime deadline() const noexcept { return deadline_; }
  /// The deadline has passed.
  void expire();
  /// The server is stopping: no further request.
  void drain();
  /// The server has stopped waiting.
  void cut();

  std::size_t slot = 0;  ///< the loop's: its place in the list

 private:
  enum class Wait { nothing, request, head, body, write, linger };

  void armRead();
  void onRead(const boost::system::error_code& error, std::size_t octets);
  void onEof();
  bool pull();
  void process();
  void settle();
  void updateDeadline();
  void close();
  void closeWhenWritten();
  void gone(bool tell = true);

  void serve();
  void callHandler(Request&& request, const std::shared_ptr<Exchange>& exchange);
  std::optional<Response> ownAnswer(const Request& request);
  void refuse(int status, std::string_view why);
  void take(const std::shared_ptr<Exchange>& exchange);
  void answer(Response& response);
  void beginStream(const Response& response);
  void beginUpgrade(Response& response, std::shared_ptr<Upgraded> reader);
  bool feedUpgraded();
  bool takesOctets() const noexcept { return !current_ || upgraded_; }
  void writePieces(std::vector<std::string>& pieces);
  void endStream();
  void finishExchange();
  HeadShape shape();
  void appendHeadOr500(Response& response, HeadShape& shape);
  void logAccess();

  void flush();
  bool writeSome(OutBuffer& wire);
  bool encrypt();
  void written(std::size_t octets);
  std::size_t pendingOctets() const noexcept { return out_.size() + wire_.size(); }

  Loop& loop_;
  ServerContext& server_;
  std::optional<AddressPlaces::Place> place_;  ///< until it is closed
  Tcp::socket socket_;
  std::unique_ptr<TlsSession> tls_;
  std::string remote_{};
  RequestReader reader_;
  InBuffer input_;
  std::unique_ptr<InBuffer> cipher_{};  ///< TLS records on their way in
  OutBuffer out_{};
  OutBuffer wire_{};  ///< TLS records on their way out
  std::shared_ptr<Exchange> current_{};
  std::shared_ptr<Upgraded> upgraded_{};          ///< where HTTP is spoken no more
  std::vector<Loop::Timers::iterator> timers_{};  ///< of the exchange in work

  Wait wait_ = Wait::nothing;
  SteadyTime deadline_ = SteadyTime::max();
  bool reading_ = false;
  bool writing_ = false;
  bool progressed_ = false;  ///< octets went either way since the deadline was set
  bool processing_ = false;
  bool eof_ = false;
  bool closing_ = false;  ///< after what is queued
  bool linger_ = false;   ///< the peer may still be sending: it must be able to read the answer
  bool closed_ = false;

  // Of the exchange in work.
  bool keepAlive_ = true;
  bool http10_ = false;
  bool headOnly_ = false;
  bool gzipWanted_ = false;
  bool chunked_ = false;
  bool streaming_ = false;
  bool bodiless_ = false;
  bool events_ = false;  ///< text/event-stream: may be ended anywhere
  std::string_view corsFields_{};
  std::string preflightFields_{};

  // For the access log alone.
  struct Line {
    std::string method{};
    std::string target{};
    int status = 0;
    SteadyTime begun{};
  };
  std::unique_ptr<Line> line_{};
};

}  // namespace tidegate::http::detail
