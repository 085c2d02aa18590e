/// From which version on the server has what is used here; as PQserverVersion says it.
#pragma once

namespace tidegate::postgres::detail {

inline constexpr int kViaRootSince = 130'000;
inline constexpr int kTwoPhaseSince = 140'000;
inline constexpr int kColumnListsSince = 150'000;  ///< and row filters
inline constexpr int kFailoverSince = 170'000;
inline constexpr int kTransactionTimeoutSince = 170'000;
/// Columns that are generated may be published, and count where the replica identity is judged.
inline constexpr int kGeneratedSince = 180'000;

}  // namespace tidegate::postgres::detail
