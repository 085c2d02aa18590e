#include "http/detail/websocket_frames.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "tidegate/core/error.h"
#include "tidegate/core/value.h"

namespace tidegate::http::detail {
namespace {

constexpr std::size_t kControlMost = 125;
constexpr std::size_t kHeadMost = 14;
constexpr std::size_t kSmallMessage = 4u << 10;  ///< capacity kept from message to message

bool mayClose(std::uint16_t code) {
  if (code >= 3000 && code <= 4999) return true;
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

std::size_t headLength(std::uint8_t second) {
  const std::size_t length = second & 0x7F;
  return 2 + (length == 126 ? 2u : length == 127 ? 8u : 0u) + ((second & 0x80) != 0 ? 4u : 0u);
}

}  // namespace

bool WsReader::fail(std::uint16_t code, std::string_view why) {
  state_ = State::failed;
  failureCode_ = code;
  failure_ = why;
  return false;
}

bool WsReader::checkHead(std::uint8_t first, std::uint8_t second) {
  if ((first & 0x70) != 0) return fail(WsClose::protocolError, "reserved bits are set");
  final_ = (first & 0x80) != 0;
  const std::uint8_t opcode = first & 0x0F;
  control_ = opcode >= 8;
  if (opcode > 10 || (opcode > 2 && opcode < 8)) return fail(WsClose::protocolError, "unknown opcode");
  opcode_ = static_cast<WsOpcode>(opcode);
  if (((second & 0x80) != 0) != masked_) {
    return fail(WsClose::protocolError, masked_ ? "a client's frame is not masked" : "a server's frame is masked");
  }
  if (control_) {
    if (!final_ || (second & 0x7F) > kControlMost) return fail(WsClose::protocolError, "control frame too long or cut");
    return true;
  }
  if ((opcode_ == WsOpcode::continuation) != fragmented_) {
    return fail(WsClose::protocolError, fragmented_ ? "a message within a message" : "a continuation of nothing");
  }
  if (!fragmented_) binary_ = opcode_ == WsOpcode::binary;
  return true;
}

bool WsReader::checkLength() {
  if (left_ >> 63 != 0) return fail(WsClose::protocolError, "a length of 64 bits");
  if (!control_ && (left_ > most_ || message_.size() > most_ - static_cast<std::size_t>(left_))) {
    return fail(WsClose::tooLarge, "the message is too large");
  }
  return true;
}

/// @pre `head_` is whole.
bool WsReader::readHead() {
  const auto octet = [&](std::size_t i) { return static_cast<std::uint8_t>(head_[i]); };
  const std::size_t width = headLength(octet(1)) - 2 - (masked_ ? 4 : 0);
  left_ = width == 0 ? octet(1) & 0x7Fu : 0;
  for (std::size_t i = 0; i < width; ++i) left_ = left_ << 8 | octet(2 + i);
  if ((width == 2 && left_ < 126) || (width == 8 && left_ < 65'536)) {
    return fail(WsClose::protocolError, "a length is not as short as can be");
  }
  if (masked_) {
    for (std::size_t i = 0; i < 4; ++i) mask_[i] = octet(2 + width + i);
  }
  maskAt_ = 0;
  head_.clear();
  inPayload_ = true;
  return checkLength();
}

std::size_t WsReader::feed(std::string_view octets) {
  std::size_t used = 0;
  while (state_ == State::more) {
    if (!inPayload_) {
      if (used == octets.size()) return used;
      head_.push_back(octets[used++]);
      if (head_.size() == 2 && !checkHead(static_cast<std::uint8_t>(head_[0]), static_cast<std::uint8_t>(head_[1]))) {
        return used;
      }
      if (head_.size() < 2 || head_.size() < headLength(static_cast<std::uint8_t>(head_[1]))) continue;
      if (!readHead()) return used;
    }
    const std::size_t take = static_cast<std::size_t>(std::min<std::uint64_t>(left_, octets.size() - used));
    std::string& into = payload();
    const std::size_t before = into.size();
    into.append(octets.substr(used, take));
    if (masked_) {
      for (std::size_t i = before; i < into.size(); ++i) into[i] = static_cast<char>(into[i] ^ mask_[maskAt_++ & 3]);
    }
    used += take;
    left_ -= take;
    if (left_ > 0) return used;
    frameEnds();
  }
  return used;
}

void WsReader::frameEnds() {
  inPayload_ = false;
  if (control_) return controlEnds();
  fragmented_ = !final_;
  if (!final_) return;
  if (!binary_ && !isUtf8(message_)) {
    fail(WsClose::notUtf8, "a text message is not UTF-8");
    return;
  }
  state_ = State::message;
}

void WsReader::controlEnds() {
  if (opcode_ == WsOpcode::ping) state_ = State::ping;
  if (opcode_ == WsOpcode::pong) state_ = State::pong;
  if (opcode_ != WsOpcode::close) return;
  state_ = State::close;
  closeCode_ = WsClose::noCode;
  if (controlPayload_.empty()) return;
  if (controlPayload_.size() == 1) {
    fail(WsClose::protocolError, "a close frame with half a code");
    return;
  }
  closeCode_ = static_cast<std::uint16_t>(static_cast<std::uint8_t>(controlPayload_[0]) << 8 |
                                          static_cast<std::uint8_t>(controlPayload_[1]));
  if (!mayClose(closeCode_)) {
    fail(WsClose::protocolError, "a close code that may not be sent");
  } else if (!isUtf8(closeReason())) {
    fail(WsClose::notUtf8, "a close reason is not UTF-8");
  }
}

std::string_view WsReader::closeReason() const noexcept {
  return controlPayload_.size() > 2 ? std::string_view(controlPayload_).substr(2) : std::string_view();
}

void WsReader::next() {
  if (state_ == State::failed || state_ == State::close) return;
  if (state_ == State::message) {
    message_.clear();
    if (message_.capacity() > kSmallMessage) message_ = std::string();
  }
  controlPayload_.clear();
  control_ = false;
  state_ = State::more;
}

void appendWsHead(WsOpcode opcode, std::size_t length, std::string& out) {
  out.push_back(static_cast<char>(0x80 | static_cast<std::uint8_t>(opcode)));
  const int width = length < 126 ? 0 : length < 65'536 ? 2 : 8;
  out.push_back(static_cast<char>(width == 0 ? length : width == 2 ? 126 : 127));
  for (int i = width - 1; i >= 0; --i) out.push_back(static_cast<char>(length >> (8 * i)));
}

void appendMaskedFrame(WsOpcode opcode, std::string_view payload, std::uint32_t mask, std::string& out, bool final) {
  const std::size_t at = out.size();
  appendWsHead(opcode, payload.size(), out);
  if (!final) out[at] = static_cast<char>(out[at] & 0x7F);
  out[at + 1] = static_cast<char>(out[at + 1] | 0x80);
  std::array<char, 4> key{};
  for (std::size_t i = 0; i < 4; ++i) key[i] = static_cast<char>(mask >> (24 - 8 * i));
  out.append(key.data(), key.size());
  for (std::size_t i = 0; i < payload.size(); ++i) out.push_back(static_cast<char>(payload[i] ^ key[i & 3]));
}

std::string wsClosePayload(std::uint16_t code, std::string_view reason) {
  if (code == WsClose::noCode || code == WsClose::gone) return {};
  std::string out{static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)};
  std::size_t length = std::min(reason.size(), kControlMost - 2);
  while (!isUtf8(reason.substr(0, length))) --length;  // ends at a whole character; nothing is UTF-8
  return out.append(reason.substr(0, length));
}

std::string wsAccept(std::string_view key) {
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &length, EVP_sha1(), nullptr) != 1) {
    throw Error(ErrorCode::internal, Retry::never, "OpenSSL could not compute a SHA-1");
  }
  std::array<unsigned char, 64> encoded{};
  const int written = EVP_EncodeBlock(encoded.data(), digest.data(), static_cast<int>(length));
  return {reinterpret_cast<const char*>(encoded.data()), static_cast<std::size_t>(written)};
}

}  // namespace tidegate::http::detail
