/// Asking for a cache line before it is needed.
#pragma once

namespace tidegate::detail {

/// Asks for the line at `at`; any address will do. g++ takes a function that only prefetches for one without effect,
/// and drops calls of it that it has not inlined early. The empty statement is an effect that it must keep.
inline void prefetchLine(const void* at) noexcept {
  __builtin_prefetch(at);
  asm volatile("");
}

}  // namespace tidegate::detail
