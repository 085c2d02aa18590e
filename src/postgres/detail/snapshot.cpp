#include "postgres/detail/snapshot.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "tidegate/core/error.h"

namespace tidegate::postgres::detail {

bool Snapshot::sees(std::uint64_t xid) const {
  if (xid < xmin) return true;
  return xid < xmax && !std::binary_search(running.begin(), running.end(), xid);
}

std::uint64_t Snapshot::widen(std::uint32_t xid) const {
  const auto ahead = static_cast<std::int32_t>(xid - static_cast<std::uint32_t>(xmax));
  return xmax + static_cast<std::uint64_t>(std::int64_t{ahead});
}

bool Snapshot::covers(const Snapshot& other) const {
  // What this one does not see and the other does: one of those running here, or one from xmax on.
  for (const std::uint64_t xid : running) {
    if (other.sees(xid)) return false;
  }
  for (std::uint64_t xid = xmax; xid < other.xmax; ++xid) {
    if (other.sees(xid)) return false;
  }
  return true;
}

Snapshot parseSnapshot(std::string_view text) {
  Snapshot out;
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  const auto number = [&](std::uint64_t& value) {
    const auto [next, error] = std::from_chars(at, end, value);
    const bool read = error == std::errc{} && next != at;
    at = next;
    return read;
  };
  const auto skip = [&](char c) { return at != end && *at == c && (++at, true); };
  bool good = number(out.xmin) && skip(':') && number(out.xmax) && skip(':');
  while (good && at != end) {
    good = number(out.running.emplace_back()) && (at == end || (skip(',') && at != end));
  }
  if (!good || !std::is_sorted(out.running.begin(), out.running.end())) {
    throw Error(ErrorCode::parseError, Retry::never, fmt::format("\"{}\" is no snapshot of Postgres", text));
  }
  // In a snapshot that a slot exported, xmax moves with commits only: where the last transactions rolled back, xmin is
  // beyond it.
  out.xmax = std::max(out.xmax, out.xmin);
  return out;
}

}  // namespace tidegate::postgres::detail
