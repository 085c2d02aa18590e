#include "jobs/detail/job_schedule.h"

#include <algorithm>

namespace tidegate::detail {
namespace schedule_detail {

using Micros = Clock::Micros;

/// The tick that is due, and the one that comes if none is.
struct Ticks {
  std::optional<Due> due{};
  std::optional<Micros> coming{};
};

Ticks ticksOf(const JobRecord& record, const Cron& cron, const TimeZone& zone, Micros now, const ScheduleRules& rules) {
  Ticks out;
  out.coming = cron.next(record.handled, zone);
  if (!out.coming || *out.coming > now) return out;
  const Micros last = cron.previous(now + Micros(1), zone).value_or(*out.coming);
  const bool late = now - last > rules.skipAfter;
  if (late && record.job.catchUp == CatchUp::skip) {
    out.coming = cron.next(now, zone);
    return out;
  }
  const bool missed = late || last != *out.coming;
  out.due = Due{missed && record.job.catchUp == CatchUp::run ? RunTrigger::catchUp : RunTrigger::schedule, last};
  return out;
}

}  // namespace schedule_detail

NextRun nextRun(const JobRecord& record, const Cron* cron, const TimeZone& zone, Clock::Micros now,
                const ScheduleRules& rules) {
  using namespace schedule_detail;
  if (record.asked) return {Due{RunTrigger::manual, std::nullopt}, now};
  if (record.paused) return {};
  std::optional<Micros> retryAt;
  // A wait that a clock set back made longer than any is cut.
  if (record.failures > 0 && record.retryAt) retryAt = std::min<Micros>(*record.retryAt, now + rules.maxRetry);
  const bool waits = retryAt && *retryAt > now;
  Ticks ticks;
  if (cron != nullptr) ticks = ticksOf(record, *cron, zone, now, rules);
  std::optional<Due> due;
  if (record.goOn) {
    due = Due{RunTrigger::goOn, std::nullopt};
  } else if (ticks.due) {
    due = ticks.due;
  } else if (record.failures > 0 && record.retries) {
    due = Due{RunTrigger::retry, std::nullopt};
  }
  if (due && !waits) return {due, now};
  if (due) return {std::nullopt, retryAt};
  if (waits && ticks.coming) return {std::nullopt, std::max(*retryAt, *ticks.coming)};
  return {std::nullopt, ticks.coming};
}

std::chrono::milliseconds retryDelay(std::uint32_t failures, std::chrono::milliseconds first,
                                     std::chrono::milliseconds most, std::uint64_t random) {
  std::chrono::milliseconds delay = std::min(first, most);
  for (std::uint32_t i = 1; i < failures && delay < most; ++i) delay *= 2;
  delay = std::min(delay, most);
  // Between half of it and all of it, so that jobs that failed together do not come back together.
  const auto half = static_cast<std::uint64_t>(delay.count() / 2);
  return delay - std::chrono::milliseconds(static_cast<std::int64_t>(random % (half + 1)));
}

}  // namespace tidegate::detail
