#include "sink/detail/value_text.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <iterator>

#include "core/detail/octet_text.h"
#include "tidegate/core/json.h"

namespace tidegate::detail {
namespace {

struct TextWriter {
  std::string& out;
  void operator()(Null) const {}
  void operator()(bool v) const { out += v ? "true" : "false"; }
  void operator()(std::int64_t v) const { fmt::format_to(std::back_inserter(out), "{}", v); }
  void operator()(std::uint64_t v) const { fmt::format_to(std::back_inserter(out), "{}", v); }
  void operator()(double v) const {
    if (std::isnan(v))
      out += "NaN";
    else if (std::isinf(v))
      out += v > 0 ? "Infinity" : "-Infinity";
    else
      fmt::format_to(std::back_inserter(out), "{}", v);
  }
  void operator()(const Decimal& v) const { out += v.text; }
  void operator()(const std::string& v) const { out += v; }
  void operator()(const Json& v) const { out += v.text; }
  void operator()(Date v) const { out += toIso(v); }
  void operator()(Time v) const { out += toIso(v); }
  void operator()(Timestamp v) const {
    out += toIso(v);
    // The infinities of `toIso` say nothing of the zone.
    if (v.hasZone && out.back() != 'Z') out += 'Z';
  }
  void operator()(const Uuid& v) const { out += toIso(v); }
  void operator()(const Bytes& v) const {
    static constexpr char kDigits[] = "0123456789abcdef";
    for (const char c : v.octets) {
      const auto octet = static_cast<unsigned char>(c);
      out += kDigits[octet >> 4];
      out += kDigits[octet & 15];
    }
  }
};

template <class Number>
bool readNumber(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

bool readTimestamp(std::string_view text, Timestamp& out) {
  const bool zone = text.ends_with('Z');
  const std::string_view bare = zone ? text.substr(0, text.size() - 1) : text;
  if (bare != "infinity" && bare != "-infinity") return parseTimestamp(text, out);
  out = {bare == "infinity" ? Timestamp::kInfinity : Timestamp::kMinusInfinity, zone};
  return true;
}

bool readDate(std::string_view text, Date& out) {
  if (text == "infinity" || text == "-infinity") {
    out.days = text == "infinity" ? Date::kInfinity : Date::kMinusInfinity;
    return true;
  }
  return parseDate(text, out);
}

template <class T>
Value valueOr(bool read, T&& value, std::string_view text) {
  return read ? Value(std::forward<T>(value)) : Value(text);
}

Value numberOfText(ValueKind kind, std::string_view text) {
  std::int64_t whole = 0;
  std::uint64_t large = 0;
  double real = 0;
  if (kind == ValueKind::real) return valueOr(readNumber(text, real), real, text);
  if (readNumber(text, whole)) return whole;
  return valueOr(readNumber(text, large), large, text);
}

}  // namespace

void appendValueText(const Value& v, std::string& out) { std::visit(TextWriter{out}, v.variant()); }

Value valueOfText(ValueKind kind, std::string_view text) {
  Bytes bytes;
  Date date;
  Time time;
  Timestamp timestamp;
  Uuid uuid;
  switch (kind) {
    case ValueKind::null:
    case ValueKind::text:
      return text;
    case ValueKind::boolean:
      return valueOr(text == "true" || text == "false", text == "true", text);
    case ValueKind::int64:
    case ValueKind::uint64:
    case ValueKind::real:
      return numberOfText(kind, text);
    case ValueKind::decimal:
      return valueOr(isDecimal(text), Decimal{std::string(text)}, text);
    case ValueKind::json:
      return Json{std::string(text)};
    case ValueKind::bytes:
      return valueOr(appendFromHex(text, bytes.octets), bytes, text);
    case ValueKind::date:
      return valueOr(readDate(text, date), date, text);
    case ValueKind::time:
      return valueOr(parseTime(text, time), time, text);
    case ValueKind::timestamp:
      return valueOr(readTimestamp(text, timestamp), timestamp, text);
    case ValueKind::uuid:
      return valueOr(parseUuid(text, uuid), uuid, text);
  }
  return text;
}

void appendTagged(const Value& v, std::string& out) {
  const auto* text = v.getIf<std::string>();
  const auto* real = v.getIf<double>();
  const bool plain = v.kind() <= ValueKind::uint64 || (text != nullptr && !text->starts_with('$'));
  if (plain) return appendJson(v, out);
  std::string tagged = fmt::format("${}:", toString(v.kind()));
  if (real != nullptr) {
    tagged.clear();
    appendValueText(v, tagged);
    // A JSON number where it can be no integer; 1.0 is written "1" otherwise.
    if (std::isfinite(*real) && tagged.find_first_of(".e") != std::string::npos) {
      out += tagged;
      return;
    }
    tagged.insert(0, "$double:");
    return appendJsonString(tagged, out);
  }
  appendValueText(v, tagged);
  appendJsonString(tagged, out);
}

Value valueOfTagged(std::string_view json) {
  Value v = valueFromJson(json);
  const auto* text = v.getIf<std::string>();
  if (text == nullptr || !text->starts_with('$')) return v;
  const auto colon = text->find(':');
  if (colon == std::string::npos) return v;
  const std::string_view name = std::string_view(*text).substr(1, colon - 1);
  for (int kind = 0; kind <= static_cast<int>(ValueKind::json); ++kind) {
    const auto k = static_cast<ValueKind>(kind);
    if (toString(k) == name) return valueOfText(k, std::string_view(*text).substr(colon + 1));
  }
  return v;
}

}  // namespace tidegate::detail
