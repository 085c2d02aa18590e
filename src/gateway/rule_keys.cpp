#include "gateway/detail/rule_keys.h"

#include <charconv>
#include <cmath>
#include <cstring>

#include "gateway/detail/rule_literals.h"

namespace tidegate::detail {
namespace {

template <class T>
std::string rawKey(char kind, const T& value) {
  std::string key(1 + sizeof value, kind);
  std::memcpy(key.data() + 1, &value, sizeof value);
  return key;
}

std::string instantKey(const Instant& instant) { return rawKey('i', instant.days) + rawKey('+', instant.micros); }

}  // namespace

std::string realKey(double real) {
  if (std::isnan(real)) return "dN";
  return rawKey('d', real == 0 ? 0.0 : real);  // -0 is 0
}

/// Numbers that are equal have the same nearest double, so int, decimal and double need one kind of key.
std::string numberKey(const std::string& decimal) {
  double real = 0;
  const auto [at, error] = std::from_chars(decimal.data(), decimal.data() + decimal.size(), real);
  if (error != std::errc() || at != decimal.data() + decimal.size()) return "dO";  // beyond what a double can hold
  return realKey(real);
}

void appendValueKeys(const Value& value, std::vector<std::string>& out) {
  switch (value.kind()) {
    case ValueKind::null:
      return;
    case ValueKind::boolean:
      return out.push_back(value.as<bool>() ? "b1" : "b0");
    case ValueKind::int64:
      return out.push_back(realKey(static_cast<double>(value.as<std::int64_t>())));
    case ValueKind::uint64:
      return out.push_back(realKey(static_cast<double>(value.as<std::uint64_t>())));
    case ValueKind::decimal:
      return out.push_back(numberKey(value.as<Decimal>().text));
    case ValueKind::real:
      return out.push_back(realKey(value.as<double>()));
    case ValueKind::text: {
      const auto& text = value.as<std::string>();
      out.push_back('t' + text);
      if (Instant instant; Instant::parse(text, instant)) out.push_back(instantKey(instant));
      return;
    }
    case ValueKind::bytes:
      return out.push_back('y' + value.as<Bytes>().octets);
    case ValueKind::date:
      return out.push_back(instantKey(Instant::of(value.as<Date>())));
    case ValueKind::time:
      return out.push_back(rawKey('m', value.as<Time>().micros));
    case ValueKind::timestamp:
      return out.push_back(instantKey(Instant::of(value.as<Timestamp>())));
    case ValueKind::uuid:
      return out.push_back(rawKey('u', value.as<Uuid>().octets));
    case ValueKind::json:
      return out.push_back("j");  // compared deeply: whoever may hold for a document is asked
  }
}

void RuleLiterals::appendKeys(std::vector<std::string>& out) const {
  for (const std::string& text : texts_.values) {
    out.push_back('t' + text);
    if (isDecimal(text)) out.push_back(numberKey(text));
  }
  for (const bool boolean : bools_.values) out.push_back(boolean ? "b1" : "b0");
  for (const Instant& instant : instants_.values) out.push_back(instantKey(instant));
  for (const std::int64_t time : times_.values) out.push_back(rawKey('m', time));
  for (const auto& uuid : uuids_.values) out.push_back(rawKey('u', uuid));
  for (const std::string& octets : bytes_.values) out.push_back('y' + octets);
  if (!documents_.values.empty()) out.push_back("j");
}

}  // namespace tidegate::detail
