#include "tidegate/http/websocket.h"

#include <utility>

#include "http/detail/text.h"
#include "http/detail/websocket_session.h"
#include "tidegate/core/error.h"

namespace tidegate::http {
namespace {

/// Why a request is no handshake (RFC 6455, section 4.2.1); nullopt where it is one.
std::optional<Response> handshakeRefusal(const Request& request, const WebSocketOptions& options) {
  const Headers& fields = request.headers;
  if (!detail::listHas(fields.get("upgrade"), "websocket") || !detail::listHas(fields.get("connection"), "upgrade")) {
    Response refusal = problem(426, "this is a WebSocket; connect with a WebSocket client");
    refusal.headers.add("upgrade", "websocket");
    return refusal;
  }
  if (fields.get("sec-websocket-version") != "13") {
    Response refusal = problem(426, "WebSocket version 13 is spoken here");
    refusal.headers.add("sec-websocket-version", "13");
    return refusal;
  }
  // 16 octets in base64.
  const std::string_view key = fields.get("sec-websocket-key");
  if (request.method != "GET" || key.size() != 24 || !key.ends_with("==")) {
    return problem(400, "the WebSocket handshake is malformed");
  }
  if (!options.protocol.empty() && !detail::listHas(fields.get("sec-websocket-protocol"), options.protocol)) {
    return problem(400, "the WebSocket subprotocol \"" + options.protocol + "\" must be offered");
  }
  return std::nullopt;
}

}  // namespace

std::size_t WebSocket::send(std::string message, bool binary) const {
  return session_->send(std::move(message), binary);
}
std::size_t WebSocket::pending() const { return session_->exchange().pending(); }
void WebSocket::close(std::uint16_t code, std::string_view reason) const { session_->close(code, reason); }
void WebSocket::pause() const { session_->pause(); }
void WebSocket::resume() const { session_->resume(); }
void WebSocket::onDrained(std::function<void()> then) const { session_->exchange().onDrained(std::move(then)); }
void WebSocket::after(std::chrono::milliseconds delay, std::function<void()> then) const {
  session_->exchange().after(delay, std::move(then));
}

std::optional<WebSocket> acceptWebSocket(const Request& request, Responder answer, WebSocketHandlers handlers,
                                         WebSocketOptions options) {
  if (!handlers.onMessage) throw Error(ErrorCode::invalidArgument, Retry::never, "a WebSocket needs an onMessage");
  if (auto refusal = handshakeRefusal(request, options)) {
    answer.send(*std::move(refusal));
    return std::nullopt;
  }
  auto session = std::make_shared<detail::WebSocketSession>(answer.exchange_, std::move(handlers), std::move(options));
  session->begin(detail::wsAccept(request.headers.get("sec-websocket-key")));
  return WebSocket(std::move(session));
}

}  // namespace tidegate::http
