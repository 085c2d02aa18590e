#include "mysql/detail/bind.h"

#include <cppconn/datatype.h>
#include <cppconn/prepared_statement.h>

#include <cmath>
#include <cstring>

#include "core/detail/sql_time.h"
#include "sink/detail/pending_rows.h"
#include "sink/detail/value_text.h"

namespace tidegate::mysql::detail {
namespace {

using tidegate::detail::appendFieldLength;
using tidegate::detail::FieldReader;
using tidegate::detail::kMicrosPerDay;

constexpr const char* kOtherKind = "is of another kind than the column";
constexpr const char* kOutOfRange = "is out of the column type's range";
constexpr const char* kNotFinite = "is NaN or infinite, which MySQL and MariaDB do not know";
constexpr const char* kZone = "has a zone where the column has none, or none where it has one";

/// 0001-01-01 and 9999-12-31.
constexpr std::int64_t kMinDay = -719'162, kMaxDay = 2'932'896;
/// MySQL's TIME ends at 838:59:59.
constexpr std::int64_t kMaxTime = (838LL * 3600 + 59 * 60 + 59) * 1'000'000;

/// What a field's first octet says of the rest.
enum Tag : char { kSigned = 'i', kUnsigned = 'u', kReal = 'd', kText = 's' };

template <class Number>
const char* appendNumber(Tag tag, Number v, std::string& out) {
  char octets[sizeof v];
  std::memcpy(octets, &v, sizeof v);
  appendFieldLength(1 + sizeof v, out);
  out.push_back(tag);
  out.append(octets, sizeof v);
  return nullptr;
}

const char* appendText(std::string_view text, std::string& out) {
  appendFieldLength(static_cast<std::int32_t>(1 + text.size()), out);
  out.push_back(kText);
  out.append(text);
  return nullptr;
}

const char* appendForm(const Value& v, std::string& out) {
  std::string text;
  tidegate::detail::appendValueText(v, text);
  return appendText(text, out);
}

const char* appendInteger(const Value& v, std::string& out) {
  if (const auto* whole = v.getIf<std::int64_t>()) return appendNumber(kSigned, *whole, out);
  return kOtherKind;
}

const char* appendUnsigned(const Value& v, std::string& out) {
  if (const auto* large = v.getIf<std::uint64_t>()) return appendNumber(kUnsigned, *large, out);
  const auto* whole = v.getIf<std::int64_t>();
  if (whole == nullptr) return kOtherKind;
  return *whole < 0 ? kOutOfRange : appendNumber(kUnsigned, static_cast<std::uint64_t>(*whole), out);
}

const char* appendReal(const Value& v, std::string& out) {
  constexpr std::int64_t kExact = std::int64_t{1} << 53;
  if (const auto* whole = v.getIf<std::int64_t>(); whole != nullptr && *whole <= kExact && *whole >= -kExact) {
    return appendNumber(kReal, static_cast<double>(*whole), out);
  }
  const auto* real = v.getIf<double>();
  if (real == nullptr) return kOtherKind;
  return std::isfinite(*real) ? appendNumber(kReal, *real, out) : kNotFinite;
}

const char* appendDecimal(const Value& v, std::string& out) {
  const auto* decimal = v.getIf<Decimal>();
  if (decimal == nullptr) return v.kind() == ValueKind::int64 ? appendForm(v, out) : kOtherKind;
  if (decimal->text.find_first_of("NI") != std::string::npos) return kNotFinite;
  return isDecimal(decimal->text) ? appendText(decimal->text, out) : "is no decimal number";
}

const char* appendDate(const Value& v, std::string& out) {
  const auto* date = v.getIf<Date>();
  if (date == nullptr) return kOtherKind;
  return date->days < kMinDay || date->days > kMaxDay ? kOutOfRange : appendForm(v, out);
}

const char* appendTime(const Value& v, std::string& out) {
  const auto* time = v.getIf<Time>();
  if (time == nullptr) return kOtherKind;
  return time->micros < -kMaxTime || time->micros > kMaxTime ? kOutOfRange : appendForm(v, out);
}

const char* appendDateTime(const Value& v, int zone, std::string& out) {
  const auto* at = v.getIf<Timestamp>();
  if (at == nullptr) return kOtherKind;
  if (at->hasZone != (zone == 1)) return kZone;
  if (at->micros < kMinDay * kMicrosPerDay || at->micros >= (kMaxDay + 1) * kMicrosPerDay) return kOutOfRange;
  std::string text = toIso(Timestamp::local(at->micros));
  text[text.find('T')] = ' ';
  return appendText(text, out);
}

const char* appendTagged(const Value& v, std::string& out) {
  std::string text;
  tidegate::detail::appendTagged(v, text);
  return appendText(text, out);
}

/// One spelling for each number.
std::string canonicalDecimal(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  std::string digits(text.substr(std::min(text.find_first_not_of('0'), text.size())));
  if (digits.find('.') != std::string::npos) {
    digits.erase(digits.find_last_not_of('0') + 1);
    if (digits.ends_with('.')) digits.pop_back();
  }
  return (negative && !digits.empty() ? "-" : "") + digits;
}

}  // namespace

const char* appendField(const Value& v, const ColumnPlan& plan, std::string& out) {
  if (v.isNull()) return tidegate::detail::appendNullField(out), nullptr;
  switch (plan.put) {
    case Put::boolean:
      return v.kind() == ValueKind::boolean ? appendNumber(kSigned, std::int64_t{v.as<bool>()}, out) : kOtherKind;
    case Put::integer:
      return appendInteger(v, out);
    case Put::unsignedInteger:
      return appendUnsigned(v, out);
    case Put::real:
      return appendReal(v, out);
    case Put::decimal:
      return appendDecimal(v, out);
    case Put::text:
      return v.kind() == ValueKind::text ? appendText(v.as<std::string>(), out) : kOtherKind;
    case Put::textForm:
      return appendForm(v, out);
    case Put::tagged:
      return appendTagged(v, out);
    case Put::bytes:  // as hex, for UNHEX(?): a parameter is text, and its encoding would be checked
      return v.kind() == ValueKind::bytes ? appendForm(v, out) : kOtherKind;
    case Put::date:
      return appendDate(v, out);
    case Put::time:
      return appendTime(v, out);
    case Put::dateTime:
      return appendDateTime(v, plan.zone, out);
  }
  return kOtherKind;
}

void appendKeyField(const ColumnPlan& plan, std::string_view field, std::string& key) {
  const std::string_view payload = FieldReader::isNull(field) ? std::string_view() : FieldReader::payload(field);
  if (plan.put == Put::decimal && !payload.empty()) {
    appendText(canonicalDecimal(payload.substr(1)), key);
  } else if (plan.put == Put::real && !payload.empty()) {
    double v = 0;
    std::memcpy(&v, payload.data() + 1, sizeof v);
    appendNumber(kReal, v == 0 ? 0.0 : v, key);
  } else {
    key.append(field);
  }
}

void bindField(sql::PreparedStatement& statement, unsigned index, std::string_view field) {
  if (FieldReader::isNull(field)) return statement.setNull(index, sql::DataType::VARCHAR);
  const std::string_view payload = FieldReader::payload(field);
  const char* at = payload.data() + 1;
  std::int64_t whole = 0;
  std::uint64_t large = 0;
  double real = 0;
  switch (payload[0]) {
    case kSigned:
      std::memcpy(&whole, at, sizeof whole);
      return statement.setInt64(index, whole);
    case kUnsigned:
      std::memcpy(&large, at, sizeof large);
      return statement.setUInt64(index, large);
    case kReal:
      std::memcpy(&real, at, sizeof real);
      return statement.setDouble(index, real);
    default:
      return statement.setString(index, sql::SQLString(at, payload.size() - 1));
  }
}

}  // namespace tidegate::mysql::detail
