#include "postgres/detail/decode_binary.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "core/detail/assign_value.h"
#include "core/detail/sql_time.h"
#include "postgres/detail/big_endian.h"
#include "postgres/detail/oids.h"
#include "tidegate/core/error.h"

namespace tidegate::postgres::detail {

using tidegate::detail::assignText;
using tidegate::detail::kMicrosPerDay;
using tidegate::detail::kMicrosPerSecond;
using tidegate::detail::stringIn;

namespace {

/// Postgres counts days from 2000-01-01.
constexpr std::int64_t kEpochDays = 10'957;
constexpr std::int64_t kEpochMicros = kEpochDays * kMicrosPerDay;

[[noreturn]] void refuseCell(const char* type, std::string_view octets) {
  throw Error(ErrorCode::parseError, Retry::never,
              fmt::format("{} octets are not a binary {} of Postgres", octets.size(), type));
}

template <class T>
T numberIn(std::string_view octets, const char* type) {
  if (octets.size() != sizeof(T)) refuseCell(type, octets);
  return bigEndian<T>(octets.data());
}

void binaryBool(std::string_view octets, Value& out) { out.variant() = numberIn<std::uint8_t>(octets, "boolean") != 0; }
void binaryInt2(std::string_view octets, Value& out) {
  out.variant() = std::int64_t{static_cast<std::int16_t>(numberIn<std::uint16_t>(octets, "smallint"))};
}
void binaryInt4(std::string_view octets, Value& out) {
  out.variant() = std::int64_t{static_cast<std::int32_t>(numberIn<std::uint32_t>(octets, "integer"))};
}
void binaryInt8(std::string_view octets, Value& out) {
  out.variant() = static_cast<std::int64_t>(numberIn<std::uint64_t>(octets, "bigint"));
}
void binaryOid(std::string_view octets, Value& out) {
  out.variant() = std::int64_t{numberIn<std::uint32_t>(octets, "oid")};
}
void binaryFloat8(std::string_view octets, Value& out) {
  out.variant() = std::bit_cast<double>(numberIn<std::uint64_t>(octets, "double precision"));
}

void binaryText(std::string_view octets, Value& out) { assignText(out, octets); }
void binaryUncheckedText(std::string_view octets, Value& out) {
  if (isUtf8(octets)) return assignText(out, octets);
  stringIn<Bytes>(out).assign(octets);
}
void binaryBytea(std::string_view octets, Value& out) { stringIn<Bytes>(out).assign(octets); }
void binaryJson(std::string_view octets, Value& out) { stringIn<Json>(out).assign(octets); }
void binaryJsonb(std::string_view octets, Value& out) {
  if (octets.empty() || octets[0] != 1) refuseCell("jsonb", octets);
  stringIn<Json>(out).assign(octets.substr(1));
}

void binaryUuid(std::string_view octets, Value& out) {
  Uuid uuid;
  if (octets.size() != uuid.octets.size()) refuseCell("uuid", octets);
  std::memcpy(uuid.octets.data(), octets.data(), octets.size());
  out.variant() = uuid;
}

void binaryDate(std::string_view octets, Value& out) {
  const auto days = static_cast<std::int32_t>(numberIn<std::uint32_t>(octets, "date"));
  if (days == Date::kInfinity || days == Date::kMinusInfinity) return void(out.variant() = Date{days});
  const std::int64_t since1970 = days + kEpochDays;
  if (since1970 >= Date::kInfinity) refuseCell("date", octets);  // beyond the server's own range
  out.variant() = Date{static_cast<std::int32_t>(since1970)};
}

void binaryTime(std::string_view octets, Value& out) {
  const auto micros = static_cast<std::int64_t>(numberIn<std::uint64_t>(octets, "time"));
  if (micros < 0 || micros > kMicrosPerDay) refuseCell("time", octets);
  out.variant() = Time{micros};
}

/// The server's text of a moment that 64 bits of microseconds since 1970 do not reach: at the end of the range only.
std::string farMoment(std::int64_t sinceEpoch, bool hasZone) {
  const auto date = tidegate::detail::civilFromDays(sinceEpoch / kMicrosPerDay + kEpochDays);
  const std::int64_t rest = sinceEpoch % kMicrosPerDay, seconds = rest / kMicrosPerSecond;
  std::string text = fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", date.year, date.month, date.day, seconds / 3600,
                                 seconds / 60 % 60, seconds % 60);
  if (const auto fraction = rest % kMicrosPerSecond; fraction != 0) {
    text += fmt::format(".{:06}", fraction);
    text.resize(text.find_last_not_of('0') + 1);
  }
  return hasZone ? text + "+00" : text;
}

void binaryMoment(std::string_view octets, bool hasZone, Value& out) {
  const auto sinceEpoch = static_cast<std::int64_t>(numberIn<std::uint64_t>(octets, "timestamp"));
  std::int64_t micros = sinceEpoch;
  if (sinceEpoch != Timestamp::kInfinity && sinceEpoch != Timestamp::kMinusInfinity &&
      (__builtin_add_overflow(sinceEpoch, kEpochMicros, &micros) || micros == Timestamp::kInfinity)) {
    return assignText(out, farMoment(sinceEpoch, hasZone));
  }
  out.variant() = Timestamp{micros, hasZone};
}
void binaryTimestamp(std::string_view octets, Value& out) { binaryMoment(octets, false, out); }
void binaryTimestamptz(std::string_view octets, Value& out) { binaryMoment(octets, true, out); }

/// numeric_send's form: base 10,000 digits, of which the first stands for 10,000^weight.
class NumericReader {
 public:
  explicit NumericReader(std::string_view octets) : octets_(octets) {
    if (octets.size() < 8) refuseCell("numeric", octets);
    count_ = field(0);
    weight_ = static_cast<std::int16_t>(field(1));
    sign_ = field(2);
    scale_ = field(3);
    if (octets.size() != 8 + 2 * std::size_t{count_} || scale_ > 0x3FFF) refuseCell("numeric", octets);
  }

  void write(std::string& out) const {
    out.clear();
    if (sign_ == 0xC000) return void(out = "NaN");
    if (sign_ == 0xD000) return void(out = "Infinity");
    if (sign_ == 0xF000) return void(out = "-Infinity");
    if (sign_ != 0 && sign_ != 0x4000) refuseCell("numeric", octets_);
    if (sign_ != 0) out += '-';
    writeWhole(out);
    if (scale_ == 0) return;
    out += '.';
    const std::size_t end = out.size() + scale_;
    for (int place = -1; out.size() < end; --place) append(digit(place), out);
    out.resize(end);
  }

 private:
  unsigned field(std::size_t i) const { return bigEndian<std::uint16_t>(octets_.data() + 2 * i); }
  /// The digit of 10,000^place.
  unsigned digit(int place) const {
    const int index = weight_ - place;
    if (index < 0 || index >= static_cast<int>(count_)) return 0;
    const unsigned value = field(4 + static_cast<std::size_t>(index));
    if (value > 9'999) refuseCell("numeric", octets_);
    return value;
  }
  static void append(unsigned digit, std::string& out) {
    const char four[] = {static_cast<char>('0' + digit / 1000), static_cast<char>('0' + digit / 100 % 10),
                         static_cast<char>('0' + digit / 10 % 10), static_cast<char>('0' + digit % 10)};
    out.append(four, 4);
  }
  void writeWhole(std::string& out) const {
    if (weight_ < 0 || count_ == 0) return void(out += '0');
    out += std::to_string(digit(weight_));
    for (int place = weight_ - 1; place >= 0; --place) append(digit(place), out);
  }

  std::string_view octets_;
  unsigned count_ = 0, sign_ = 0, scale_ = 0;
  int weight_ = 0;
};

void binaryNumeric(std::string_view octets, Value& out) { NumericReader(octets).write(stringIn<Decimal>(out)); }

}  // namespace

Decoder binaryDecoderFor(unsigned baseOid, bool trustedEncoding) {
  switch (baseOid) {
    case kBool:
      return binaryBool;
    case kInt2:
      return binaryInt2;
    case kInt4:
      return binaryInt4;
    case kInt8:
      return binaryInt8;
    case kOid:
      return binaryOid;
    case kFloat8:
      return binaryFloat8;
    case kNumeric:
      return binaryNumeric;
    case kBytea:
      return binaryBytea;
    case kDate:
      return binaryDate;
    case kTime:
      return binaryTime;
    case kTimestamp:
      return binaryTimestamp;
    case kTimestamptz:
      return binaryTimestamptz;
    case kUuid:
      return binaryUuid;
    case kJson:
      return binaryJson;
    case kJsonb:
      return binaryJsonb;
    case kText:
    case kVarchar:
    case kBpchar:
    case kName:
      return trustedEncoding ? binaryText : binaryUncheckedText;
    default:
      return nullptr;
  }
}

}  // namespace tidegate::postgres::detail
