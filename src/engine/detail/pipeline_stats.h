/// What a pipeline tells of itself.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/detail/route_tables.h"
#include "tidegate/core/error.h"
#include "tidegate/engine/status.h"

namespace tidegate::detail {

/// @thread Any.
class PipelineStats {
 public:
  using Micros = std::chrono::microseconds;
  PipelineStats(const std::string& name, const std::string& source);

  PipelineState state() const;
  /// @return the state before.
  PipelineState setState(PipelineState state);
  void tables(const std::vector<RouteTable>& tables);
  void durable(std::string position, std::int64_t commitMicros, bool caughtUp);
  void committed(std::uint64_t events, Micros now);
  void caughtUp(bool caughtUp);
  void retried();
  void lettered();
  void dropped(std::uint64_t events);
  void error(const Error& error, bool stopped);
  void mended();
  /// What stopped the pipeline, if it is stopped.
  std::optional<Error> stoppedBy() const;
  PipelineStatus status(Micros steadyNow, Micros wallNow) const;

 private:
  static constexpr std::size_t kSeconds = 10;
  struct Second {
    std::int64_t second = -1;
    std::uint64_t events = 0;
  };
  mutable std::mutex mutex_;
  // guarded by mutex_
  PipelineStatus status_;
  std::optional<Error> stoppedBy_{};
  std::int64_t lastCommitMicros_ = 0;
  bool caughtUp_ = true;
  std::array<Second, kSeconds> seconds_{};
};

}  // namespace tidegate::detail
