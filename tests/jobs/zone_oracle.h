/// The C library's idea of local time: an implementation of its own to compare ours with.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <string>

namespace tidegate::test {

/// Sets TZ for this process; the tests run each in its own.
class ZoneOracle {
 public:
  explicit ZoneOracle(const std::string& zone) {
    ::setenv("TZ", zone.c_str(), 1);
    ::tzset();
  }
  ~ZoneOracle() {
    ::unsetenv("TZ");
    ::tzset();
  }
  std::tm local(std::int64_t unixSeconds) const {
    const auto at = static_cast<std::time_t>(unixSeconds);
    std::tm out{};
    ::localtime_r(&at, &out);
    return out;
  }
  std::int64_t offset(std::int64_t unixSeconds) const { return local(unixSeconds).tm_gmtoff; }
};

/// Seconds of a wall clock taken apart.
inline std::tm wallTime(std::int64_t localSeconds) {
  const auto at = static_cast<std::time_t>(localSeconds);
  std::tm out{};
  ::gmtime_r(&at, &out);
  return out;
}

inline std::int64_t utcSeconds(int year, int month, int day, int hour = 0, int minute = 0, int second = 0) {
  std::tm at{};
  at.tm_year = year - 1900, at.tm_mon = month - 1, at.tm_mday = day;
  at.tm_hour = hour, at.tm_min = minute, at.tm_sec = second;
  return ::timegm(&at);
}

}  // namespace tidegate::test
