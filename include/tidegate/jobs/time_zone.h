/// Time zones by the system's own database (TZif, RFC 8536), for schedules that follow a wall clock.
///
///     auto berlin = TimeZone::load("Europe/Berlin");
///     std::chrono::seconds east = berlin->at(clock.wallNow()).offset;
///
/// The files' rule for the future is followed too, so that a schedule is right in any year.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "tidegate/core/clock.h"

namespace tidegate {

/// A time zone. Immutable.
/// @thread Any.
class TimeZone {
 public:
  /// A stretch of time with one offset.
  struct Segment {
    /// Unix seconds: from `start`, inclusive, to `end`, exclusive.
    std::int64_t start = kAlways, end = kForEver;
    std::chrono::seconds offset{0};  ///< local time minus UTC
  };
  static constexpr std::int64_t kAlways = INT64_MIN, kForEver = INT64_MAX;

  virtual ~TimeZone() = default;

  /// "Europe/Berlin", "UTC", "Etc/GMT+5": a file below TZDIR, /usr/share/zoneinfo or /etc/zoneinfo. Read at each call;
  /// "UTC" needs no file.
  /// @throws Error{invalidConfig} for a name that is none, naming it.
  static std::shared_ptr<const TimeZone> load(std::string_view name);
  /// A zone from a TZif file's octets. @throws Error{parseError}
  static std::shared_ptr<const TimeZone> parse(std::string_view name, std::string_view tzif);

  virtual const std::string& name() const noexcept = 0;
  /// The stretch that holds a moment, given in Unix seconds.
  virtual Segment at(std::int64_t unixSeconds) const = 0;
  /// The same for a moment of a Clock.
  Segment at(Clock::Micros moment) const;
};

}  // namespace tidegate
