#include "engine/detail/row_digest.h"

#include <cmath>

#include "core/detail/number.h"
#include "tidegate/core/error.h"
#include "tidegate/core/json.h"

namespace tidegate::detail {
namespace {

/// Digits without zeros at either end, and where the point is.
void appendNumberForm(std::string_view text, std::string& out) {
  const auto number = NumberText::parse(text);
  if (!number) {
    out += text;  // NaN, Infinity
    return;
  }
  std::string digits = std::string(number->whole) + std::string(number->fraction);
  std::int64_t point = static_cast<std::int64_t>(number->whole.size()) + number->exponent;
  const std::size_t first = digits.find_first_not_of('0');
  if (first == std::string::npos) {
    out += '0';
    return;
  }
  digits.erase(0, first);
  point -= static_cast<std::int64_t>(first);
  digits.erase(digits.find_last_not_of('0') + 1);
  if (number->negative) out += '-';
  out += digits + "e" + std::to_string(point);
}

void appendDouble(double v, std::string& out) {
  if (std::isnan(v)) {
    out += "NaN";
  } else if (std::isinf(v)) {
    out += v < 0 ? "-Infinity" : "Infinity";
  } else {
    std::string text;
    appendNumber(v, text);
    appendNumberForm(text, out);
  }
}

std::string jsonForm(const std::string& text) {
  try {
    return canonicalJson(text);
  } catch (const Error&) {
    return text;
  }
}

}  // namespace

void appendCanonical(const Value& value, std::string& out) {
  switch (value.kind()) {
    case ValueKind::null:
      out += '-';
      return;
    case ValueKind::boolean:
      out += value.as<bool>() ? "true" : "false";
      return;
    case ValueKind::int64:
      return appendNumberForm(std::to_string(value.as<std::int64_t>()), out);
    case ValueKind::uint64:
      return appendNumberForm(std::to_string(value.as<std::uint64_t>()), out);
    case ValueKind::real:
      return appendDouble(value.as<double>(), out);
    case ValueKind::decimal:
      return appendNumberForm(value.as<Decimal>().text, out);
    case ValueKind::text:
      out += "t" + value.as<std::string>();
      return;
    case ValueKind::bytes:
      out += "x" + value.as<Bytes>().octets;
      return;
    case ValueKind::date:
      out += "d" + std::to_string(value.as<Date>().days);
      return;
    case ValueKind::time:
      out += "h" + std::to_string(value.as<Time>().micros);
      return;
    case ValueKind::timestamp:
      out += "s" + std::to_string(value.as<Timestamp>().micros);
      return;
    case ValueKind::uuid: {
      const auto& octets = value.as<Uuid>().octets;
      out.append("u").append(reinterpret_cast<const char*>(octets.data()), octets.size());
      return;
    }
    case ValueKind::json:
      out += "j" + jsonForm(value.as<Json>().text);
      return;
  }
}

const std::string& RowDigest::textOf(const std::vector<Value>& row, const std::vector<std::uint32_t>& columns) {
  text_.clear();
  std::string one;
  for (const std::uint32_t column : columns) {
    one.clear();
    appendCanonical(row[column], one);
    text_ += std::to_string(one.size());
    text_ += ':';
    text_ += one;
  }
  return text_;
}

}  // namespace tidegate::detail
