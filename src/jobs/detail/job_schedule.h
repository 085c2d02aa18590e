/// When a job is due, from its record, its schedule and the time alone.
#pragma once

#include <chrono>
#include <optional>

#include "jobs/detail/job_record.h"
#include "tidegate/jobs/cron.h"

namespace tidegate::detail {

struct ScheduleRules {
  std::chrono::milliseconds skipAfter{60'000};
  std::chrono::milliseconds maxRetry{3'600'000};
};

struct Due {
  RunTrigger trigger = RunTrigger::schedule;
  std::optional<Clock::Micros> tick{};
};

struct NextRun {
  std::optional<Due> due{};             ///< now
  std::optional<Clock::Micros> next{};  ///< when it is due; none: never
};

/// A wall clock that was set back further than this makes ticks come again; less than this is waited out.
inline constexpr std::chrono::hours kMostClockStep{1};

/// @param cron of the job; null where it has none.
NextRun nextRun(const JobRecord& record, const Cron* cron, const TimeZone& zone, Clock::Micros now,
                const ScheduleRules& rules);

/// How long to wait after the n-th failure in a row; `random` is any number.
std::chrono::milliseconds retryDelay(std::uint32_t failures, std::chrono::milliseconds first,
                                     std::chrono::milliseconds most, std::uint64_t random);

}  // namespace tidegate::detail
