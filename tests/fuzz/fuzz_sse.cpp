// Server-sent events. The first octet says how the rest is cut into pieces; however it is cut, the events are the same,
// and writing them again gives a text that reads as they are.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/check.h"
#include "tidegate/core/error.h"
#include "tidegate/http/sse.h"

namespace {

using tidegate::http::SseEvent;
using tidegate::http::SseParser;

constexpr std::size_t kBound = 256;

std::vector<SseEvent> read(std::string_view text, std::size_t pieces, std::size_t bound = kBound) {
  std::vector<SseEvent> out;
  SseParser parser([&](const SseEvent& event) { out.push_back(event); }, bound);
  try {
    while (!text.empty()) {
      const std::size_t size = std::min(text.size(), pieces);
      parser.feed(text.substr(0, size));
      text.remove_prefix(size);
    }
  } catch (const tidegate::Error& e) {
    FUZZ_CHECK(e.code() == tidegate::ErrorCode::parseError);  // an event over its bound is a parse error
    out.push_back({.type = "over its bound"});
  }
  return out;
}

bool same(const SseEvent& a, const SseEvent& b) { return a.type == b.type && a.data == b.data && a.id == b.id; }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto events = read(text, 1 + data[0] % 64);
  const auto slowly = read(text, 1);
  FUZZ_CHECK(std::equal(events.begin(), events.end(), slowly.begin(), slowly.end(), same));  // cuts change nothing
  std::string again;
  for (const SseEvent& event : events) {
    FUZZ_CHECK(event.data.find('\r') == std::string::npos);  // a line's end is a line feed
    FUZZ_CHECK(event.id.find_first_of(std::string_view("\0\r\n", 3)) ==
               std::string::npos);                                   // an id is one line without NUL
    FUZZ_CHECK(event.data.size() <= kBound && !event.type.empty());  // an event has a type, and data within its bound
    again += "id: " + event.id + "\n";
    tidegate::http::appendSse(again, event.type, event.data);
  }
  // A space that the first text did without makes a line longer.
  const auto twice = read(again, 7, kBound + 8);
  const bool bounded = !events.empty() && events.back().type == "over its bound";
  // What is written reads as it was.
  FUZZ_CHECK(bounded || std::equal(events.begin(), events.end(), twice.begin(), twice.end(), same));
  return 0;
}
