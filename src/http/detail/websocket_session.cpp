#include "http/detail/websocket_session.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "tidegate/core/error.h"

namespace tidegate::http::detail {

void WebSocketSession::begin(std::string accept) {
  Headers headers{{"upgrade", "websocket"}, {"sec-websocket-accept", std::move(accept)}};
  if (!options_.protocol.empty()) headers.add("sec-websocket-protocol", options_.protocol);
  exchange_->onGone([self = shared_from_this()] { self->end(WsClose::gone, "the peer is gone"); });
  exchange_->upgrade(std::move(headers), shared_from_this());
  exchange_->after(options_.pingInterval, [self = shared_from_this()] { self->tick(); });
}

std::size_t WebSocketSession::onOctets(std::string_view octets) {
  heard_ = true;
  std::size_t used = 0;
  while (reads()) {
    used += reader_.feed(octets.substr(used));
    if (reader_.state() == WsReader::State::more) return used;
    frameCame();
    reader_.next();
  }
  return phase_ == Phase::over ? octets.size() : used;
}

void WebSocketSession::frameCame() {
  switch (reader_.state()) {
    case WsReader::State::message:
      return messageCame();
    case WsReader::State::ping:
      write(WsOpcode::pong, std::move(reader_.payload()));
      return;
    case WsReader::State::close:
      return peerCloses();
    case WsReader::State::failed:
      sayClose(reader_.failureCode(), reader_.failure());
      return end(reader_.failureCode(), reader_.failure());
    case WsReader::State::pong:
    case WsReader::State::more:
      return;
  }
}

void WebSocketSession::messageCame() {
  if (phase_ != Phase::open) return;  // said after our goodbye
  const WebSocket socket(shared_from_this());
  try {
    handlers_.onMessage(socket, std::move(reader_.payload()), reader_.binary());
  } catch (const std::exception& e) {
    spdlog::error("http: a WebSocket's handler failed: {}", redactSecrets(e.what()));
    close(WsClose::failed, "the server failed; its log says why");
  }
}

void WebSocketSession::peerCloses() {
  const std::uint16_t code = reader_.closeCode();
  sayClose(code, {});
  end(code, reader_.closeReason());
}

void WebSocketSession::tick() {
  if (phase_ == Phase::over) return;
  if (!std::exchange(heard_, false)) {
    if (std::exchange(pinged_, true)) {
      exchange_->abort();
      return end(WsClose::gone, "no answer to a ping");
    }
    if (phase_ == Phase::open) write(WsOpcode::ping, {});
  } else {
    pinged_ = false;
  }
  exchange_->after(options_.pingInterval, [self = shared_from_this()] { self->tick(); });
}

void WebSocketSession::onDrain() { close(WsClose::goingAway, "the server stops"); }

std::size_t WebSocketSession::write(WsOpcode opcode, std::string&& payload) {
  std::string frame;
  frame.reserve(payload.size() + 10);
  appendWsHead(opcode, payload.size(), frame);
  frame += payload;
  const std::lock_guard lock(mutex_);
  return saidCode_ != 0 ? WebSocket::kGone : exchange_->write(std::move(frame));
}

std::size_t WebSocketSession::send(std::string&& message, bool binary) {
  if (phase_ != Phase::open) return WebSocket::kGone;
  const std::size_t queued = write(binary ? WsOpcode::binary : WsOpcode::text, std::move(message));
  if (queued != WebSocket::kGone && queued > options_.maxQueuedBytes) {
    close(WsClose::tryLater, "too slow: connect again, and go on from where you are");
    return WebSocket::kGone;
  }
  return queued;
}

bool WebSocketSession::sayClose(std::uint16_t code, std::string_view reason) {
  std::string frame;
  const std::string payload = wsClosePayload(code, reason);
  appendWsHead(WsOpcode::close, payload.size(), frame);
  frame += payload;
  const std::lock_guard lock(mutex_);
  if (saidCode_ != 0) return false;
  saidCode_ = code;
  exchange_->write(std::move(frame));
  return true;
}

void WebSocketSession::close(std::uint16_t code, std::string_view reason) {
  if (!sayClose(code, reason)) return;
  Phase open = Phase::open;
  phase_.compare_exchange_strong(open, Phase::closing);
  if (paused_.exchange(false)) exchange_->post([] {});  // the peer's goodbye must be read
  exchange_->after(options_.closeTimeout,
                   [self = shared_from_this(), code, text = std::string(reason)] { self->end(code, text); });
}

void WebSocketSession::resume() {
  if (paused_.exchange(false)) exchange_->post([] {});  // the connection looks again at what was read
}

void WebSocketSession::end(std::uint16_t code, std::string_view reason) {
  phase_ = Phase::over;
  std::function<void(std::uint16_t, std::string_view)> told;
  {
    const std::lock_guard lock(mutex_);
    told = std::exchange(handlers_.onClosed, nullptr);
    handlers_.onMessage = nullptr;  // it may own the socket
    if (saidCode_ == 0) saidCode_ = code;
  }
  exchange_->end();
  if (!told) return;
  try {
    told(code, reason);
  } catch (const std::exception& e) {
    spdlog::error("http: a WebSocket's handler failed: {}", redactSecrets(e.what()));
  }
}

}  // namespace tidegate::http::detail
