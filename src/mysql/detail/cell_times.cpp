#include "mysql/detail/cell_times.h"

#include <fmt/format.h>

#include <array>
#include <iterator>

#include "core/detail/assign_value.h"
#include "core/detail/sql_time.h"

namespace tidegate::mysql::detail {
namespace {

using tidegate::detail::assignText;
using tidegate::detail::CivilDate;
using tidegate::detail::daysFromCivil;
using tidegate::detail::isCivil;
using tidegate::detail::kMicrosPerDay;
using tidegate::detail::kMicrosPerSecond;

/// A moment in parts, as it was written.
struct Moment {
  CivilDate date{};
  unsigned hour = 0, minute = 0, second = 0, micros = 0;

  std::int64_t timeMicros() const {
    return (std::int64_t{hour} * 3600 + minute * 60 + second) * kMicrosPerSecond + micros;
  }
  bool isTimeOfDay() const { return hour < 24 && minute < 60 && second < 60 && micros < kMicrosPerSecond; }
};

constexpr std::array<unsigned, 4> kFractionUnit{0, 10'000, 100, 1};  ///< microseconds, by octets of the fraction

std::size_t fractionOctets(std::uint32_t digits) { return (digits + 1) / 2; }

std::string momentText(const Moment& moment, std::uint32_t digits) {
  std::string text = fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", moment.date.year, moment.date.month,
                                 moment.date.day, moment.hour, moment.minute, moment.second);
  if (digits > 0) text += fmt::format(".{:06}", moment.micros).substr(0, digits + 1);
  return text;
}

void assignDate(const CivilDate& date, Value& out) {
  if (isCivil(date)) {
    out.variant() = Date{static_cast<std::int32_t>(daysFromCivil(date))};
  } else {
    assignText(out, fmt::format("{:04}-{:02}-{:02}", date.year, date.month, date.day));
  }
}

void assignMoment(const Moment& moment, std::uint32_t digits, Value& out) {
  if (isCivil(moment.date) && moment.isTimeOfDay()) {
    out.variant() = Timestamp::local(daysFromCivil(moment.date) * kMicrosPerDay + moment.timeMicros());
  } else {
    assignText(out, momentText(moment, digits));
  }
}

CivilDate dateOf(std::uint64_t packed) {
  return {static_cast<std::int64_t>(packed >> 9), static_cast<unsigned>(packed >> 5 & 15),
          static_cast<unsigned>(packed & 31)};
}

/// The servers pack year and month as year * 13 + month, then day, hour, minute and second in 5, 5, 6 and 6 bits.
Moment momentOf(std::uint64_t packed) {
  Moment moment;
  const std::uint64_t yearMonth = packed >> 22;
  moment.date = {static_cast<std::int64_t>(yearMonth / 13), static_cast<unsigned>(yearMonth % 13),
                 static_cast<unsigned>(packed >> 17 & 31)};
  moment.hour = static_cast<unsigned>(packed >> 12 & 31);
  moment.minute = static_cast<unsigned>(packed >> 6 & 63);
  moment.second = static_cast<unsigned>(packed & 63);
  return moment;
}

void timestamp2(OctetCursor& in, std::uint32_t digits, Value& out) {
  const auto inSeconds = static_cast<std::int64_t>(in.big(4));
  const std::size_t octets = fractionOctets(digits);
  const auto fraction = static_cast<std::int64_t>(in.big(octets) * kFractionUnit[octets]);
  if (inSeconds != 0 || fraction != 0) {
    out.variant() = Timestamp::utc(inSeconds * kMicrosPerSecond + fraction);
    return;
  }
  assignText(out, momentText({}, digits));  // 1970-01-01 00:00:00 cannot be stored: 0 is the zero date
}

void dateTime2(OctetCursor& in, std::uint32_t digits, Value& out) {
  const std::uint64_t packed = in.big(5);
  const std::size_t octets = fractionOctets(digits);
  const std::uint64_t fraction = in.big(octets) * kFractionUnit[octets];
  if ((packed & 0x80'0000'0000ULL) == 0) refuseOctets("a DATETIME before the year 0");
  Moment moment = momentOf(packed & 0x7F'FFFF'FFFFULL);
  moment.micros = static_cast<unsigned>(fraction);
  assignMoment(moment, digits, out);
}

/// The number is offset by half its range, and negative times are the negative of the whole number, fraction and all.
void time2(OctetCursor& in, std::uint32_t digits, Value& out) {
  const std::size_t octets = fractionOctets(digits);
  const std::int64_t half = std::int64_t{0x800000} << (8 * octets);
  const std::int64_t packed = static_cast<std::int64_t>(in.big(3 + octets)) - half;
  const std::int64_t size = packed < 0 ? -packed : packed;
  const std::int64_t whole = size >> (8 * octets);
  const std::int64_t fraction = size & ((std::int64_t{1} << (8 * octets)) - 1);
  const std::int64_t inSeconds = (whole >> 12 & 0x3FF) * 3600 + (whole >> 6 & 63) * 60 + (whole & 63);
  const std::int64_t micros = inSeconds * kMicrosPerSecond + fraction * kFractionUnit[octets];
  out.variant() = Time{packed < 0 ? -micros : micros};
}

void oldTimestamp(OctetCursor& in, Value& out) {
  const auto inSeconds = static_cast<std::int64_t>(in.little(4));
  if (inSeconds == 0) return assignText(out, momentText({}, 0));
  out.variant() = Timestamp::utc(inSeconds * kMicrosPerSecond);
}

/// 20240501120000
void oldDateTime(OctetCursor& in, Value& out) {
  const std::uint64_t number = in.little(8);
  const std::uint64_t day = number / 1'000'000, time = number % 1'000'000;
  Moment moment;
  moment.date = {static_cast<std::int64_t>(day / 10'000), static_cast<unsigned>(day / 100 % 100),
                 static_cast<unsigned>(day % 100)};
  if (moment.date.year > 9'999) refuseOctets("a DATETIME beyond the year 9999");
  moment.hour = static_cast<unsigned>(time / 10'000);
  moment.minute = static_cast<unsigned>(time / 100 % 100);
  moment.second = static_cast<unsigned>(time % 100);
  assignMoment(moment, 0, out);
}

/// -8385959
void oldTime(OctetCursor& in, Value& out) {
  const std::int64_t number = signExtended(in.little(3), 3);
  const std::int64_t size = number < 0 ? -number : number;
  const std::int64_t inSeconds = size / 10'000 * 3600 + size / 100 % 100 * 60 + size % 100;
  out.variant() = Time{(number < 0 ? -inSeconds : inSeconds) * kMicrosPerSecond};
}

}  // namespace

void readTimeCell(OctetCursor& in, WireType type, std::uint32_t digits, Value& out) {
  switch (type) {
    case WireType::date:
    case WireType::newDate:
      return assignDate(dateOf(in.little(3)), out);
    case WireType::timestamp2:
      return timestamp2(in, digits, out);
    case WireType::dateTime2:
      return dateTime2(in, digits, out);
    case WireType::time2:
      return time2(in, digits, out);
    case WireType::timestamp:
      return oldTimestamp(in, out);
    case WireType::dateTime:
      return oldDateTime(in, out);
    case WireType::time:
      return oldTime(in, out);
    default:
      refuseOctets(fmt::format("a column has the type {}, which no table can have", static_cast<int>(type)));
  }
}

void packedTimeToText(std::int64_t packed, WireType type, std::string& out) {
  const bool negative = packed < 0;
  const std::uint64_t size = negative ? 0 - static_cast<std::uint64_t>(packed) : static_cast<std::uint64_t>(packed);
  const std::uint64_t whole = size >> 24, micros = size & 0xFFFFFF;
  if (type == WireType::time) {
    fmt::format_to(std::back_inserter(out), "{}{:02}:{:02}:{:02}.{:06}", negative ? "-" : "", whole >> 12 & 0x3FF,
                   whole >> 6 & 63, whole & 63, micros);
    return;
  }
  Moment moment = momentOf(whole);
  moment.micros = static_cast<unsigned>(micros);
  const std::string text = momentText(moment, 6);
  out += type == WireType::date ? text.substr(0, text.find(' ')) : text;
}

}  // namespace tidegate::mysql::detail
