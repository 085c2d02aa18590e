#include "mysql/detail/json_binary.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <iterator>
#include <string>
#include <string_view>

#include "core/detail/json_write.h"
#include "mysql/detail/cell_decoder.h"
#include "mysql/detail/cell_times.h"
#include "mysql/detail/octet_cursor.h"

namespace tidegate::mysql::detail {
namespace {

/// The shortest digits that read back as the number, in the form that MySQL gives them: without an exponent from 1e-15
/// to below 1e15, and where a digit stands behind the point.
void appendReal(double n, std::string& out) {
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.begin(), buffer.end(), n, std::chars_format::scientific).ptr;
  std::string_view text(buffer.data(), static_cast<std::size_t>(end - buffer.begin()));
  if (text.front() == '-') {
    out += '-';
    text.remove_prefix(1);
  }
  const auto mark = text.find('e');
  int exponent = 0;
  const char* const sign = text.data() + mark + 1;
  std::from_chars(*sign == '+' ? sign + 1 : sign, text.data() + text.size(), exponent);
  std::string digits(text.substr(0, mark));
  if (digits.size() > 1) digits.erase(1, 1);
  const int count = static_cast<int>(digits.size()), point = exponent + 1;  // before which digit the point stands
  if (point > 0 && point < count) {
    out += digits.insert(static_cast<std::size_t>(point), 1, '.');
  } else if (point > 0 && point <= 15) {
    out.append(digits).append(static_cast<std::size_t>(point - count), '0').append(".0");
  } else if (point <= 0 && point >= -14) {
    out.append("0.").append(static_cast<std::size_t>(-point), '0').append(digits);
  } else {
    if (count > 1) digits.insert(1, 1, '.');
    fmt::format_to(std::back_inserter(out), "{}e{}", digits, exponent);
  }
}

/// MySQL's own limit of a document's depth.
constexpr int kMaxJsonDepth = 100;

enum JsonKind : std::uint8_t {
  jsonSmallObject = 0,
  jsonLargeObject = 1,
  jsonSmallArray = 2,
  jsonLargeArray = 3,
  jsonLiteral = 4,
  jsonInt16 = 5,
  jsonUint16 = 6,
  jsonInt32 = 7,
  jsonUint32 = 8,
  jsonInt64 = 9,
  jsonUint64 = 10,
  jsonReal = 11,
  jsonText = 12,
  jsonOpaque = 15
};

class Printer {
 public:
  Printer(std::string_view document, std::string& out) : budget_(document.size() + 1), out_(out) {}

  void value(std::uint8_t kind, std::string_view octets, int depth) {
    // In a document as the server writes it no octet belongs to two values. Offsets that point elsewhere could make a
    // few octets an endless text.
    if (budget_-- == 0) refuseOctets("a JSON document holds itself");
    if (depth > kMaxJsonDepth) refuseOctets("a JSON document is nested too deep");
    OctetCursor in(octets, "a JSON document");
    switch (kind) {
      case jsonSmallObject:
      case jsonLargeObject:
      case jsonSmallArray:
      case jsonLargeArray:
        return container(kind, octets, depth);
      case jsonLiteral:
        return literalOf(in.octet());
      case jsonInt16:
        return number(signExtended(in.little(2), 2));
      case jsonUint16:
        return number(in.little(2));
      case jsonInt32:
        return number(signExtended(in.little(4), 4));
      case jsonUint32:
        return number(in.little(4));
      case jsonInt64:
        return number(static_cast<std::int64_t>(in.little(8)));
      case jsonUint64:
        return number(in.little(8));
      case jsonReal:
        return realOf(std::bit_cast<double>(in.little(8)));
      case jsonText:
        return string(in.take(length(in)));
      case jsonOpaque: {
        const auto type = static_cast<WireType>(in.octet());
        return opaqueOf(type, in.take(length(in)));
      }
      default:
        refuseOctets(fmt::format("a JSON document holds the unknown kind {}", kind));
    }
  }

 private:
  template <class Number>
  void number(Number n) {
    fmt::format_to(std::back_inserter(out_), "{}", n);
  }
  void realOf(double n) {
    if (!std::isfinite(n)) refuseOctets("a JSON document holds a number that is none");
    appendReal(n, out_);
  }
  void string(std::string_view octets) {
    if (!isUtf8(octets)) refuseOctets("a JSON document holds text that is not UTF-8");
    tidegate::detail::appendCanonicalValue(Value(octets), out_);
  }
  void literalOf(std::uint8_t which) {
    if (which > 2) refuseOctets("a JSON document holds an unknown literal");
    out_ += which == 0 ? "null" : which == 1 ? "true" : "false";
  }
  /// Seven bits an octet, least significant first, at most five octets.
  static std::size_t length(OctetCursor& in) {
    std::uint64_t size = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
      const std::uint8_t octet = in.octet();
      size |= static_cast<std::uint64_t>(octet & 0x7F) << shift;
      if (octet < 0x80) return static_cast<std::size_t>(size);
    }
    refuseOctets("a JSON document holds an endless length");
  }

  /// Values that the octets of JSON have no kind for: decimals, times, and whatever else a column can hold.
  void opaqueOf(WireType type, std::string_view octets) {
    OctetCursor in(octets, "a value in a JSON document");
    switch (type) {
      case WireType::decimal: {
        const unsigned precision = in.octet(), scale = in.octet();
        std::string digits;
        readDecimal(in, precision, scale, digits);
        out_ += digits;
        return;
      }
      case WireType::date:
      case WireType::time:
      case WireType::dateTime:
      case WireType::timestamp:
        out_ += '"';
        packedTimeToText(static_cast<std::int64_t>(in.little(8)), type, out_);
        out_ += '"';
        return;
      default:
        out_ += fmt::format("\"base64:type{}:", static_cast<int>(type));
        std::string quoted;
        tidegate::detail::appendCanonicalValue(Value(Bytes{std::string(octets)}), quoted);
        out_ += std::string_view(quoted).substr(1);
    }
  }

  void container(std::uint8_t kind, std::string_view octets, int depth) {
    const bool isObject = kind == jsonSmallObject || kind == jsonLargeObject;
    const std::size_t width = kind == jsonLargeObject || kind == jsonLargeArray ? 4 : 2;
    OctetCursor head(octets, "a JSON document");
    const std::uint64_t count = head.little(width), size = head.little(width);
    if (size > octets.size()) refuseOctets("a JSON document ends too early");
    octets = octets.substr(0, static_cast<std::size_t>(size));
    const std::size_t keyEntry = width + 2, valueEntry = width + 1;
    const std::size_t perValue = isObject ? keyEntry + valueEntry : valueEntry;
    if (octets.size() < 2 * width || count > (octets.size() - 2 * width) / perValue) {
      refuseOctets("a JSON document has more members than octets");
    }
    const std::size_t keysAt = 2 * width;
    const std::size_t valuesAt = keysAt + (isObject ? static_cast<std::size_t>(count) * keyEntry : 0);
    out_ += isObject ? '{' : '[';
    for (std::size_t i = 0; i < count; ++i) {
      if (i != 0) out_ += ", ";
      if (isObject) {
        OctetCursor entry(octets.substr(keysAt + i * keyEntry), "a JSON document");
        const std::size_t at = entry.length(width), keySize = entry.length(2);
        string(part(octets, at, keySize));
        out_ += ": ";
      }
      member(octets, valuesAt + i * valueEntry, width, depth);
    }
    out_ += isObject ? '}' : ']';
  }

  static std::string_view part(std::string_view octets, std::size_t at, std::size_t size) {
    if (at > octets.size() || size > octets.size() - at) refuseOctets("a JSON document points out of itself");
    return octets.substr(at, size);
  }

  /// Small values stand in the entry itself; others where it points to.
  void member(std::string_view octets, std::size_t entryAt, std::size_t width, int depth) {
    OctetCursor entry(octets.substr(entryAt), "a JSON document");
    const std::uint8_t kind = entry.octet();
    const bool inPlace = kind == jsonLiteral || kind == jsonInt16 || kind == jsonUint16 ||
                         (width == 4 && (kind == jsonInt32 || kind == jsonUint32));
    if (inPlace) return value(kind, entry.take(width), depth + 1);
    const std::size_t at = entry.length(width);
    if (at > octets.size()) refuseOctets("a JSON document points out of itself");
    value(kind, octets.substr(at), depth + 1);
  }

  std::size_t budget_;  ///< of values still to come
  std::string& out_;
};

}  // namespace

void jsonFromBinary(std::string_view octets, std::string& out) {
  if (octets.empty()) return void(out += "null");
  OctetCursor in(octets, "a JSON document");
  const std::uint8_t kind = in.octet();
  Printer(octets, out).value(kind, in.rest(), 0);
}

}  // namespace tidegate::mysql::detail
