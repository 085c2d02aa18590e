/// A replication connection that no server stands behind: it hands out what it was fed.
///
/// Stands in for postgres/detail/replication_connection.cpp at link time, so that the stream's own loop is what runs.
#pragma once

#include <cstdint>
#include <string_view>

namespace tidegate::fuzz {

/// What the next connection reads: messages, each with 2 octets of length before it, most significant first. At the end
/// the connection is lost.
struct Feed {
  std::string_view octets{};
  std::uint64_t durable = 0;    ///< the last that the server was told
  bool confirmedAhead = false;  ///< it was told that more is durable than was received, or less than before
};

Feed& feed();

}  // namespace tidegate::fuzz
