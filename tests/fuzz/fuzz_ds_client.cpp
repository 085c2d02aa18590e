/// What a Durable Streams server sends a client: bodies, event streams with their control JSON, offsets, base64. The
/// first octet says what the stream is and how the rest is cut.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "core/detail/octet_text.h"
#include "durable_streams/detail/base64_decode.h"
#include "durable_streams/detail/json_messages.h"
#include "durable_streams/detail/protocol.h"
#include "durable_streams/detail/read_session.h"
#include "fuzz/check.h"

namespace tidegate::fuzz {
namespace {

using namespace durable_streams;
using durable_streams::detail::ReadSession;

constexpr std::size_t kBound = 4096;

struct Told {
  std::vector<Chunk> chunks{};
  bool failed = false;
};

/// What every chunk must hold, whatever it came from.
void checkChunk(const Chunk& chunk) {
  FUZZ_CHECK(durable_streams::detail::isServerOffset(chunk.nextOffset));
  FUZZ_CHECK(!chunk.closed || chunk.upToDate);
  FUZZ_CHECK(chunk.json || chunk.spans.empty());
  if (!chunk.json) {
    FUZZ_CHECK(chunk.data.size() <= kBound);
    return;
  }
  std::size_t end = 0;
  durable_streams::detail::JsonChecker checker;
  for (const auto& [begin, length] : chunk.spans) {
    FUZZ_CHECK(begin >= end && length > 0 && begin + length <= chunk.data.size());
    end = begin + length;
    std::string message = chunk.data.substr(begin, length);
    FUZZ_CHECK(checker.check(message).empty());
  }
  FUZZ_CHECK(chunk.data.empty() == chunk.spans.empty());
  std::string whole = chunk.data;
  FUZZ_CHECK(durable_streams::detail::splitMessages(checker, whole).size() == chunk.spans.size());
}

Told readEvents(std::string_view text, const std::string& type, bool base64, std::size_t pieces) {
  ReadSession session({.live = Live::sse, .maxChunkBytes = kBound}, "http://host/s");
  session.answer({.headers = {{"stream-next-offset", "0"}, {"stream-up-to-date", "true"}, {"content-type", type}}});
  session.take();
  http::Response head{.headers = {{"content-type", "text/event-stream"}}};
  if (base64) head.headers.set("stream-sse-data-encoding", "base64");
  session.beginEvents(head);
  Told told;
  try {
    http::SseParser parser([&session](const http::SseEvent& event) { session.event(event); }, 2 * kBound);
    while (!text.empty()) {
      const std::size_t size = std::min(text.size(), pieces);
      parser.feed(text.substr(0, size));
      text.remove_prefix(size);
    }
  } catch (const StreamError& e) {
    FUZZ_CHECK(e.failure() == StreamFailure::badAnswer || e.failure() == StreamFailure::gone);
    FUZZ_CHECK(!e.message().empty());
    told.failed = true;
  } catch (const Error& e) {
    FUZZ_CHECK(e.code() == ErrorCode::parseError);  // an event over its bound
    told.failed = true;
  }
  std::string offset = "0";
  while (auto chunk = session.take()) {
    checkChunk(*chunk);
    FUZZ_CHECK(chunk->nextOffset >= offset);
    FUZZ_CHECK(chunk->data.empty() || chunk->nextOffset > offset);
    offset = chunk->nextOffset;
    told.chunks.push_back(*std::move(chunk));
  }
  return told;
}

bool same(const Chunk& a, const Chunk& b) {
  return a.data == b.data && a.nextOffset == b.nextOffset && a.upToDate == b.upToDate && a.closed == b.closed &&
         a.spans == b.spans;
}

void events(std::string_view text, std::uint8_t how) {
  const std::string type = how % 3 == 0 ? "application/json" : how % 3 == 1 ? "text/plain" : "image/png";
  const Told at = readEvents(text, type, how % 3 == 2, 1 + how / 3);
  const Told slowly = readEvents(text, type, how % 3 == 2, 1);
  FUZZ_CHECK(at.failed == slowly.failed);
  FUZZ_CHECK(std::equal(at.chunks.begin(), at.chunks.end(), slowly.chunks.begin(), slowly.chunks.end(), same));
}

void body(std::string_view text) {
  ReadSession session({.maxChunkBytes = kBound}, "http://host/s");
  http::Response answer{.headers = {{"stream-next-offset", "1"}, {"content-type", "application/json"}}};
  answer.body = text.substr(0, kBound);
  try {
    session.answer(answer);
    while (auto chunk = session.take()) checkChunk(*chunk);
  } catch (const StreamError& e) {
    FUZZ_CHECK(e.failure() == StreamFailure::badAnswer && !session.hasChunk());
  }
}

void control(std::string_view text) {
  takes(ErrorCode::parseError, [&] {
    FUZZ_CHECK(durable_streams::detail::isServerOffset(durable_streams::detail::parseControl(text).nextOffset));
  });
}

void base64(std::string_view text) {
  const auto octets = durable_streams::detail::decodeBase64Lines(text);
  std::string joined;
  for (const char c : text) {
    if (c != '\r' && c != '\n') joined += c;
  }
  if (octets) FUZZ_CHECK(tidegate::detail::base64Of(*octets) == joined);  // each text has one reading, and back
  FUZZ_CHECK(durable_streams::detail::decodeBase64Lines(tidegate::detail::base64Of(text)) == text);
}

}  // namespace
}  // namespace tidegate::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text = tidegate::fuzz::textOf(data + 1, size - 1);
  tidegate::fuzz::events(text, data[0]);
  tidegate::fuzz::body(text);
  tidegate::fuzz::control(text);
  tidegate::fuzz::base64(text);
  return 0;
}
