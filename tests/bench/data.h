/// The deltas and rows that the benchmarks push around.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "tidegate/core/delta.h"
#include "tidegate/core/row.h"
#include "tidegate/gateway/messages.h"

namespace tidegate::bench {

inline constexpr std::uint64_t kFirstMillis = 1'700'000'000'000;

/// The five data columns of a user, as in the shared delta id vectors.
inline std::vector<Value> userValues(std::size_t i) {
  return {Value(fmt::format("user-{}", i)), Value(fmt::format("user-{}@example.com", i)),
          Value(static_cast<std::int64_t>(i % 1000)), Value(i % 3 == 0),
          Value(static_cast<std::int64_t>(kFirstMillis + i))};
}

inline const Columns& userColumns() {
  static const Columns columns = makeColumns({"name", "email", "score", "active", "updated_at"});
  return columns;
}

inline RowDelta userDelta(std::size_t i, const std::string& clientId) {
  const Row row{userColumns(), userValues(i)};
  const std::string rowId = fmt::format("row-{}", i);
  return *extractDelta(nullptr, &row,
                       {.table = "users", .rowId = rowId, .clientId = clientId, .hlc = {(kFirstMillis << 16) + i}});
}

/// `count` fresh deltas of distinct rows in pushes of `batch`.
inline std::vector<SyncPush> userPushes(std::size_t count, std::size_t batch, const std::string& clientId = "bench") {
  std::vector<SyncPush> pushes;
  for (std::size_t i = 0; i < count; ++i) {
    if (i % batch == 0) {
      pushes.push_back({clientId, {}, {}});
      pushes.back().deltas.reserve(batch);
    }
    pushes.back().deltas.push_back(userDelta(i, clientId));
  }
  return pushes;
}

}  // namespace tidegate::bench
