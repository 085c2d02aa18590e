/// What a snapshot says of itself: `manifest.json` (docs/kinesis-source.md has its form).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kinesis/detail/place.h"
#include "tidegate/core/schema.h"

namespace tidegate::kinesis::detail {

/// One object of a table's rows.
struct ManifestPart {
  std::string key{};   ///< below the prefix
  std::string etag{};  ///< empty: whichever is there
};

struct ManifestTable {
  TableSchema schema{};
  std::vector<ManifestPart> parts{};  ///< empty: the table's usual name
};

struct Manifest {
  std::vector<ManifestTable> tables{};
  /// The last record of each shard that the snapshot has; empty: it does not say.
  std::map<std::string, ShardPlace, std::less<>> shards{};
  std::optional<std::int64_t> takenMillis{};
};

/// @throws Error{parseError, Retry::afterOperator} naming the member.
Manifest parseManifest(std::string_view json);

}  // namespace tidegate::kinesis::detail
