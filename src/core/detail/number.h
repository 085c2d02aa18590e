/// Numbers as text: shortest forms, and exact comparison without rounding.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tidegate/core/value.h"

namespace tidegate::detail {

/// Appends a finite double as ECMAScript (and so RFC 8785) writes it: shortest digits, no ".0", "1e-7", "1e+21"; -0 is
/// 0.
/// `Out` is std::string or TextOut.
template <class Out>
void appendNumber(double v, Out& out);
template <class Out>
void appendNumber(std::int64_t v, Out& out);
template <class Out>
void appendNumber(std::uint64_t v, Out& out);

/// A JSON number as the nearest double; nullopt where it lies beyond a double's range. Too small a number is 0.
std::optional<double> readDouble(std::string_view text) noexcept;

/// A decimal number's parts: (-1)^negative * whole.fraction * 10^exponent. Views into the text given.
struct NumberText {
  bool negative = false;
  std::string_view whole;
  std::string_view fraction;
  std::int64_t exponent = 0;

  /// Reads "-12.50e-3"; nullopt for anything else and for exponents of over 15 digits.
  static std::optional<NumberText> parse(std::string_view text) noexcept;
};

/// Exact, for hundreds of digits. Zeros are equal whatever their sign.
std::strong_ordering compareNumbers(const NumberText& a, const NumberText& b) noexcept;

/// int64, uint64, double or Decimal by exact value; unordered for NaN and for malformed decimals.
/// Both must be of a numeric kind.
std::partial_ordering compareNumericValues(const Value& a, const Value& b) noexcept;

inline bool isNumericKind(ValueKind kind) noexcept { return kind >= ValueKind::int64 && kind <= ValueKind::decimal; }

}  // namespace tidegate::detail
