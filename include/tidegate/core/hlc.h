/// Hybrid logical clock stamps: 48 bits of Unix milliseconds, 16 bits of counter.
///
/// Origin: Kulkarni, Demirbas et al., "Logical Physical Clocks" (2014). Differs from LakeSync's clock in that an
/// overflowing counter carries into the milliseconds, so `now()` can never go back or repeat.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "tidegate/core/clock.h"

namespace tidegate {

/// A stamp. Orders as its 64-bit number; written as a decimal string on the wire.
struct Hlc {
  std::uint64_t raw = 0;

  static constexpr std::uint64_t kMaxMillis = (std::uint64_t{1} << 48) - 1;
  /// @param millis Unix milliseconds, at most 2^48 - 1.
  static constexpr Hlc of(std::uint64_t millis, std::uint16_t counter = 0) { return {(millis << 16) | counter}; }
  constexpr std::uint64_t millis() const { return raw >> 16; }
  constexpr std::uint16_t counter() const { return static_cast<std::uint16_t>(raw & 0xFFFF); }
  constexpr auto operator<=>(const Hlc&) const = default;

  /// The decimal string of the wire form.
  std::string text() const;
  /// Reads a decimal string of 1 to 20 digits that fits 64 bits; nullopt otherwise.
  static std::optional<Hlc> parse(std::string_view text) noexcept;
};

/// Gives strictly increasing stamps that stay close to the wall clock, whatever the wall clock does.
/// @thread Any.
class HlcClock {
 public:
  struct Options {
    std::chrono::milliseconds maxDrift{5000};  ///< how far ahead of the wall clock a remote stamp may lie
  };

  explicit HlcClock(const Clock& clock = systemClock()) : HlcClock(clock, Options{}) {}
  HlcClock(const Clock& clock, Options options);

  /// The next local stamp: greater than every stamp given or received before.
  Hlc now();
  /// `count` (>= 1) consecutive stamps; returns the first. The others follow it by 1 each in `raw`.
  Hlc reserve(std::uint64_t count);
  /// Whether a remote stamp may be received: not more than `maxDrift` ahead of the wall clock, or already passed
  /// by this clock (then it cannot push the clock ahead).
  bool acceptable(Hlc remote) const;
  /// Takes a remote stamp into account, so that later local stamps are greater.
  /// @throws Error{clockDrift, Retry::later} if it is not `acceptable`; the clock is unchanged.
  void receive(Hlc remote);
  /// Raises the clock to at least `stamp` without a drift check: for a clock restored from a store.
  void restore(Hlc stamp);
  /// The greatest stamp given or received so far.
  Hlc last() const;
  const Options& options() const noexcept { return options_; }

 private:
  const Clock& clock_;
  const Options options_;
  mutable std::mutex mutex_;
  std::uint64_t last_ = 0;  ///< guarded by mutex_
};

}  // namespace tidegate
