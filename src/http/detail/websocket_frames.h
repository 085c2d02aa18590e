/// WebSocket frames (RFC 6455, section 5) as octets, without sockets: read however they are cut, and written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tidegate::http::detail {

enum class WsOpcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

/// Close codes of RFC 6455, section 7.4.1.
struct WsClose {
  static constexpr std::uint16_t normal = 1000, goingAway = 1001, protocolError = 1002, noCode = 1005, gone = 1006,
                                 notUtf8 = 1007, tooLarge = 1009, failed = 1011, tryLater = 1013;
};

/// Puts messages together from frames. Lengths are checked before memory is spent.
/// @thread One at a time.
class WsReader {
 public:
  enum class State { more, message, ping, pong, close, failed };

  /// @param masked whether the peer's frames must be masked (a client's) or must not be (a server's).
  WsReader(bool masked, std::size_t maxMessageBytes) : masked_(masked), most_(maxMessageBytes) {}

  /// Takes octets up to the end of a message or control frame. @return how many were used.
  /// @pre state() is `more`, or `next` was called since.
  std::size_t feed(std::string_view octets);
  State state() const noexcept { return state_; }
  /// What `state` speaks of: a message's octets, or a control frame's.
  std::string& payload() noexcept { return control_ ? controlPayload_ : message_; }
  bool binary() const noexcept { return binary_; }
  /// Where failed: the close code to answer with, and why.
  std::uint16_t failureCode() const noexcept { return failureCode_; }
  std::string_view failure() const noexcept { return failure_; }
  /// Of a close frame's payload: its code, or `noCode` for an empty one.
  std::uint16_t closeCode() const noexcept { return closeCode_; }
  std::string_view closeReason() const noexcept;
  void next();

 private:
  bool readHead();
  bool checkHead(std::uint8_t first, std::uint8_t second);
  bool checkLength();
  void frameEnds();
  void controlEnds();
  bool fail(std::uint16_t code, std::string_view why);

  const bool masked_;
  const std::size_t most_;
  State state_ = State::more;
  std::string head_{};  ///< octets of a head that is not whole
  bool inPayload_ = false;
  bool final_ = false;
  bool control_ = false;
  bool binary_ = false;
  bool fragmented_ = false;  ///< a message was begun
  WsOpcode opcode_ = WsOpcode::text;
  std::uint64_t left_ = 0;  ///< octets of the payload to come
  std::uint8_t mask_[4] = {};
  std::size_t maskAt_ = 0;
  std::string message_{};
  std::string controlPayload_{};
  std::uint16_t closeCode_ = WsClose::noCode;
  std::uint16_t failureCode_ = 0;
  std::string_view failure_{};
};

/// A whole, unmasked frame's head.
void appendWsHead(WsOpcode opcode, std::size_t length, std::string& out);
/// A whole masked frame, as clients write it; for tests and tools.
void appendMaskedFrame(WsOpcode opcode, std::string_view payload, std::uint32_t mask, std::string& out,
                       bool final = true);
/// A close frame's payload.
std::string wsClosePayload(std::uint16_t code, std::string_view reason);
/// Sec-WebSocket-Accept for a Sec-WebSocket-Key (section 4.2.2). @throws Error{internal} if OpenSSL fails.
std::string wsAccept(std::string_view key);

}  // namespace tidegate::http::detail
