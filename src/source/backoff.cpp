#include "tidegate/source/backoff.h"

#include <fmt/format.h>

#include <algorithm>

namespace tidegate {
namespace {

std::uint64_t jitterSeedOf(std::uint64_t given) {
  if (given != 0) return given;
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

}  // namespace

Backoff::Backoff(BackoffOptions options, std::uint64_t seed) : options_(options), jitter_(jitterSeedOf(seed)) {
  if (options_.firstDelay.count() < 1 || options_.maxDelay < options_.firstDelay) {
    throw Error(ErrorCode::invalidConfig, Retry::never,
                fmt::format("back-off of {} ms up to {} ms: firstDelay must be at least 1 ms and at most maxDelay",
                            options_.firstDelay.count(), options_.maxDelay.count()));
  }
}

std::optional<std::chrono::milliseconds> Backoff::next() {
  const bool endless = options_.maxRetries == UINT32_MAX;
  if (!endless && failures_ >= options_.maxRetries) return std::nullopt;
  auto wait = options_.firstDelay;
  for (std::uint32_t i = 0; i < failures_ && wait < options_.maxDelay; ++i) wait *= 2;
  wait = std::min(wait, options_.maxDelay);
  if (failures_ < UINT32_MAX) ++failures_;
  const auto half = static_cast<std::uint64_t>(wait.count() / 2);
  return std::chrono::milliseconds(wait.count() - static_cast<std::int64_t>(jitter_() % (half + 1)));
}

bool waitToRetry(const Error& failure, Backoff& backoff, SourceStateMachine& state, Scheduler& scheduler,
                 std::stop_token stop) {
  const auto giveUp = [&](const Error& e) {
    backoff.reset();
    state.to(SourceState::error, e.message());
    throw e;
  };
  if (failure.retry() == Retry::never || failure.retry() == Retry::afterOperator) giveUp(failure);
  const auto wait = backoff.next();
  if (!wait) {
    giveUp(Error(failure.code(), failure.retry(),
                 fmt::format("{} (gave up after {} tries in a row)", failure.message(), backoff.failures() + 1)));
  }
  if (state.state() != SourceState::connecting) state.to(SourceState::reconnecting, failure.message());
  return scheduler.waitFor(*wait, stop);
}

}  // namespace tidegate
