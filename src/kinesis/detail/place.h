/// A place in a stream of many shards, and the objects that the tables' baselines came from.
///
/// As text, which is also its octets:
///
///     k1|shardId-000000000000=4957…@1700000000000;shardId-000000000001=t@1700000000000<shardId-000000000009|public.users=1700000000000~etag
///
/// A shard's place is `t@ms` (from its beginning; nothing had come at that time), `@ms` (from that time),
/// `sequence[.parts]@ms` (after that record, or after that many parts of it; nothing had followed at that time) or `x`
/// (read to its end), then `#` and its tenure where workers share shards, then `<` and its parents.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/position.h"

namespace tidegate::kinesis::detail {

/// In the order in which a shard goes through them.
enum class ShardPlaceKind : std::uint8_t { beginning, time, after, done };

struct ShardPlace {
  ShardPlaceKind kind = ShardPlaceKind::beginning;
  std::string sequence{};   ///< of `after`: decimal digits, no leading zero
  std::uint32_t parts = 0;  ///< of `after`: parts taken of an aggregated record; 0: the whole record
  std::int64_t millis = 0;  ///< of `time`: where to begin; otherwise: until then nothing followed. Unix time
  /// Which of its owners is that far, where workers share shards: another owner may begin anew before a place that the
  /// last one had reached and the group was not told of. 0: no leases.
  std::uint64_t tenure = 0;
  std::vector<std::string> parents{};
  bool operator==(const ShardPlace&) const = default;
};

/// Which object a table's rows came from.
struct ObjectVersion {
  std::int64_t modifiedMillis = 0;
  std::string tag{};  ///< its version id, or its ETag
  bool operator==(const ObjectVersion&) const = default;
};

struct StreamPlace {
  std::map<std::string, ShardPlace, std::less<>> shards{};
  std::map<std::string, ObjectVersion, std::less<>> tables{};
  bool operator==(const StreamPlace&) const = default;
};

std::string placeText(const StreamPlace& place);
std::optional<StreamPlace> parsePlace(std::string_view text);
/// @throws Error{invalidArgument}
StreamPlace requirePlace(const Position& position);

/// Numbers as long as a sequence number is.
std::strong_ordering compareSequences(std::string_view a, std::string_view b);
/// By tenure first: what the next owner delivers comes after all that the last one did, wherever it begins.
std::strong_ordering compareShardPlaces(const ShardPlace& a, const ShardPlace& b);
/// By shards alone: a place is what of the stream lies behind it. A shard that one of them does not name has not begun
/// there if one of its ancestors is still being read there; otherwise it was read to its end and is listed no more.
std::partial_ordering comparePlaces(const StreamPlace& a, const StreamPlace& b);
/// The greatest place at or before both; of each table the older object.
StreamPlace meetPlaces(const StreamPlace& a, const StreamPlace& b);

/// Writes the places of one shard's events: what of the text stays the same is made once.
class PlaceWriter {
 public:
  /// Begins with another shard, or anew after other shards moved. `place` must outlive the writer's use.
  void begin(const StreamPlace& place, std::string_view shard);
  Position at(const ShardPlace& of) const;

 private:
  std::string before_;
  std::string after_;
};

}  // namespace tidegate::kinesis::detail
