// Enhanced fan-out's event streams: octets from a server, as they come and with checksums that hold; the events in
// them.
#include <algorithm>
#include <string>
#include <vector>

#include "fuzz/check.h"
#include "kinesis/detail/event_stream.h"
#include "kinesis/detail/kinesis_api.h"
#include "kinesis/event_octets.h"

namespace tidegate::fuzz {
namespace {

using kinesis::detail::EventMessage;
using kinesis::detail::EventStreamDecoder;
using kinesis::detail::KinesisApi;

struct Decoded {
  std::vector<EventMessage> messages{};
  bool damaged = false;
};

/// Reads a stream in pieces of that many octets.
Decoded decode(std::string_view octets, std::size_t piece) {
  Decoded out;
  EventStreamDecoder decoder;
  for (std::size_t at = 0; at < octets.size() && !out.damaged; at += piece) {
    decoder.push(octets.substr(at, piece));
    out.damaged = !takes(ErrorCode::parseError, [&] {
      while (auto message = decoder.next()) out.messages.push_back(std::move(*message));
    });
    FUZZ_CHECK(decoder.buffered() <= octets.size());
  }
  if (out.damaged) FUZZ_CHECK(!takes(ErrorCode::parseError, [&] { decoder.next(); }));
  return out;
}

/// Where a stream is cut into pieces changes nothing.
Decoded decodesAlike(std::string_view octets, std::size_t piece) {
  const Decoded whole = decode(octets, std::max<std::size_t>(octets.size(), 1)), cut = decode(octets, piece);
  FUZZ_CHECK(whole.damaged == cut.damaged && whole.messages.size() == cut.messages.size());
  for (std::size_t i = 0; i < whole.messages.size(); ++i) {
    FUZZ_CHECK(whole.messages[i].headers == cut.messages[i].headers);
    FUZZ_CHECK(whole.messages[i].payload == cut.messages[i].payload);
  }
  return whole;
}

void readsEvents(const Decoded& decoded) {
  for (const EventMessage& message : decoded.messages) {
    takes(ErrorCode::parseError, [&] {
      const auto answer = KinesisApi::eventOf(message.payload);
      for (const auto& record : answer.records) {
        FUZZ_CHECK(!record.sequence.empty() && record.sequence.find_first_not_of("0123456789") == std::string::npos);
      }
      FUZZ_CHECK(answer.millisBehind >= 0);
    });
  }
}

}  // namespace
}  // namespace tidegate::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tidegate;
  using namespace tidegate::fuzz;
  if (size < 2) return 0;
  const std::size_t piece = 1 + data[0], headers = std::min<std::size_t>(data[1], size - 2);
  const std::string_view rest = textOf(data + 2, size - 2);
  readsEvents(decodesAlike(rest, piece));
  // No luck gets past two checksums: headers and payload come in a message whose own are right.
  const std::string_view payload = rest.substr(headers);
  const std::string message = kinesis::testing::eventOctets(rest.substr(0, headers), payload);
  const Decoded decoded = decodesAlike(message + std::string(rest), piece);
  if (!decoded.messages.empty()) FUZZ_CHECK(decoded.messages.front().payload == payload);
  readsEvents(decoded);
  return 0;
}
