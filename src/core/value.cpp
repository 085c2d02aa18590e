#include "tidegate/core/value.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/detail/number.h"
#include "core/detail/utf8.h"
#include "core/detail/value_octets.h"
#include "tidegate/core/json.h"

namespace tidegate {

std::string_view toString(ValueKind kind) noexcept {
  constexpr std::string_view kNames[] = {"null",  "bool", "int64", "uint64",    "double", "decimal", "text",
                                         "bytes", "date", "time",  "timestamp", "uuid",   "json"};
  const auto i = static_cast<std::size_t>(kind);
  return i < std::size(kNames) ? kNames[i] : "unknown";
}

bool Value::operator==(const Value& other) const noexcept {
  const double* a = getIf<double>();
  const double* b = other.getIf<double>();
  if (a && b) {
    if (std::isnan(*a)) return std::isnan(*b);
    return std::bit_cast<std::uint64_t>(*a) == std::bit_cast<std::uint64_t>(*b);
  }
  return v_ == other.v_;
}

namespace {

std::string describeDouble(double v) {
  if (std::isnan(v)) return "NaN";
  if (std::isinf(v)) return v < 0 ? "-Infinity" : "Infinity";
  if (v == 0 && std::signbit(v)) return "-0";
  std::string text;
  detail::appendNumber(v, text);
  return text;
}

std::string describeBytes(std::string_view octets, std::size_t maxLength) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string text = "0x";
  for (const char c : octets.substr(0, maxLength)) {
    text.push_back(kHex[static_cast<unsigned char>(c) >> 4]);
    text.push_back(kHex[static_cast<unsigned char>(c) & 15]);
  }
  return text;
}

/// Enough of a long text that cutting it later gives the same: a code point has at most 4 octets.
std::string_view describeHead(std::string_view text, std::size_t maxLength) {
  if (text.size() / 4 <= maxLength) return text;
  return text.substr(0, 4 * (maxLength + 1));
}

/// One line, quoted, control characters escaped.
std::string describeText(std::string_view text, std::size_t maxLength) {
  std::string quoted;
  appendJsonString(describeHead(text, maxLength), quoted);
  return quoted;
}

struct Describer {
  std::size_t maxLength;
  std::string operator()(Null) const { return "null"; }
  std::string operator()(bool v) const { return v ? "true" : "false"; }
  std::string operator()(std::int64_t v) const { return std::to_string(v); }
  std::string operator()(std::uint64_t v) const { return std::to_string(v); }
  std::string operator()(double v) const { return describeDouble(v); }
  std::string operator()(const Decimal& v) const {
    return isDecimal(v.text) ? std::string(describeHead(v.text, maxLength)) : describeText(v.text, maxLength);
  }
  std::string operator()(const std::string& v) const { return describeText(v, maxLength); }
  std::string operator()(const Bytes& v) const { return describeBytes(v.octets, maxLength); }
  std::string operator()(Date v) const { return toIso(v); }
  std::string operator()(Time v) const { return toIso(v); }
  std::string operator()(Timestamp v) const { return toIso(v); }
  std::string operator()(const Uuid& v) const { return toIso(v); }
  std::string operator()(const Json& v) const { return describeText(v.text, maxLength); }
};

}  // namespace

std::size_t valueBytes(const Value& v) noexcept { return detail::octetsOf(v); }

std::string describe(const Value& v, std::size_t maxLength) {
  std::string text = std::visit(Describer{maxLength}, v.variant());
  std::size_t at = 0;
  std::size_t lastButOne = 0;
  for (std::size_t i = 0; i < maxLength && at < text.size(); ++i) {
    lastButOne = at;
    at += std::max<std::size_t>(1, detail::utf8Length(std::string_view(text).substr(at)));
  }
  if (at >= text.size()) return text;
  text.resize(lastButOne);
  if (maxLength > 0) text += "…";
  return text;
}

}  // namespace tidegate
