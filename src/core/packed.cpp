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

struct ValuePacker {
  std::string& out;
  void operator()(Null) const {}
  void operator()(bool v) const { out.push_back(v ? 1 : 0); }
  void operator()(std::int64_t v) const { putVarint(zigzag(v), out); }
  void operator()(std::uint64_t v) const { putVarint(v, out); }
  void operator()(double v) const { putFixed64(packedDouble(v), out); }
  void operator()(const Decimal& v) const { putText(v.text, out); }
  void operator()(const std::string& v) const { putText(v, out); }
  void operator()(const Bytes& v) const { putText(v.octets, out); }
  void operator()(Date v) const { putVarint(zigzag(v.days), out); }
  void operator()(Time v) const { putVarint(zigzag(v.micros), out); }
  void operator()(Timestamp v) const {
    out.push_back(v.hasZone ? 1 : 0);
    putFixed64(static_cast<std::uint64_t>(v.micros), out);
  }
  void operator()(const Uuid& v) const { out.append(reinterpret_cast<const char*>(v.octets.data()), v.octets.size()); }
  void operator()(const Json& v) const { putText(v.text, out); }
};

/// The alternative itself, its string's capacity kept where the kind is the same.
template <class T>
T& alternative(Value& out) {
  if (T* same = std::get_if<T>(&out.variant())) return *same;
  return out.variant().emplace<T>();
}

}  // namespace

void packValue(const Value& v, std::string& out) {
  out.push_back(static_cast<char>(v.kind()));
  std::visit(ValuePacker{out}, v.variant());
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
