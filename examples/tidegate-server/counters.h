/// What `/metrics` says besides the HTTP server's own numbers.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "tidegate/gateway/gateway.h"
#include "tidegate/jobs/replication_jobs.h"
#include "tidegate/server/rate_limit.h"

/// Counts runs and rows. Jobs that are gone keep their numbers until the program ends.
/// @thread Any.
class JobCounters final : public tidegate::JobObserver {
 public:
  void onRunEnded(std::string_view job, const tidegate::JobRun& run) override;
  void onWarning(std::string_view job, std::string_view message) override;
  /// Prometheus's text format.
  std::string text() const;

 private:
  struct Counts {
    std::map<tidegate::RunOutcome, std::uint64_t> runs{};
    std::uint64_t synced = 0, erased = 0, warnings = 0;
    double seconds = 0;  ///< of all runs together
  };
  mutable std::mutex mutex_;
  std::map<std::string, Counts, std::less<>> jobs_{};
};

std::string gatewayMetrics(const std::map<std::string, const tidegate::Gateway*>& gateways);
std::string limitMetrics(const tidegate::server::RateLimitStats& stats);
