#include <charconv>
#include <cmath>

#include "core/detail/number.h"
#include "core/detail/octet_text.h"
#include "kinesis/detail/row_decoder.h"

namespace tidegate::kinesis::detail {
namespace {

template <class Number>
std::optional<Value> wholeOf(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return Value(number);
}

std::optional<Value> integerOf(std::string_view digits) {
  if (auto value = wholeOf<std::int64_t>(digits)) return value;
  return wholeOf<std::uint64_t>(digits);
}

std::optional<Value> realOf(std::string_view text) {
  if (text == "NaN") return Value(std::nan(""));
  if (text == "Infinity") return Value(HUGE_VAL);
  if (text == "-Infinity") return Value(-HUGE_VAL);
  if (!tidegate::detail::NumberText::parse(text)) return std::nullopt;
  if (const auto number = tidegate::detail::readDouble(text)) return Value(*number);
  return std::nullopt;
}

template <class T>
std::optional<Value> readBy(bool (*parse)(std::string_view, T&) noexcept, std::string_view text) {
  T out{};
  if (!parse(text, out)) return std::nullopt;
  return Value(out);
}

std::optional<Value> timestampOf(std::string_view text) {
  Timestamp at;
  if (!parseTimestamp(text, at)) return std::nullopt;
  const bool infinite = at.micros == Timestamp::kInfinity || at.micros == Timestamp::kMinusInfinity;
  if (infinite) at.hasZone = true;
  return Value(at);
}

}  // namespace

std::optional<Value> valueOfText(std::string_view text, ValueKind kind) {
  switch (kind) {
    case ValueKind::null:
    case ValueKind::text:
      return Value(text);
    case ValueKind::int64:
    case ValueKind::uint64:
      return integerOf(text);
    case ValueKind::real:
      return realOf(text);
    case ValueKind::decimal:
      return isDecimal(text) ? std::optional<Value>(Decimal{std::string(text)}) : std::nullopt;
    case ValueKind::bytes: {
      std::string octets;
      return tidegate::detail::appendFromBase64(text, octets) ? std::optional<Value>(Bytes{std::move(octets)})
                                                              : std::nullopt;
    }
    case ValueKind::date:
      return readBy<Date>(&parseDate, text);
    case ValueKind::time:
      return readBy<Time>(&parseTime, text);
    case ValueKind::timestamp:
      return timestampOf(text);
    case ValueKind::uuid:
      return readBy<Uuid>(&parseUuid, text);
    case ValueKind::boolean:
    case ValueKind::json:
      break;
  }
  return std::nullopt;
}

std::optional<Value> valueOfNumber(std::string_view token, ValueKind kind) {
  switch (kind) {
    case ValueKind::int64:
    case ValueKind::uint64:
      return integerOf(token);
    case ValueKind::real:
      return realOf(token);
    case ValueKind::decimal:
      return isDecimal(token) ? std::optional<Value>(Decimal{std::string(token)}) : std::nullopt;
    case ValueKind::null:
      if (auto whole = integerOf(token)) return whole;
      return realOf(token);
    default:
      return std::nullopt;
  }
}

}  // namespace tidegate::kinesis::detail
