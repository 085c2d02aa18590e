/// Which worker reads which shard, and how far the group has come: one entry of a StateStore, changed in single
/// conditional writes, so that every state of it is one that somebody meant.
///
///     l1 <version> <epoch>
///     <place, as place.h writes it>
///     <shard>=<worker>;…
///     <worker>=<beats>;…
///     <worker that reads the baseline, or nothing>
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "kinesis/detail/place.h"

namespace tidegate::kinesis::detail {

struct LeaseTable {
  std::uint64_t version = 0;  ///< each writing has its own, so that no two entries are alike
  std::uint64_t epoch = 0;    ///< moves on where the stream lost something: what was read before counts no more
  StreamPlace place{};        ///< what is durable; the tables are those whose baseline is
  std::map<std::string, std::string, std::less<>> owners{};     ///< of shards
  std::map<std::string, std::uint64_t, std::less<>> workers{};  ///< signs of life
  std::string baselineBy{};
  bool operator==(const LeaseTable&) const = default;
};

std::string leaseText(const LeaseTable& table);
std::optional<LeaseTable> parseLeases(std::string_view text);

/// What a worker brings to its turn.
struct LeaseTurn {
  const std::string& me;
  const std::set<std::string>& dead;       ///< workers that gave no sign of life for too long
  const StreamPlace& acked;                ///< what was acknowledged to this worker
  const std::set<std::string>& givenBack;  ///< shards of its own that it reads no more
};

/// Notes that a worker lives and what it made durable; frees what the dead had and what is given back; takes what is
/// free, up to a fair share.
void takeTurn(LeaseTable& table, const LeaseTurn& turn);
/// Shards of a worker that others have too few for: it should stop reading them, and give them back once what it read
/// is durable.
std::vector<std::string> surplusOf(const LeaseTable& table, const std::string& worker);
/// Shards that may be read now: not to their end, and their parents were. In their order.
std::vector<std::string> readableShards(const LeaseTable& table);
/// Moves a place on, shard by shard, to the greater of both. Shards that it does not name are left out.
void raisePlace(StreamPlace& place, const StreamPlace& to);

}  // namespace tidegate::kinesis::detail
