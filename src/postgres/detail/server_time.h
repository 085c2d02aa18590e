/// The server's clock: microseconds since 2000-01-01.
#pragma once

#include <cstdint>

namespace tidegate::postgres::detail {

inline constexpr std::uint64_t kMicrosTo2000 = 946'684'800'000'000;

/// From what stands in a message; wraps instead of overflowing for times that no server sends.
inline std::int64_t unixMicros(std::uint64_t server) { return static_cast<std::int64_t>(server + kMicrosTo2000); }
inline std::uint64_t serverMicros(std::int64_t unix) { return static_cast<std::uint64_t>(unix) - kMicrosTo2000; }

}  // namespace tidegate::postgres::detail
