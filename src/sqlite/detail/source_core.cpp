#include "sqlite/detail/source_core.h"

#include <fmt/format.h>

#include <algorithm>

namespace tidegate::sqlite::detail {

namespace {

constexpr std::size_t kMaxBorders = 100'000;

[[noreturn]] void refuseOption(const std::string& message) {
  throw Error(ErrorCode::invalidConfig, Retry::never, "sqlite::SourceOptions: " + message);
}

bool isSourceName(const std::string& name) {
  return !name.empty() && name.size() <= 32 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace

void checkSourceOptions(const SourceOptions& options) {
  if (options.path.empty() || options.path == ":memory:" || options.path.find('\0') != std::string::npos) {
    refuseOption("path must name a database file");
  }
  if (!isSourceName(options.name)) refuseOption("name must be 1 to 32 lower-case letters, digits and underscores");
  if (options.wakeInterval.count() < 1) refuseOption("wakeInterval must be at least 1 ms");
  if (options.trimInterval.count() < 1) refuseOption("trimInterval must be at least 1 ms");
  if (options.busyTimeout.count() < 0) refuseOption("busyTimeout must be 0 or more");
  if (options.batchEvents == 0) refuseOption("batchEvents must be at least 1");
  if (options.trimRows == 0) refuseOption("trimRows must be at least 1");
  Backoff{options.backoff, 1};
}

SourceCore::SourceCore(SourceOptions given)
    : options((checkSourceOptions(given), std::move(given))), clock(&systemClock()), scheduler(&systemScheduler()) {}

void SourceCore::requireOpen() const {
  if (state.state() == SourceState::closed) {
    throw Error(ErrorCode::stopped, Retry::never, "the source was closed; make a new one");
  }
}

void SourceCore::connected(const std::string& reason) {
  if (state.state() == SourceState::error) state.to(SourceState::connecting, "trying again");
  state.to(SourceState::connected, reason);
}

void SourceCore::warn(const std::string& message) const {
  if (context.onWarning) context.onWarning(message);
}

void SourceCore::addBorder(std::uint32_t ofToken, std::uint64_t seq) {
  if (bordersToken != ofToken) borders.clear();
  bordersToken = ofToken;
  borders.insert(borders.end(), seq);
  if (borders.size() > kMaxBorders) borders.erase(borders.begin());
}

void SourceCore::dropBordersBefore(std::uint64_t seq) { borders.erase(borders.begin(), borders.lower_bound(seq)); }

bool SourceCore::ack(const Position& position) {
  const LogPlace place = placeOf(position);
  const std::lock_guard lock(mutex_);
  const std::uint32_t now = token;
  if (now != 0 && place.token != now) return false;  // of a change table that is no more
  if (!acked_.empty()) {
    const auto order = comparePlaces(place, placeOf(acked_));
    if (order == std::partial_ordering::less || order == std::partial_ordering::equivalent) return false;
  }
  acked_ = position;
  return true;
}

Position SourceCore::acked() const {
  const std::lock_guard lock(mutex_);
  return acked_;
}

bool SourceCore::waitWhilePaused(SourceState back, const std::stop_token& stop) {
  if (!paused) return !stop.stop_requested();
  state.to(SourceState::paused, "paused");
  while (paused && !stop.stop_requested()) scheduler->waitFor(options.wakeInterval, stop);
  if (stop.stop_requested()) return false;
  state.to(back, "resumed");
  return true;
}

bool SourceCore::offer(ChangeBatch& batch, const ChangeHandler& handler, SourceState back, const std::stop_token& stop,
                       const std::function<void()>& between) {
  for (;;) {
    if (!waitWhilePaused(back, stop)) return false;
    Taken answer = Taken::full;
    try {
      answer = handler(batch);
    } catch (...) {
      throw SourceHandlerFailed{std::current_exception()};
    }
    if (answer == Taken::yes) break;
    between();
    if (!scheduler->waitFor(options.wakeInterval, stop)) return false;
  }
  batch.clear();
  return true;
}

}  // namespace tidegate::sqlite::detail
