#include "durable_streams/detail/stream.h"

#include <algorithm>

namespace tidegate::durable_streams::detail {

Position boundaryAtOrBefore(const Stream& stream, Position at) {
  const Stream* s = &stream;
  while (at < s->base && s->source != nullptr) s = s->source;
  const auto after =
      std::partition_point(s->extents.begin(), s->extents.end(), [&](const Extent& e) { return e.end <= at; });
  if (after != s->extents.begin()) return std::prev(after)->end;
  return std::min(s->base, at);
}

Position boundaryAfter(const Stream& stream, Position at) {
  const Stream* s = &stream;
  Position cap = stream.tail;
  while (at < s->base && s->source != nullptr) {
    cap = std::min(cap, s->base);
    s = s->source;
  }
  const auto after =
      std::partition_point(s->extents.begin(), s->extents.end(), [&](const Extent& e) { return e.end <= at; });
  // A fork may leave its source inside an append.
  const Position end = after == s->extents.end() ? at : after->end;
  return end > cap ? std::max(cap, at) : end;
}

Position readEnd(const Stream& stream, Position from, std::size_t maxBytes) {
  const Position tail = stream.visibleTail;
  if (tail - from <= maxBytes) return tail;
  const Position end = boundaryAtOrBefore(stream, from + maxBytes);
  return std::min(tail, end > from ? end : boundaryAfter(stream, from));
}

StreamInfo visibleInfo(const Stream& stream) {
  return {.id = stream.id,
          .contentType = stream.contentType,
          .json = stream.json,
          .tail = stream.visibleTail,
          .closed = stream.visibleClosed,
          .ttl = stream.ttl,
          .expiresAt = stream.expiresAt};
}

StreamInfo changedInfo(const Stream& stream) {
  return {.id = stream.id, .json = stream.json, .tail = stream.tail, .closed = stream.closed};
}

}  // namespace tidegate::durable_streams::detail
