// What a WebSocket's end reads from the other: frames, however they are cut, up to the messages that a handler would
// get. The first octet says how the rest is cut into reads, and whether it is a server or a client that reads.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/check.h"
#include "http/detail/websocket_frames.h"
#include "tidegate/core/value.h"

namespace {

using tidegate::http::detail::WsReader;
using State = WsReader::State;

constexpr std::size_t kMost = 700;
constexpr std::size_t kControlMost = 125;

void checkPayload(WsReader& reader) {
  if (reader.state() == State::message) {
    FUZZ_CHECK(reader.payload().size() <= kMost);                       // a message is within its limit
    FUZZ_CHECK(reader.binary() || tidegate::isUtf8(reader.payload()));  // and a text is UTF-8
    return;
  }
  FUZZ_CHECK(reader.payload().size() <= kControlMost);  // a control frame is short
  if (reader.state() == State::close) {
    FUZZ_CHECK(reader.closeCode() >= 1000 && reader.closeCode() < 5000);
    FUZZ_CHECK(tidegate::isUtf8(reader.closeReason()));
  }
}

/// One line for each message and control frame, and one for how it ended.
std::vector<std::string> readAll(std::string_view octets, std::size_t piece, bool server) {
  WsReader reader(server, kMost);
  std::vector<std::string> out;
  while (!octets.empty()) {
    std::string_view part = octets.substr(0, piece);
    octets.remove_prefix(part.size());
    while (true) {
      const std::size_t used = reader.feed(part);
      FUZZ_CHECK(used <= part.size());  // no more is used than was given
      part.remove_prefix(used);
      if (reader.state() == State::more) {
        FUZZ_CHECK(part.empty());  // it asks for more only once all is used
        break;
      }
      if (reader.state() == State::failed) {
        FUZZ_CHECK(reader.failureCode() >= 1002 && !reader.failure().empty());  // a failure says why
        out.push_back("failed " + std::to_string(reader.failureCode()));
        return out;
      }
      checkPayload(reader);
      out.push_back(std::to_string(static_cast<int>(reader.state())) + (reader.binary() ? "b " : "t ") +
                    reader.payload());
      if (reader.state() == State::close) return out;
      reader.next();
    }
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view octets = tidegate::fuzz::textOf(data + 1, size - 1);
  const bool server = (data[0] & 0x80) != 0;
  const auto cut = readAll(octets, 1 + data[0] % 64, server);
  FUZZ_CHECK(cut == readAll(octets, 1, server));        // octet by octet it reads the same
  FUZZ_CHECK(cut == readAll(octets, 1 << 20, server));  // and all at once
  return 0;
}
