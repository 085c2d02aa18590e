#include "postgres/detail/wire.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "core/detail/sql_time.h"
#include "sink/detail/pending_rows.h"
#include "sink/detail/value_text.h"

namespace tidegate::postgres::detail {
namespace {

using tidegate::detail::appendFieldLength;
using tidegate::detail::FieldReader;
using tidegate::detail::kMicrosPerDay;

/// Postgres counts from 2000-01-01.
constexpr std::int64_t kEpochDays = 10'957;
constexpr std::int64_t kEpochMicros = kEpochDays * kMicrosPerDay;
/// The server's own bounds, counted from there (datatype/timestamp.h): inclusive and exclusive.
constexpr std::int64_t kMinDate = -2'451'545, kEndDate = 2'145'031'949;
constexpr std::int64_t kMinTimestamp = -211'813'488'000'000'000, kEndTimestamp = 9'223'371'331'200'000'000;
constexpr std::size_t kMaxNumericScale = 16'383, kMaxNumericWhole = 131'072;

constexpr std::array<WireType, 14> kTypes = {{{"boolean", 16, 1000},
                                              {"bigint", 20, 1016},
                                              {"numeric", 1700, 1231},
                                              {"double precision", 701, 1022},
                                              {"text", 25, 1009},
                                              {"bytea", 17, 1001},
                                              {"date", 1082, 1182},
                                              {"interval", 1186, 1187},
                                              {"time without time zone", 1083, 1183},
                                              {"timestamp without time zone", 1114, 1115},
                                              {"timestamp with time zone", 1184, 1185},
                                              {"uuid", 2950, 2951},
                                              {"json", 114, 199},
                                              {"jsonb", 3802, 3807}}};

template <class Integer>
void appendBig(Integer value, std::string& out) {
  auto bits = static_cast<std::make_unsigned_t<Integer>>(value);
  char octets[sizeof(Integer)];
  for (std::size_t i = sizeof(Integer); i > 0; --i) {
    octets[i - 1] = static_cast<char>(bits);
    bits = static_cast<decltype(bits)>(sizeof(Integer) > 1 ? bits >> 8 : 0);
  }
  out.append(octets, sizeof(Integer));
}

Misfit appendInt64(std::int64_t v, std::string& out) {
  appendFieldLength(8, out);
  appendBig(v, out);
  return Misfit::none;
}

Misfit appendOctets(std::string_view octets, std::string& out) {
  appendFieldLength(static_cast<std::int32_t>(octets.size()), out);
  out.append(octets);
  return Misfit::none;
}

Misfit appendText(std::string_view text, std::string& out) {
  return text.find('\0') == std::string_view::npos ? appendOctets(text, out) : Misfit::holdsNul;
}

/// Sign words of numeric_send.
constexpr std::uint16_t kNegative = 0x4000, kNaN = 0xC000, kPlusInfinity = 0xD000, kMinusInfinity = 0xF000;

void appendNumericHeader(std::size_t groups, std::int64_t weight, std::uint16_t sign, std::size_t scale,
                         std::string& out) {
  appendFieldLength(static_cast<std::int32_t>(8 + 2 * groups), out);
  appendBig(static_cast<std::int16_t>(groups), out);
  appendBig(static_cast<std::int16_t>(weight), out);
  appendBig(sign, out);
  appendBig(static_cast<std::int16_t>(scale), out);
}

/// Digits in groups of four, counted from the point, without groups of zeros at either end.
Misfit appendNumeric(std::string_view text, std::string& out) {
  if (text == "NaN") return appendNumericHeader(0, 0, kNaN, 0, out), Misfit::none;
  if (text == "Infinity") return appendNumericHeader(0, 0, kPlusInfinity, 0, out), Misfit::none;
  if (text == "-Infinity") return appendNumericHeader(0, 0, kMinusInfinity, 0, out), Misfit::none;
  if (!isDecimal(text)) return Misfit::notANumber;
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const auto point = text.find('.');
  std::string_view whole = text.substr(0, point);
  const std::string_view fraction = point == std::string_view::npos ? std::string_view() : text.substr(point + 1);
  whole.remove_prefix(std::min(whole.find_first_not_of('0'), whole.size()));
  if (whole.size() > kMaxNumericWhole || fraction.size() > kMaxNumericScale) return Misfit::outOfRange;
  std::string digits((4 - whole.size() % 4) % 4, '0');
  digits.append(whole).append(fraction);
  digits.append((4 - fraction.size() % 4) % 4, '0');
  std::int64_t weight = static_cast<std::int64_t>((whole.size() + 3) / 4) - 1;
  std::size_t first = 0, end = digits.size();
  for (; first < end && digits.compare(first, 4, "0000") == 0; first += 4) --weight;
  while (end > first && digits.compare(end - 4, 4, "0000") == 0) end -= 4;
  if (first == end) weight = 0;
  appendNumericHeader((end - first) / 4, weight, negative && first != end ? kNegative : std::uint16_t{0},
                      fraction.size(), out);
  for (std::size_t i = first; i < end; i += 4) {
    const int group =
        (digits[i] - '0') * 1000 + (digits[i + 1] - '0') * 100 + (digits[i + 2] - '0') * 10 + (digits[i + 3] - '0');
    appendBig(static_cast<std::int16_t>(group), out);
  }
  return Misfit::none;
}

Misfit appendNumericValue(const Value& v, std::string& out) {
  if (const auto* decimal = v.getIf<Decimal>()) return appendNumeric(decimal->text, out);
  if (v.getIf<std::int64_t>() == nullptr && v.getIf<std::uint64_t>() == nullptr) return Misfit::otherKind;
  std::string text;
  tidegate::detail::appendValueText(v, text);
  return appendNumeric(text, out);
}

Misfit appendReal(const Value& v, std::string& out) {
  const auto* real = v.getIf<double>();
  const auto* whole = v.getIf<std::int64_t>();
  constexpr std::int64_t kExact = std::int64_t{1} << 53;
  if (real == nullptr && (whole == nullptr || *whole > kExact || *whole < -kExact)) return Misfit::otherKind;
  return appendInt64(std::bit_cast<std::int64_t>(real != nullptr ? *real : static_cast<double>(*whole)), out);
}

Misfit appendDate(Date v, std::string& out) {
  std::int64_t days = v.days - kEpochDays;
  if (v.days == Date::kInfinity || v.days == Date::kMinusInfinity)
    days = v.days;
  else if (days < kMinDate || days >= kEndDate)
    return Misfit::outOfRange;
  appendFieldLength(4, out);
  appendBig(static_cast<std::int32_t>(days), out);
  return Misfit::none;
}

Misfit appendTimestamp(Timestamp v, std::string& out) {
  if (v.micros == Timestamp::kInfinity || v.micros == Timestamp::kMinusInfinity) return appendInt64(v.micros, out);
  std::int64_t micros = 0;
  if (__builtin_sub_overflow(v.micros, kEpochMicros, &micros) || micros < kMinTimestamp || micros >= kEndTimestamp) {
    return Misfit::outOfRange;
  }
  return appendInt64(micros, out);
}

Misfit appendInterval(Time v, std::string& out) {
  appendFieldLength(16, out);
  appendBig(v.micros, out);
  appendBig(std::int64_t{0}, out);  // days and months
  return Misfit::none;
}

/// The value where its kind is the wire's own.
template <class T, class Append>
Misfit ifKind(const Value& v, Append&& append) {
  const T* held = v.getIf<T>();
  return held == nullptr ? Misfit::otherKind : append(*held);
}

Misfit appendAsText(const Value& v, ValueKind kind, std::string& out) {
  if (kind == ValueKind::text && v.kind() != ValueKind::text) return Misfit::otherKind;
  if (const auto* text = v.getIf<std::string>(); text != nullptr && kind != ValueKind::null)
    return appendText(*text, out);
  std::string text;
  if (kind == ValueKind::null)
    tidegate::detail::appendTagged(v, text);
  else
    tidegate::detail::appendValueText(v, text);
  return appendText(text, out);
}

Misfit appendJsonb(const Json& v, std::string& out) {
  if (v.text.find('\0') != std::string::npos) return Misfit::holdsNul;
  appendFieldLength(static_cast<std::int32_t>(v.text.size() + 1), out);
  out.push_back('\1');
  out.append(v.text);
  return Misfit::none;
}

}  // namespace

const WireType& typeOf(Wire wire) { return kTypes[static_cast<std::size_t>(wire)]; }

Misfit appendField(const Value& v, Wire wire, ValueKind kind, std::string& out) {
  if (v.isNull()) return appendFieldLength(-1, out), Misfit::none;
  switch (wire) {
    case Wire::boolean:
      return ifKind<bool>(v, [&](bool b) { return appendOctets(std::string_view(b ? "\1" : "\0", 1), out); });
    case Wire::int8:
      return ifKind<std::int64_t>(v, [&](std::int64_t i) { return appendInt64(i, out); });
    case Wire::numeric:
      return appendNumericValue(v, out);
    case Wire::float8:
      return appendReal(v, out);
    case Wire::text:
      return appendAsText(v, kind, out);
    case Wire::bytea:
      return ifKind<Bytes>(v, [&](const Bytes& b) { return appendOctets(b.octets, out); });
    case Wire::date:
      return ifKind<Date>(v, [&](Date d) { return appendDate(d, out); });
    case Wire::interval:
      return ifKind<Time>(v, [&](Time t) { return appendInterval(t, out); });
    case Wire::time:
      return ifKind<Time>(v, [&](Time t) {
        return t.micros < 0 || t.micros > kMicrosPerDay ? Misfit::outOfRange : appendInt64(t.micros, out);
      });
    case Wire::timestamp:
    case Wire::timestamptz:
      return ifKind<Timestamp>(v, [&](Timestamp t) {
        return t.hasZone == (wire == Wire::timestamptz) ? appendTimestamp(t, out) : Misfit::zone;
      });
    case Wire::uuid:
      return ifKind<Uuid>(v, [&](const Uuid& u) {
        return appendOctets({reinterpret_cast<const char*>(u.octets.data()), u.octets.size()}, out);
      });
    case Wire::json:
      return ifKind<Json>(v, [&](const Json& j) { return appendText(j.text, out); });
    case Wire::jsonb:
      return ifKind<Json>(v, [&](const Json& j) { return appendJsonb(j, out); });
  }
  return Misfit::otherKind;
}

void appendKeyField(Wire wire, std::string_view field, std::string& key) {
  static constexpr std::string_view kMinusZero{"\x80\0\0\0\0\0\0\0", 8};
  key.append(field);
  if (FieldReader::isNull(field)) return;
  if (wire == Wire::numeric) {  // 1.5 and 1.50 are one key: the scale, its last header word, does not count
    key[key.size() - field.size() + 10] = key[key.size() - field.size() + 11] = '\0';
  } else if (wire == Wire::float8 && FieldReader::payload(field) == kMinusZero) {
    key[key.size() - 8] = '\0';
  }
}

std::string_view describe(Misfit misfit) {
  switch (misfit) {
    case Misfit::none:
      return "fits";
    case Misfit::otherKind:
      return "is of another kind than the column";
    case Misfit::outOfRange:
      return "is out of the column type's range";
    case Misfit::holdsNul:
      return "holds a NUL octet, which no Postgres text can";
    case Misfit::notANumber:
      return "is no decimal number";
    case Misfit::zone:
      return "has a zone where the column has none, or none where it has one";
  }
  return "does not fit";
}

}  // namespace tidegate::postgres::detail
