/// WebSockets (RFC 6455) on `http::Server`, with and without TLS.
///
///     router.add("GET", "/ws", http::Handler([](http::Request&& request, http::Responder answer) {
///       http::acceptWebSocket(request, std::move(answer),
///                             {.onMessage = [](const http::WebSocket& socket, std::string&& message, bool binary) {
///                               socket.send(std::move(message), binary);
///                             }});
///     }));
///
/// A page of another origin is refused before a handler sees its handshake, unless `Cors::origins` names it: browsers
/// ask nobody before they open one (cross-site WebSocket hijacking). When the server stops, each socket is closed with
/// 1001. No extension is spoken; frames of clients must be masked, as the protocol asks.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tidegate/http/server.h"

namespace tidegate::http {

namespace detail {
class WebSocketSession;
}

struct WebSocketOptions {
  std::size_t maxMessageBytes = 1u << 20;  ///< of a message, all its frames together; over it: closed with 1009
  /// Octets sent and not yet taken by the kernel. Over it: closed with 1013, "too slow"; a sender that bounds itself by
  /// what `send` returns never sees that.
  std::size_t maxQueuedBytes = 4u << 20;
  /// A ping is sent where nothing came for so long; a peer that answers none until the next is given up.
  std::chrono::milliseconds pingInterval{30'000};
  std::chrono::milliseconds closeTimeout{5'000};  ///< for the peer's half of a close
  std::string protocol{};                         ///< a subprotocol that the handshake must offer; empty: none
};

/// One socket. Copies are the same socket.
/// @thread Any.
class WebSocket {
 public:
  static constexpr std::size_t kGone = BodyStream::kGone;

  /// Queues a message; text must be UTF-8. @return octets queued and not yet handed to the kernel, these included;
  /// `kGone` once the socket is closing or closed.
  std::size_t send(std::string message, bool binary = false) const;
  std::size_t pending() const;
  /// Says goodbye with a code of RFC 6455, section 7.4 (1000: normal) and a reason of up to 123 octets of UTF-8; what
  /// was queued goes out before. Idempotent.
  void close(std::uint16_t code = 1000, std::string_view reason = {}) const;
  /// No message is given to `onMessage`, and nothing read, until `resume`: for answers that are made elsewhere.
  void pause() const;
  void resume() const;
  /// As `BodyStream`'s.
  void onDrained(std::function<void()> then) const;
  void after(std::chrono::milliseconds delay, std::function<void()> then) const;

 private:
  friend class detail::WebSocketSession;
  friend std::optional<WebSocket> acceptWebSocket(const Request&, Responder, WebSocketHandlers, WebSocketOptions);
  explicit WebSocket(std::shared_ptr<detail::WebSocketSession> session) : session_(std::move(session)) {}
  std::shared_ptr<detail::WebSocketSession> session_;
};

/// Called on a thread of the server, never two of one socket at once, under no lock; they must not block.
struct WebSocketHandlers {
  /// A whole message. What it throws closes the socket with 1011.
  std::function<void(const WebSocket& socket, std::string&& message, bool binary)> onMessage{};
  /// Exactly once: the peer closed, or is gone (1006), or what was done here came to its end.
  std::function<void(std::uint16_t code, std::string_view reason)> onClosed{};
};

/// Answers a handshake. @return nullopt where the request is none; it was answered then (426 or 400), and no handler is
/// ever called. @throws Error{invalidArgument} without `onMessage`.
std::optional<WebSocket> acceptWebSocket(const Request& request, Responder answer, WebSocketHandlers handlers,
                                         WebSocketOptions options = {});

}  // namespace tidegate::http
