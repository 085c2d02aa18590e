/// Names of the protocol, and the texts in its headers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tidegate/core/clock.h"
#include "tidegate/durable_streams/stream_store.h"
#include "tidegate/http/message.h"

namespace tidegate::durable_streams::detail {

inline constexpr std::string_view kNextOffset = "Stream-Next-Offset";
inline constexpr std::string_view kUpToDate = "Stream-Up-To-Date";
inline constexpr std::string_view kClosed = "Stream-Closed";
inline constexpr std::string_view kCursor = "Stream-Cursor";
inline constexpr std::string_view kSeq = "Stream-Seq";
inline constexpr std::string_view kTtl = "Stream-TTL";
inline constexpr std::string_view kExpiresAt = "Stream-Expires-At";
inline constexpr std::string_view kForkedFrom = "Stream-Forked-From";
inline constexpr std::string_view kForkOffset = "Stream-Fork-Offset";
inline constexpr std::string_view kForkSubOffset = "Stream-Fork-Sub-Offset";
inline constexpr std::string_view kProducerId = "Producer-Id";
inline constexpr std::string_view kProducerEpoch = "Producer-Epoch";
inline constexpr std::string_view kProducerSeq = "Producer-Seq";
inline constexpr std::string_view kProducerExpectedSeq = "Producer-Expected-Seq";
inline constexpr std::string_view kProducerReceivedSeq = "Producer-Received-Seq";
inline constexpr std::string_view kSseEncoding = "Stream-SSE-Data-Encoding";

/// Below the base path: the protocol's own.
inline constexpr std::string_view kControlSegment = "__ds";

/// An answer with the fields that every answer carries (section 12.7).
http::Response answerOf(int status);
/// The same with a problem+json body.
http::Response refusal(int status, std::string_view detail);

/// "true" in any case; everything else is as if the field were not there.
bool saysClosed(const http::Headers& headers);
/// Digits alone, at most 2^53-1. With `canonical`, without leading zeros.
std::optional<std::uint64_t> wholeNumber(std::string_view text, bool canonical);
/// An RFC 3339 timestamp.
std::optional<Clock::Micros> rfc3339(std::string_view text);
/// Whether a content type has the form type/subtype.
bool isContentType(std::string_view text);
/// Whether `etag` is among those of an If-None-Match field.
bool matchesEtag(std::string_view ifNoneMatch, std::string_view etag);
/// "\"id:from:to\"", with ":c" where the reader has reached the end of a closed stream.
std::string etagOf(std::uint64_t stream, std::string_view from, std::string_view to, bool closed);

/// All three producer fields, none, or why they are refused.
struct ProducerFields {
  std::optional<ProducerStamp> stamp{};
  std::string problem{};
};
ProducerFields producerFields(const http::Headers& headers);

/// The request for a new stream that a PUT holds.
struct CreateFields {
  CreateStream request{};
  std::string problem{};
};
/// @param basePath what a source's path begins with.
CreateFields createFields(http::Request& request, std::string_view basePath);

/// Gives out interval numbers that never go back for one reader (section 10.1).
class Cursors {
 public:
  Cursors(const Clock& clock, std::chrono::seconds interval, std::uint64_t seed);
  std::uint64_t now() const;
  /// The first cursor for a reader that sent this one.
  std::uint64_t after(std::string_view sent) const;

 private:
  const Clock& clock_;
  const std::chrono::seconds interval_;
  const std::uint64_t seed_;
};

/// Appends an event whose lines keep their leading spaces.
void appendEvent(std::string& out, std::string_view type, std::string_view data);
/// Appends the control event that follows data, or stands for itself.
void appendControl(std::string& out, Position next, std::uint64_t cursor, bool upToDate, bool closed);

}  // namespace tidegate::durable_streams::detail
