#include "core/detail/packed.h"

#include <bit>
#include <cmath>
#include <limits>

#include "core/detail/number.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace {

/// One NaN for all, so that equal octets mean equal values.
std::uint64_t packedDouble(double v) {
  return std::bit_cast<std::uint64_t>(std::isnan(v) ? std::numeric_limits<double>::quiet_NaN() : v);
}

/// Kind octet and varint in one append. Short ones are put together in a register: octets stored one by one and read
/// back as a word would wait for every store before them.
void putNumber(ValueKind kind, std::uint64_t v, std::string& out) {
  constexpr std::uint64_t kShort = std::uint64_t{1} << 49;
  if (v >= kShort) {
    out.push_back(static_cast<char>(kind));
    return putVarint(v, out);
  }
  auto word = static_cast<std::uint64_t>(kind);
  unsigned shift = 8;
  for (; v >= 0x80; v >>= 7, shift += 8) word |= ((v & 0x7F) | 0x80) << shift;
  word |= v << shift;
  char octets[8];
  std::memcpy(octets, &word, 8);
  out.append(octets, shift / 8 + 1);
}

void putString(ValueKind kind, std::string_view text, std::string& out) {
  putNumber(kind, text.size(), out);
  out.append(text);
}

void putEight(ValueKind kind, std::uint64_t v, std::string& out) {
  char octets[9] = {static_cast<char>(kind)};
  std::memcpy(octets + 1, &v, 8);
  out.append(octets, 9);
}

void putTimestamp(Timestamp v, std::string& out) {
  char octets[10] = {static_cast<char>(ValueKind::timestamp), static_cast<char>(v.hasZone ? 1 : 0)};
  std::memcpy(octets + 2, &v.micros, 8);
  out.append(octets, 10);
}

/// The alternative itself, its string's capacity kept where the kind is the same.
template <class T>
T& alternative(Value& out) {
  if (T* same = std::get_if<T>(&out.variant())) return *same;
  return out.variant().emplace<T>();
}

}  // namespace

// A switch, because std::visit over 13 alternatives is an indirect call, and every value of every row passes here.
void packValue(const Value& v, std::string& out) {
  const ValueKind kind = v.kind();
  const Value::Variant& held = v.variant();
  switch (kind) {
    case ValueKind::null:
      return out.push_back(static_cast<char>(kind));
    case ValueKind::boolean:
      return putNumber(kind, *std::get_if<bool>(&held) ? 1 : 0, out);
    case ValueKind::int64:
      return putNumber(kind, zigzag(*std::get_if<std::int64_t>(&held)), out);
    case ValueKind::uint64:
      return putNumber(kind, *std::get_if<std::uint64_t>(&held), out);
    case ValueKind::real:
      return putEight(kind, packedDouble(*std::get_if<double>(&held)), out);
    case ValueKind::decimal:
      return putString(kind, std::get_if<Decimal>(&held)->text, out);
    case ValueKind::text:
      return putString(kind, *std::get_if<std::string>(&held), out);
    case ValueKind::bytes:
      return putString(kind, std::get_if<Bytes>(&held)->octets, out);
    case ValueKind::date:
      return putNumber(kind, zigzag(std::get_if<Date>(&held)->days), out);
    case ValueKind::time:
      return putNumber(kind, zigzag(std::get_if<Time>(&held)->micros), out);
    case ValueKind::timestamp:
      return putTimestamp(*std::get_if<Timestamp>(&held), out);
    case ValueKind::uuid: {
      out.push_back(static_cast<char>(kind));
      const auto& octets = std::get_if<Uuid>(&held)->octets;
      out.append(reinterpret_cast<const char*>(octets.data()), octets.size());
      return;
    }
    case ValueKind::json:
      return putString(kind, std::get_if<Json>(&held)->text, out);
  }
}

void packText(std::string_view text, std::string& out) { putString(ValueKind::text, text, out); }

void PackedReader::corrupt(const char* what) {
  throw Error(ErrorCode::storeCorrupt, Retry::afterOperator,
              std::string("packed octets cannot be read: ") + what + "; restore the store from a backup or rebuild it");
}

void PackedReader::value(Value& out) {
  const auto flag = [this] {
    const std::uint8_t o = octet();
    if (o > 1) corrupt("a flag that is neither 0 nor 1");
    return o == 1;
  };
  switch (static_cast<ValueKind>(octet())) {
    case ValueKind::null:
      out = Null{};
      return;
    case ValueKind::boolean:
      out.variant() = flag();
      return;
    case ValueKind::int64:
      out.variant() = unzigzag(varint());
      return;
    case ValueKind::uint64:
      out.variant() = varint();
      return;
    case ValueKind::real:
      out.variant() = std::bit_cast<double>(fixed64());
      return;
    case ValueKind::decimal:
      alternative<Decimal>(out).text.assign(text());
      return;
    case ValueKind::text:
      alternative<std::string>(out).assign(text());
      return;
    case ValueKind::bytes:
      alternative<Bytes>(out).octets.assign(text());
      return;
    case ValueKind::date: {
      const std::int64_t days = unzigzag(varint());
      if (days < INT32_MIN || days > INT32_MAX) corrupt("a date out of range");
      out = Date{static_cast<std::int32_t>(days)};
      return;
    }
    case ValueKind::time:
      out = Time{unzigzag(varint())};
      return;
    case ValueKind::timestamp: {
      const bool hasZone = flag();
      out = Timestamp{static_cast<std::int64_t>(fixed64()), hasZone};
      return;
    }
    case ValueKind::uuid:
      std::memcpy(alternative<Uuid>(out).octets.data(), raw(16).data(), 16);
      return;
    case ValueKind::json:
      alternative<Json>(out).text.assign(text());
      return;
  }
  corrupt("an unknown kind of value");
}

std::string_view PackedReader::packedValue() {
  const char* const from = at_;
  switch (static_cast<ValueKind>(octet())) {
    case ValueKind::null:
      break;
    case ValueKind::boolean:
      raw(1);
      break;
    case ValueKind::int64:
    case ValueKind::uint64:
    case ValueKind::date:
    case ValueKind::time:
      varint();
      break;
    case ValueKind::real:
      raw(8);
      break;
    case ValueKind::timestamp:
      raw(9);
      break;
    case ValueKind::uuid:
      raw(16);
      break;
    case ValueKind::decimal:
    case ValueKind::text:
    case ValueKind::bytes:
    case ValueKind::json:
      text();
      break;
    default:
      corrupt("an unknown kind of value");
  }
  return {from, static_cast<std::size_t>(at_ - from)};
}

bool samePacked(std::string_view a, std::string_view b) {
  if (a == b) return true;
  PackedReader x(a);
  PackedReader y(b);
  if (x.done() || y.done()) return false;
  const auto kindA = static_cast<ValueKind>(a.front());
  const auto kindB = static_cast<ValueKind>(b.front());
  // Only numbers and documents have several spellings of one value.
  const bool numbers = isNumericKind(kindA) && isNumericKind(kindB);
  if (!numbers && (kindA != ValueKind::json || kindB != ValueKind::json)) return false;
  if (kindA == ValueKind::int64 && kindB == ValueKind::int64) return false;
  return sameValue(x.value(), y.value());
}

}  // namespace tidegate::detail
