#include "tidegate/core/hlc.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "tidegate/core/error.h"

namespace tidegate {
namespace {

/// The wall clock in Unix milliseconds, within what a stamp can hold.
std::uint64_t hlcWallMillis(const Clock& clock) {
  const auto millis = std::chrono::floor<std::chrono::milliseconds>(clock.wallNow()).count();
  if (millis <= 0) return 0;
  return std::min(static_cast<std::uint64_t>(millis), Hlc::kMaxMillis);
}

}  // namespace

std::string Hlc::text() const { return std::to_string(raw); }

std::optional<Hlc> Hlc::parse(std::string_view text) noexcept {
  if (text.empty() || text.size() > 20) return std::nullopt;
  if (!std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) return std::nullopt;
  Hlc stamp;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), stamp.raw);
  if (result.ec != std::errc()) return std::nullopt;
  return stamp;
}

HlcClock::HlcClock(const Clock& clock, Options options) : clock_(clock), options_(options) {
  if (options_.maxDrift.count() < 0) {
    throw Error(ErrorCode::invalidConfig, Retry::never, "maxDrift is negative; give 0 ms or more");
  }
}

Hlc HlcClock::now() { return reserve(1); }

Hlc HlcClock::reserve(std::uint64_t count) {
  if (count == 0) throw Error(ErrorCode::invalidArgument, Retry::never, "reserve(0): ask for at least one stamp");
  const std::lock_guard lock(mutex_);
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  // last_ + 1 carries a full counter into the milliseconds, so a stamp never repeats and never goes back.
  if (last_ < kMax) {
    const std::uint64_t first = std::max(last_ + 1, hlcWallMillis(clock_) << 16);
    if (count - 1 <= kMax - first) {
      last_ = first + (count - 1);
      return Hlc{first};
    }
  }
  throw Error(ErrorCode::internal, Retry::afterOperator,
              "the hybrid logical clock has reached its last stamp; the clock restored from the store is wrong");
}

bool HlcClock::acceptable(Hlc remote) const {
  const std::lock_guard lock(mutex_);
  if (remote.raw <= last_) return true;
  const std::uint64_t wall = hlcWallMillis(clock_);
  return remote.millis() <= wall || remote.millis() - wall <= static_cast<std::uint64_t>(options_.maxDrift.count());
}

void HlcClock::receive(Hlc remote) {
  const std::lock_guard lock(mutex_);
  if (remote.raw <= last_) return;
  const std::uint64_t wall = hlcWallMillis(clock_);
  if (remote.millis() > wall && remote.millis() - wall > static_cast<std::uint64_t>(options_.maxDrift.count())) {
    throw Error(ErrorCode::clockDrift, Retry::later,
                "stamp " + remote.text() + " lies " + std::to_string(remote.millis() - wall) +
                    " ms ahead of the wall clock, over maxDrift of " + std::to_string(options_.maxDrift.count()) +
                    " ms; set the sender's clock");
  }
  last_ = remote.raw;
}

void HlcClock::restore(Hlc stamp) {
  const std::lock_guard lock(mutex_);
  last_ = std::max(last_, stamp.raw);
}

Hlc HlcClock::last() const {
  const std::lock_guard lock(mutex_);
  return Hlc{last_};
}

}  // namespace tidegate
