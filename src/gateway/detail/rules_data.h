/// Validated rules, laid out by table: what SyncRules holds and every compiled view shares.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tidegate/gateway/sync_rules.h"

namespace tidegate::detail {

/// A bucket as it applies to one table: where its filters' columns stand in the table's rule columns.
struct BucketOnTable {
  std::size_t bucket = 0;
  std::vector<std::size_t> positions;  ///< one per filter
};

/// What the rules say of one table.
struct TableRules {
  std::vector<std::string> columns;  ///< sorted
  std::vector<BucketOnTable> buckets;
};

struct NameHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view name) const noexcept { return std::hash<std::string_view>{}(name); }
};

/// Where each named table's rules stand.
using TableIndex = std::unordered_map<std::string, std::size_t, NameHash, std::equal_to<>>;

}  // namespace tidegate::detail

namespace tidegate {

struct SyncRules::Data {
  int version = 1;
  std::vector<RuleBucket> buckets;
  std::vector<detail::TableRules> tables;  ///< [0]: tables that no bucket names
  detail::TableIndex tableIndex;
  std::string json;
  std::string fingerprint;

  /// @throws Error{invalidConfig}
  static std::shared_ptr<const Data> make(int version, std::vector<RuleBucket> buckets);
  /// The rules as one client with these claims sees them.
  static ClientView compile(std::shared_ptr<const Data> data, const Claims& claims);

  /// Where a table's rules stand in `tables`.
  std::size_t indexOf(std::string_view table) const {
    const auto at = tableIndex.find(table);
    return at == tableIndex.end() ? 0 : at->second;
  }
};

}  // namespace tidegate
