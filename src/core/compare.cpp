#include <cmath>
#include <cstring>

#include "core/detail/json_tree.h"
#include "core/detail/number.h"
#include "tidegate/core/value.h"

namespace tidegate {
namespace {

bool isNanValue(const Value& v) {
  if (const auto* d = v.getIf<double>()) return std::isnan(*d);
  if (const auto* d = v.getIf<Decimal>()) return d->text == "NaN";
  return false;
}

bool isMinusZero(const Value& v) {
  const auto* d = v.getIf<double>();
  return d && *d == 0 && std::signbit(*d);
}

bool sameNumber(const Value& a, const Value& b) {
  if (isMinusZero(a) != isMinusZero(b)) return false;
  if (detail::compareNumericValues(a, b) == 0) return true;
  return isNanValue(a) && isNanValue(b);
}

/// Text that is a date or a time, as a point in time; a zone-less one as if it were UTC.
bool pointInTime(std::string_view text, Timestamp& out) {
  if (parseTimestamp(text, out)) return true;
  Date day;
  if (parseDate(text, day)) {
    if (day.days == Date::kInfinity || day.days == Date::kMinusInfinity) return false;
    return !__builtin_mul_overflow(std::int64_t{day.days}, std::int64_t{86'400'000'000}, &out.micros);
  }
  // SQLite's and ISO's "YYYY-MM-DD HH:MM", which has no seconds.
  constexpr std::size_t kLength = sizeof("YYYY-MM-DD HH:MM") - 1;
  if (text.size() != kLength) return false;
  char withSeconds[kLength + 3];
  text.copy(withSeconds, kLength);
  std::memcpy(withSeconds + kLength, ":00", 3);
  return parseTimestamp({withSeconds, sizeof withSeconds}, out);
}

std::partial_ordering compareTimestampToText(const Timestamp& a, std::string_view text) {
  Timestamp b;
  if (!pointInTime(text, b)) return std::partial_ordering::unordered;
  return a.micros <=> b.micros;
}

}  // namespace

bool sameValue(const Value& a, const Value& b) noexcept {
  if (a == b) return true;
  if (detail::isNumericKind(a.kind()) && detail::isNumericKind(b.kind())) return sameNumber(a, b);
  const auto* x = a.getIf<Json>();
  const auto* y = b.getIf<Json>();
  return x && y && detail::sameJson(x->text, y->text);
}

std::partial_ordering compareValues(const Value& a, const Value& b) noexcept {
  if (detail::isNumericKind(a.kind()) && detail::isNumericKind(b.kind())) return detail::compareNumericValues(a, b);
  if (a.kind() != b.kind()) {
    if (const auto* t = a.getIf<Timestamp>()) {
      if (const auto* text = b.getIf<std::string>()) return compareTimestampToText(*t, *text);
    }
    if (const auto* t = b.getIf<Timestamp>()) {
      if (const auto* text = a.getIf<std::string>()) return 0 <=> compareTimestampToText(*t, *text);
    }
    return std::partial_ordering::unordered;
  }
  switch (a.kind()) {
    case ValueKind::text:
      return a.as<std::string>().compare(b.as<std::string>()) <=> 0;
    case ValueKind::bytes:
      return a.as<Bytes>().octets.compare(b.as<Bytes>().octets) <=> 0;
    case ValueKind::date:
      return a.as<Date>().days <=> b.as<Date>().days;
    case ValueKind::time:
      return a.as<Time>().micros <=> b.as<Time>().micros;
    case ValueKind::timestamp:
      return a.as<Timestamp>().micros <=> b.as<Timestamp>().micros;
    case ValueKind::uuid:
      return a.as<Uuid>().octets <=> b.as<Uuid>().octets;
    default:
      return std::partial_ordering::unordered;
  }
}

}  // namespace tidegate
