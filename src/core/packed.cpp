#include "core/detail/packed.h"

#include <algorithm>
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

/// Kind octet and varint. Short ones are put together in a register: octets stored one by one and read back as a word
/// would wait for every store before them.
char* putNumber(ValueKind kind, std::uint64_t v, char* at) noexcept {
  constexpr std::uint64_t kShort = std::uint64_t{1} << 49;
  auto word = static_cast<std::uint64_t>(kind);
  if (v >= kShort) {
    *at++ = static_cast<char>(word);
    for (; v >= 0x80; v >>= 7) *at++ = static_cast<char>(v | 0x80);
    *at++ = static_cast<char>(v);
    return at;
  }
  unsigned shift = 8;
  for (; v >= 0x80; v >>= 7, shift += 8) word |= ((v & 0x7F) | 0x80) << shift;
  word |= v << shift;
  std::memcpy(at, &word, 8);
  return at + shift / 8 + 1;
}

char* putEight(ValueKind kind, std::uint64_t v, char* at) noexcept {
  *at++ = static_cast<char>(kind);
  std::memcpy(at, &v, 8);
  return at + 8;
}

char* putTimestamp(const Timestamp& moment, char* at) noexcept {
  at[0] = static_cast<char>(ValueKind::timestamp);
  at[1] = moment.hasZone ? 1 : 0;
  std::memcpy(at + 2, &moment.micros, 8);
  return at + 10;
}

/// Of a kind that is packed as a text.
std::string_view textOf(const Value& v) noexcept {
  const Value::Variant& held = v.variant();
  switch (v.kind()) {
    case ValueKind::decimal:
      return std::get_if<Decimal>(&held)->text;
    case ValueKind::bytes:
      return std::get_if<Bytes>(&held)->octets;
    case ValueKind::json:
      return std::get_if<Json>(&held)->text;
    default:
      return *std::get_if<std::string>(&held);
  }
}

/// The alternative itself, its string's capacity kept where the kind is the same.
template <class T>
T& alternative(Value& out) {
  if (T* same = std::get_if<T>(&out.variant())) return *same;
  return out.variant().emplace<T>();
}

}  // namespace

// Switches, because std::visit over 13 alternatives is an indirect call, and every value of every row passes here.
char* packHead(const Value& v, char* at, std::string_view& text) noexcept {
  const ValueKind kind = v.kind();
  const Value::Variant& held = v.variant();
  text = {};
  switch (kind) {
    case ValueKind::null:
      *at = static_cast<char>(kind);
      return at + 1;
    case ValueKind::boolean:
      return putNumber(kind, *std::get_if<bool>(&held) ? 1 : 0, at);
    case ValueKind::int64:
      return putNumber(kind, zigzag(*std::get_if<std::int64_t>(&held)), at);
    case ValueKind::uint64:
      return putNumber(kind, *std::get_if<std::uint64_t>(&held), at);
    case ValueKind::real:
      return putEight(kind, packedDouble(*std::get_if<double>(&held)), at);
    case ValueKind::date:
      return putNumber(kind, zigzag(std::get_if<Date>(&held)->days), at);
    case ValueKind::time:
      return putNumber(kind, zigzag(std::get_if<Time>(&held)->micros), at);
    case ValueKind::timestamp:
      return putTimestamp(*std::get_if<Timestamp>(&held), at);
    case ValueKind::uuid: {
      const auto& octets = std::get_if<Uuid>(&held)->octets;
      text = {reinterpret_cast<const char*>(octets.data()), octets.size()};
      *at = static_cast<char>(kind);
      return at + 1;
    }
    default:
      text = textOf(v);
      return putNumber(kind, text.size(), at);
  }
}

void packValue(const Value& v, std::string& out) {
  char head[kPackedHead];
  std::string_view text;
  const char* const end = packHead(v, head, text);
  out.append(head, static_cast<std::size_t>(end - head));
  out.append(text);
}

void packText(std::string_view text, std::string& out) {
  char head[kPackedHead];
  const char* const end = putNumber(ValueKind::text, text.size(), head);
  out.append(head, static_cast<std::size_t>(end - head));
  out.append(text);
}

void Packer::grow(std::size_t by) {
  const std::size_t packed = size();
  memory_.resize(std::max(packed + by, 2 * memory_.size()));
  at_ = memory_.data() + packed;
}

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
