#include "tidegate/jobs/cron.h"

#include <algorithm>

#include "jobs/detail/cron_fields.h"

namespace tidegate {
namespace cron_detail {

using detail::CronFields;

constexpr std::int64_t kSearchSeconds = 401LL * 366 * 86'400;

/// A stretch of constant offset, as one expression sees it.
struct Stretch {
  TimeZone::Segment segment;
  std::int64_t offset = 0;
  /// Local times before it came already in the stretch before, where each is to fire once.
  std::int64_t firstLocal = TimeZone::kAlways;
  bool firesAtStart = false;  ///< a local time that the clock left out fires then
};

Stretch stretchAt(const CronFields& fields, const TimeZone& zone, std::int64_t moment) {
  Stretch out{.segment = zone.at(moment)};
  out.offset = out.segment.offset.count();
  const std::int64_t start = out.segment.start;
  if (start == TimeZone::kAlways) return out;
  out.firstLocal = start + out.offset;
  if (fields.everyHour) return out;
  const std::int64_t before = start + zone.at(start - 1).offset.count();
  out.firesAtStart = before < out.firstLocal && fields.firstIn(before, out.firstLocal).has_value();
  out.firstLocal = std::max(out.firstLocal, before);
  return out;
}

std::optional<std::int64_t> nextAt(const CronFields& fields, const TimeZone& zone, std::int64_t from) {
  const std::int64_t limit = from + kSearchSeconds;
  while (from < limit) {
    const Stretch stretch = stretchAt(fields, zone, from);
    if (stretch.firesAtStart && from <= stretch.segment.start) return stretch.segment.start;
    const std::int64_t end = std::min(limit, stretch.segment.end);
    const std::int64_t first = std::max(from + stretch.offset, stretch.firstLocal);
    if (const auto local = fields.firstIn(first, end + stretch.offset)) return *local - stretch.offset;
    from = end;
  }
  return std::nullopt;
}

std::optional<std::int64_t> previousAt(const CronFields& fields, const TimeZone& zone, std::int64_t to) {
  const std::int64_t limit = to - kSearchSeconds;
  while (to > limit) {
    const Stretch stretch = stretchAt(fields, zone, to);
    const std::int64_t begin = std::max(limit + stretch.offset, stretch.firstLocal);
    if (const auto local = fields.lastIn(begin, to + stretch.offset)) return *local - stretch.offset;
    if (stretch.firesAtStart) return stretch.segment.start;
    if (stretch.segment.start == TimeZone::kAlways) break;
    to = stretch.segment.start - 1;
  }
  return std::nullopt;
}

std::optional<Clock::Micros> toMicros(std::optional<std::int64_t> seconds) {
  if (!seconds) return std::nullopt;
  return Clock::Micros(std::chrono::seconds(*seconds));
}

}  // namespace cron_detail

Cron Cron::parse(std::string_view text) {
  return Cron(std::string(text), std::make_shared<const detail::CronFields>(detail::parseCron(text)));
}

std::optional<Clock::Micros> Cron::next(Clock::Micros after, const TimeZone& zone) const {
  const auto from = std::chrono::floor<std::chrono::seconds>(after).count() + 1;
  return cron_detail::toMicros(cron_detail::nextAt(*fields_, zone, from));
}

std::optional<Clock::Micros> Cron::previous(Clock::Micros before, const TimeZone& zone) const {
  const auto to = std::chrono::ceil<std::chrono::seconds>(before).count() - 1;
  return cron_detail::toMicros(cron_detail::previousAt(*fields_, zone, to));
}

}  // namespace tidegate
