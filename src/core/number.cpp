#include "core/detail/number.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/detail/text_out.h"

namespace tidegate::detail {
namespace {

constexpr double kTwoTo53 = 9007199254740992.0;
constexpr double kTwoTo63 = 9223372036854775808.0;
constexpr double kTwoTo64 = 18446744073709551616.0;

template <class Integer, class Out>
void appendInteger(Integer v, Out& out) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, v).ptr;
  out.append(digits, static_cast<std::size_t>(end - digits));
}

/// ECMAScript's Number::toString, steps 6 to 12: `digits` are the shortest, the point stands after `point` of them.
template <class Out>
void appendEcmaForm(std::string_view digits, int point, Out& out) {
  const int count = static_cast<int>(digits.size());
  if (count <= point && point <= 21) {
    out.append(digits).append(static_cast<std::size_t>(point - count), '0');
  } else if (0 < point && point <= 21) {
    out.append(digits.substr(0, static_cast<std::size_t>(point))).push_back('.');
    out.append(digits.substr(static_cast<std::size_t>(point)));
  } else if (-6 < point && point <= 0) {
    out.append("0.").append(static_cast<std::size_t>(-point), '0').append(digits);
  } else {
    out.push_back(digits[0]);
    if (count > 1) out.append(".").append(digits.substr(1));
    out.append(point > 0 ? "e+" : "e-");
    appendInteger(point > 0 ? point - 1 : 1 - point, out);
  }
}

}  // namespace

template <class Out>
void appendNumber(std::int64_t v, Out& out) {
  appendInteger(v, out);
}

template <class Out>
void appendNumber(std::uint64_t v, Out& out) {
  appendInteger(v, out);
}

template <class Out>
void appendNumber(double v, Out& out) {
  if (v > -kTwoTo53 && v < kTwoTo53 && v == std::trunc(v)) {
    appendInteger(static_cast<std::int64_t>(v), out);
    return;
  }
  char text[40];  // "-d.dddddddddddddddde-308"
  const char* const end = std::to_chars(text, text + sizeof text, v, std::chars_format::scientific).ptr;
  const char* at = text;
  if (*at == '-') out.push_back(*at++);
  char digits[24];
  std::size_t count = 0;
  for (; at != end && *at != 'e'; ++at) {
    if (*at != '.') digits[count++] = *at;
  }
  int exponent = 0;
  if (at != end) {
    ++at;
    if (at != end && *at == '+') ++at;
    std::from_chars(at, end, exponent);
  }
  appendEcmaForm({digits, count}, exponent + 1, out);
}

template void appendNumber(double, std::string&);
template void appendNumber(std::int64_t, std::string&);
template void appendNumber(std::uint64_t, std::string&);
template void appendNumber(double, TextOut&);
template void appendNumber(std::int64_t, TextOut&);
template void appendNumber(std::uint64_t, TextOut&);

std::optional<double> readDouble(std::string_view text) noexcept {
  double v = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), v);
  if (result.ptr != text.data() + text.size()) return std::nullopt;
  if (result.ec == std::errc()) return v;
  // from_chars says "out of range" for both ends and leaves `v` alone: which end it is shows against 1.
  const auto number = NumberText::parse(text.front() == '-' ? text.substr(1) : text);
  const bool tiny = number ? compareNumbers(*number, *NumberText::parse("1")) < 0 : text.find("e-") != text.npos;
  if (!tiny) return std::nullopt;
  return text.front() == '-' ? -0.0 : 0.0;
}

namespace {

std::string_view takeDigits(std::string_view& text) {
  std::size_t n = 0;
  while (n < text.size() && text[n] >= '0' && text[n] <= '9') ++n;
  const std::string_view digits = text.substr(0, n);
  text.remove_prefix(n);
  return digits;
}

bool takeChar(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

/// The digits of whole and fraction as one row, without leading zeros; `magnitude` counts digits before the point.
struct DigitRow {
  std::string_view whole;
  std::string_view fraction;
  std::int64_t magnitude = 0;

  explicit DigitRow(const NumberText& n) : whole(n.whole), fraction(n.fraction) {
    while (takeChar(whole, '0')) continue;
    magnitude = static_cast<std::int64_t>(whole.size()) + n.exponent;
    if (!whole.empty()) return;
    while (takeChar(fraction, '0')) --magnitude;
  }
  std::size_t size() const { return whole.size() + fraction.size(); }
  char at(std::size_t i) const {
    if (i < whole.size()) return whole[i];
    return i < size() ? fraction[i - whole.size()] : '0';
  }
  bool isZero() const { return size() == 0; }
};

std::strong_ordering compareMagnitudes(const DigitRow& a, const DigitRow& b) {
  if (a.isZero() || b.isZero()) return b.isZero() <=> a.isZero();
  if (a.magnitude != b.magnitude) return a.magnitude <=> b.magnitude;
  const std::size_t count = std::max(a.size(), b.size());
  for (std::size_t i = 0; i < count; ++i) {
    if (a.at(i) != b.at(i)) return a.at(i) <=> b.at(i);
  }
  return std::strong_ordering::equal;
}

}  // namespace

std::optional<NumberText> NumberText::parse(std::string_view text) noexcept {
  NumberText n;
  n.negative = takeChar(text, '-');
  n.whole = takeDigits(text);
  if (n.whole.empty()) return std::nullopt;
  if (takeChar(text, '.')) {
    n.fraction = takeDigits(text);
    if (n.fraction.empty()) return std::nullopt;
  }
  if (takeChar(text, 'e') || takeChar(text, 'E')) {
    const bool down = takeChar(text, '-');
    if (!down) takeChar(text, '+');
    const std::string_view digits = takeDigits(text);
    if (digits.empty() || digits.size() > 15) return std::nullopt;
    std::from_chars(digits.data(), digits.data() + digits.size(), n.exponent);
    if (down) n.exponent = -n.exponent;
  }
  if (!text.empty()) return std::nullopt;
  return n;
}

std::strong_ordering compareNumbers(const NumberText& a, const NumberText& b) noexcept {
  const DigitRow x(a);
  const DigitRow y(b);
  const bool xNegative = a.negative && !x.isZero();
  const bool yNegative = b.negative && !y.isZero();
  if (xNegative != yNegative) return yNegative <=> xNegative;
  return xNegative ? compareMagnitudes(y, x) : compareMagnitudes(x, y);
}

namespace {

std::partial_ordering compareIntegerToDouble(std::int64_t a, double b) {
  if (std::isnan(b)) return std::partial_ordering::unordered;
  if (b >= kTwoTo63) return std::partial_ordering::less;
  if (b < -kTwoTo63) return std::partial_ordering::greater;
  const double whole = std::trunc(b);
  const auto integer = static_cast<std::int64_t>(whole);
  if (a != integer) return a <=> integer;
  return whole <=> b;
}

std::partial_ordering compareIntegerToDouble(std::uint64_t a, double b) {
  if (std::isnan(b)) return std::partial_ordering::unordered;
  if (b >= kTwoTo64) return std::partial_ordering::less;
  if (b < 0) return std::partial_ordering::greater;
  const double whole = std::trunc(b);
  const auto integer = static_cast<std::uint64_t>(whole);
  if (a != integer) return a <=> integer;
  return whole <=> b;
}

std::partial_ordering reversed(std::partial_ordering order) { return 0 <=> order; }

/// A number of any kind as exact text, or as one of the three that have no digits.
struct ExactNumber {
  enum class Form { digits, nan, infinity, minusInfinity, malformed } form = Form::digits;
  NumberText text;
  char buffer[1500];  ///< a double's exact expansion: at most 1 + 309 + 1 + 1074

  explicit ExactNumber(const Value& v) {
    if (const auto* d = v.getIf<Decimal>()) {
      fromDecimal(d->text);
    } else if (const auto* r = v.getIf<double>()) {
      fromDouble(*r);
    } else if (const auto* i = v.getIf<std::int64_t>()) {
      fromBuffer(std::to_chars(buffer, buffer + sizeof buffer, *i).ptr);
    } else {
      fromBuffer(std::to_chars(buffer, buffer + sizeof buffer, v.as<std::uint64_t>()).ptr);
    }
  }
  ExactNumber(const ExactNumber&) = delete;
  ExactNumber& operator=(const ExactNumber&) = delete;

  int infinitySign() const { return form == Form::infinity ? 1 : form == Form::minusInfinity ? -1 : 0; }

 private:
  void fromDecimal(std::string_view digits) {
    if (digits == "NaN")
      form = Form::nan;
    else if (digits == "Infinity")
      form = Form::infinity;
    else if (digits == "-Infinity")
      form = Form::minusInfinity;
    else if (!isDecimal(digits))
      form = Form::malformed;
    else
      text = *NumberText::parse(digits);
  }
  void fromDouble(double v) {
    if (std::isnan(v))
      form = Form::nan;
    else if (std::isinf(v))
      form = v > 0 ? Form::infinity : Form::minusInfinity;
    else
      fromBuffer(std::to_chars(buffer, buffer + sizeof buffer, v, std::chars_format::fixed, 1074).ptr);
  }
  void fromBuffer(const char* end) { text = *NumberText::parse({buffer, static_cast<std::size_t>(end - buffer)}); }
};

std::partial_ordering compareExact(const Value& a, const Value& b) {
  const ExactNumber x(a);
  const ExactNumber y(b);
  using Form = ExactNumber::Form;
  for (const Form form : {x.form, y.form}) {
    if (form == Form::nan || form == Form::malformed) return std::partial_ordering::unordered;
  }
  if (x.form != Form::digits || y.form != Form::digits) return x.infinitySign() <=> y.infinitySign();
  return compareNumbers(x.text, y.text);
}

}  // namespace

std::partial_ordering compareNumericValues(const Value& a, const Value& b) noexcept {
  if (a.kind() == ValueKind::decimal || b.kind() == ValueKind::decimal) return compareExact(a, b);
  const auto* ai = a.getIf<std::int64_t>();
  const auto* bi = b.getIf<std::int64_t>();
  if (ai && bi) return *ai <=> *bi;
  const auto* ad = a.getIf<double>();
  const auto* bd = b.getIf<double>();
  if (ad && bd) return *ad <=> *bd;
  const auto* au = a.getIf<std::uint64_t>();
  const auto* bu = b.getIf<std::uint64_t>();
  if (au && bu) return *au <=> *bu;
  if (ai && bd) return compareIntegerToDouble(*ai, *bd);
  if (ad && bi) return reversed(compareIntegerToDouble(*bi, *ad));
  if (au && bd) return compareIntegerToDouble(*au, *bd);
  if (ad && bu) return reversed(compareIntegerToDouble(*bu, *ad));
  if (ai) return *ai < 0 ? std::partial_ordering::less : static_cast<std::uint64_t>(*ai) <=> *bu;
  return *bi < 0 ? std::partial_ordering::greater : *au <=> static_cast<std::uint64_t>(*bi);
}

}  // namespace tidegate::detail
