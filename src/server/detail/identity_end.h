/// When long answers end because their caller's token has.
#pragma once

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

#include "tidegate/server/identity.h"

namespace tidegate::server::detail {

inline constexpr std::string_view kTokenEnded = "the token has ended; connect again with a new one";

inline bool hasEnded(const Identity& who, const Clock& clock) { return who.until && clock.wallNow() >= *who.until; }

/// How long nobody looks, at most: the wall clock may step.
inline constexpr std::chrono::milliseconds kMostIdentityWait{10'000};

/// Calls `then` once the identity has ended, unless `stream` has ended by then: anything with `after`.
template <class Stream, class Then>
void whenEnded(const Stream& stream, const Identity& who, const Clock& clock, Then then) {
  if (!who.until) return;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*who.until - clock.wallNow());
  const auto wait = std::clamp(left, std::chrono::milliseconds(0), kMostIdentityWait);
  stream.after(wait, [stream, who, &clock, then = std::move(then)]() mutable {
    if (hasEnded(who, clock)) return then();
    whenEnded(stream, who, clock, std::move(then));
  });
}

}  // namespace tidegate::server::detail
