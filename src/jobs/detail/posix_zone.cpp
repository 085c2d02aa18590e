#include "jobs/detail/posix_zone.h"

#include <algorithm>
#include <array>
#include <chrono>

namespace tidegate::detail {
namespace posix_zone {

using namespace std::chrono;

constexpr std::int64_t kDay = 86'400;

std::int64_t dayOf(year_month_day date) { return sys_days(date).time_since_epoch().count(); }

/// Reads a POSIX TZ text from front to back.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  bool done() const noexcept { return at_ == text_.size(); }
  char peek() const noexcept { return done() ? '\0' : text_[at_]; }
  bool take(char c) noexcept {
    if (peek() != c) return false;
    ++at_;
    return true;
  }

  /// An abbreviation: letters, or anything between angle brackets.
  bool name() {
    const std::size_t from = at_;
    if (take('<')) {
      while (!done() && peek() != '>') ++at_;
      return take('>') && at_ - from > 2;
    }
    while ((peek() >= 'A' && peek() <= 'Z') || (peek() >= 'a' && peek() <= 'z')) ++at_;
    return at_ - from >= 3;
  }

  std::optional<int> number(int least, int most) {
    int value = 0, digits = 0;
    while (peek() >= '0' && peek() <= '9' && digits < 4) {
      value = value * 10 + (text_[at_++] - '0');
      ++digits;
    }
    if (digits == 0 || value < least || value > most) return std::nullopt;
    return value;
  }

  /// [+-]hh[:mm[:ss]] in seconds.
  std::optional<std::int64_t> time(int mostHours) {
    std::int64_t sign = 1;
    if (take('-'))
      sign = -1;
    else
      take('+');
    const auto hours = number(0, mostHours);
    if (!hours) return std::nullopt;
    std::int64_t seconds = std::int64_t{*hours} * 3'600;
    for (const std::int64_t unit : {60, 1}) {
      if (!take(':')) break;
      const auto part = number(0, 59);
      if (!part) return std::nullopt;
      seconds += *part * unit;
    }
    return sign * seconds;
  }

  std::optional<PosixChange> change() {
    PosixChange out;
    if (take('M')) {
      const auto month = number(1, 12);
      const auto week = take('.') ? number(1, 5) : std::nullopt;
      const auto day = take('.') ? number(0, 6) : std::nullopt;
      if (!month || !week || !day) return std::nullopt;
      out.month = *month, out.week = *week, out.day = *day;
    } else {
      const bool withoutLeap = take('J');
      out.form = withoutLeap ? PosixChange::Form::julianWithoutLeap : PosixChange::Form::julian;
      const auto day = number(withoutLeap ? 1 : 0, 365);
      if (!day) return std::nullopt;
      out.day = *day;
    }
    if (take('/')) {
      const auto at = time(167);
      if (!at) return std::nullopt;
      out.time = *at;
    }
    return out;
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace posix_zone

std::int64_t PosixChange::localIn(int inYear) const {
  using namespace std::chrono;
  const year y(inYear);
  if (form != Form::monthWeekDay) {
    std::int64_t of = posix_zone::dayOf(y / January / 1) + day;
    if (form == Form::julianWithoutLeap) of -= (y.is_leap() && day >= 60) ? 0 : 1;
    return of * posix_zone::kDay + time;
  }
  const std::chrono::month m(static_cast<unsigned>(month));
  const weekday w(static_cast<unsigned>(day));
  const sys_days date = week == 5 ? sys_days(y / m / w[last]) : sys_days(y / m / w[static_cast<unsigned>(week)]);
  return std::int64_t{date.time_since_epoch().count()} * posix_zone::kDay + time;
}

TimeZone::Segment PosixZone::at(std::int64_t moment) const {
  if (!summer) return {TimeZone::kAlways, TimeZone::kForEver, std::chrono::seconds(standard)};
  // Years beyond the calendar's own are folded into its cycle by clamping: no schedule reaches them.
  const std::int64_t day = std::clamp<std::int64_t>(moment / posix_zone::kDay, -700'000, 9'000'000);
  const int year = static_cast<int>(
      std::chrono::year_month_day(std::chrono::sys_days(std::chrono::days(static_cast<int>(day)))).year());
  struct Step {
    std::int64_t at, offset;
  };
  std::array<Step, 8> steps{};
  std::size_t count = 0;
  for (int y = year - 2; y <= year + 1; ++y) {
    // The end first: where summer time ends as the next begins, it goes on.
    steps[count++] = {end.localIn(y) - *summer, standard};
    steps[count++] = {begin.localIn(y) - standard, *summer};
  }
  std::stable_sort(steps.begin(), steps.end(), [](const Step& a, const Step& b) { return a.at < b.at; });
  // By index: g++ 12's object-size check is wrong about the iterator before the one that std::find_if gives.
  std::size_t after = 0;
  while (after < count && steps[after].at <= moment) ++after;
  TimeZone::Segment out;
  if (after == 0) return out;
  out.start = steps[after - 1].at;
  out.offset = std::chrono::seconds(steps[after - 1].offset);
  if (after < count) out.end = steps[after].at;
  return out;
}

std::optional<PosixZone> PosixZone::parse(std::string_view text) {
  posix_zone::Reader in(text);
  PosixZone zone;
  if (!in.name()) return std::nullopt;
  const auto west = in.time(24);
  if (!west) return std::nullopt;
  zone.standard = -*west;
  if (in.done()) return zone;
  if (!in.name()) return std::nullopt;
  zone.summer = zone.standard + 3'600;
  if (in.peek() != ',') {
    const auto summerWest = in.time(24);
    if (!summerWest) return std::nullopt;
    zone.summer = -*summerWest;
  }
  const auto begin = in.take(',') ? in.change() : std::nullopt;
  const auto end = in.take(',') ? in.change() : std::nullopt;
  if (!begin || !end || !in.done()) return std::nullopt;
  zone.begin = *begin;
  zone.end = *end;
  return zone;
}

}  // namespace tidegate::detail
