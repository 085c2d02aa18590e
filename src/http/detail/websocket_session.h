/// One WebSocket: between the frames of its connection and its user.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "http/detail/exchange.h"
#include "http/detail/upgraded.h"
#include "http/detail/websocket_frames.h"
#include "tidegate/http/websocket.h"

namespace tidegate::http::detail {

/// @thread `onOctets`, `onDrain` and `tick`: the connection's; the others: any.
class WebSocketSession final : public Upgraded, public std::enable_shared_from_this<WebSocketSession> {
 public:
  WebSocketSession(std::shared_ptr<Exchange> exchange, WebSocketHandlers handlers, WebSocketOptions options)
      : exchange_(std::move(exchange)),
        options_(std::move(options)),
        reader_(true, options_.maxMessageBytes),
        handlers_(std::move(handlers)) {}

  /// Takes the connection over. @param accept Sec-WebSocket-Accept.
  void begin(std::string accept);

  std::size_t onOctets(std::string_view octets) override;
  bool reads() const noexcept override { return !paused_ && phase_ != Phase::over; }
  void onDrain() override;
  bool closing() const noexcept override { return phase_ != Phase::open; }

  std::size_t send(std::string&& message, bool binary);
  void close(std::uint16_t code, std::string_view reason);
  void pause() { paused_ = true; }
  void resume();
  Exchange& exchange() noexcept { return *exchange_; }

 private:
  enum class Phase { open, closing, over };

  void frameCame();
  void messageCame();
  void peerCloses();
  void tick();
  /// Says goodbye once. @return false where that was done.
  bool sayClose(std::uint16_t code, std::string_view reason);
  void end(std::uint16_t code, std::string_view reason);
  std::size_t write(WsOpcode opcode, std::string&& payload);

  const std::shared_ptr<Exchange> exchange_;
  const WebSocketOptions options_;
  WsReader reader_;
  std::atomic<bool> paused_{false};
  std::atomic<Phase> phase_{Phase::open};
  bool heard_ = true;  ///< something came since the last tick
  bool pinged_ = false;

  std::mutex mutex_;            ///< one frame after the other; guards what follows
  WebSocketHandlers handlers_;  ///< `onClosed` is empty once told
  std::uint16_t saidCode_ = 0;
};

}  // namespace tidegate::http::detail
