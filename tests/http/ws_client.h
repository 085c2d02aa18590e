/// A WebSocket client for tests, of bare octets underneath.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/detail/websocket_frames.h"
#include "http/raw_client.h"

namespace tidegate::http::test {

using detail::WsClose;
using detail::WsOpcode;
using detail::WsReader;

inline std::string handshake(std::string_view path, std::string_view fields = {}) {
  return "GET " + std::string(path) +
         " HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
         std::string(fields) + "\r\n";
}

/// @tparam Raw what carries the octets: `RawClient`, or `TlsClient`.
template <class Raw>
class BasicWsClient {
 public:
  explicit BasicWsClient(std::uint16_t port, std::string_view path = "/ws", std::string_view fields = {})
      : BasicWsClient(Raw(port), path, fields) {}
  BasicWsClient(Raw connected, std::string_view path, std::string_view fields = {}) : raw(std::move(connected)) {
    raw.send(handshake(path, fields));
    head = raw.readUntil("\r\n\r\n");
  }
  bool open() const { return head.starts_with("HTTP/1.1 101 "); }

  bool send(std::string_view payload, WsOpcode opcode = WsOpcode::text, bool final = true) {
    std::string frame;
    detail::appendMaskedFrame(opcode, payload, 0x12345678, frame, final);
    return raw.send(frame);
  }
  /// The next message or control frame; nullopt once the connection ends.
  struct Frame {
    WsReader::State state{};
    std::string payload{};
    std::uint16_t code = 0;
  };
  std::optional<Frame> read() {
    while (true) {
      while (reader_.state() == WsReader::State::more) {
        const std::string octet = raw.readBytes(1);
        if (octet.empty()) return std::nullopt;
        reader_.feed(octet);
      }
      Frame frame{reader_.state(), reader_.payload(), reader_.closeCode()};
      if (frame.state == WsReader::State::close) {
        frame.payload = std::string(reader_.closeReason());
        return frame;
      }
      reader_.next();
      return frame;
    }
  }
  std::string readText() {
    const auto frame = read();
    return frame ? frame->payload : std::string("(ended)");
  }
  /// The code with which the server closes; 0 where it just ends.
  std::uint16_t closeCode() {
    while (const auto frame = read()) {
      if (frame->state == WsReader::State::close) return frame->code;
    }
    return 0;
  }

  Raw raw;
  std::string head;

 private:
  WsReader reader_{false, 64u << 20};
};

using WsClient = BasicWsClient<RawClient>;

}  // namespace tidegate::http::test
