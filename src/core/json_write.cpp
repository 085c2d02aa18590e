#include <cmath>
#include <cstring>

#include "core/detail/iso.h"
#include "core/detail/json_tree.h"
#include "core/detail/json_write.h"
#include "core/detail/number.h"
#include "core/detail/text_out.h"
#include "core/detail/utf8.h"
#include "tidegate/core/json.h"

namespace tidegate {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

/// Whether one of eight octets must be looked at: a control character, a quote, a backslash, or not ASCII.
bool needsCare(std::uint64_t eight) {
  constexpr std::uint64_t kOnes = 0x0101010101010101ULL;
  constexpr std::uint64_t kHigh = 0x8080808080808080ULL;
  const auto hasZero = [](std::uint64_t v) { return (v - kOnes) & ~v; };
  const std::uint64_t control = (eight - kOnes * 0x20) & ~eight;
  return ((eight | control | hasZero(eight ^ (kOnes * '"')) | hasZero(eight ^ (kOnes * '\\'))) & kHigh) != 0;
}

/// Octets from the front that stand for themselves in a JSON string.
std::size_t plainLength(std::string_view text) {
  std::size_t n = 0;
  for (std::uint64_t eight = 0; text.size() - n >= 8; n += 8) {
    std::memcpy(&eight, text.data() + n, 8);
    if (needsCare(eight)) break;
  }
  while (n < text.size()) {
    const auto c = static_cast<unsigned char>(text[n]);
    if (c < 0x20 || c == '"' || c == '\\' || c >= 0x80) break;
    ++n;
  }
  return n;
}

template <class Out>
void appendEscaped(unsigned char c, Out& out) {
  switch (c) {
    case '"':
      out.append("\\\"");
      return;
    case '\\':
      out.append("\\\\");
      return;
    case '\b':
      out.append("\\b");
      return;
    case '\t':
      out.append("\\t");
      return;
    case '\n':
      out.append("\\n");
      return;
    case '\f':
      out.append("\\f");
      return;
    case '\r':
      out.append("\\r");
      return;
    default:
      out.append("\\u00").append(1, kHexDigits[c >> 4]).append(1, kHexDigits[c & 15]);
  }
}

template <class Out>
void appendBase64(std::string_view octets, Out& out) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const auto octet = [&](std::size_t i) { return std::uint32_t{static_cast<unsigned char>(octets[i])}; };
  for (std::size_t i = 0; i < octets.size(); i += 3) {
    const std::size_t left = octets.size() - i;
    const std::uint32_t bits = octet(i) << 16 | (left > 1 ? octet(i + 1) << 8 : 0) | (left > 2 ? octet(i + 2) : 0);
    out.push_back(kDigits[bits >> 18]);
    out.push_back(kDigits[bits >> 12 & 63]);
    out.push_back(left > 1 ? kDigits[bits >> 6 & 63] : '=');
    out.push_back(left > 2 ? kDigits[bits & 63] : '=');
  }
}

template <class Out>
void appendQuoted(std::string_view plain, Out& out) {
  out.push_back('"');
  out.append(plain).push_back('"');
}

template <class Point, class Out>
void appendQuotedTime(Point v, Out& out) {
  out.push_back('"');
  detail::appendIso(v, out);
  out.push_back('"');
}

template <class Out>
struct JsonWriter {
  Out& out;
  bool canonical;

  void operator()(Null) const { out.append("null"); }
  void operator()(bool v) const { out.append(v ? std::string_view("true") : std::string_view("false")); }
  void operator()(std::int64_t v) const { detail::appendNumber(v, out); }
  void operator()(std::uint64_t v) const { detail::appendNumber(v, out); }
  void operator()(double v) const {
    if (std::isfinite(v))
      detail::appendNumber(v, out);
    else
      out.append("null");
  }
  void operator()(const Decimal& v) const { detail::writeJsonString(v.text, out); }
  void operator()(const std::string& v) const { detail::writeJsonString(v, out); }
  void operator()(const Bytes& v) const {
    out.push_back('"');
    appendBase64(v.octets, out);
    out.push_back('"');
  }
  void operator()(Date v) const { appendQuotedTime(v, out); }
  void operator()(Time v) const { appendQuotedTime(v, out); }
  void operator()(Timestamp v) const { appendQuotedTime(v, out); }
  void operator()(const Uuid& v) const { appendQuoted(toIso(v), out); }
  void operator()(const Json& v) const {
    if (canonical)
      detail::appendCanonicalDocument(v.text, out);
    else
      detail::appendCompactJson(v.text, out);
  }
};

template <class Out>
void appendColumns(const std::vector<ColumnValue>& columns, bool canonical, Out& out) {
  out.push_back('[');
  bool first = true;
  for (const ColumnValue& c : columns) {
    out.append(first ? std::string_view("{\"column\":") : std::string_view(",{\"column\":"));
    first = false;
    detail::writeJsonString(c.column, out);
    out.append(",\"value\":");
    std::visit(JsonWriter<Out>{out, canonical}, c.value.variant());
    out.push_back('}');
  }
  out.push_back(']');
}

}  // namespace

void appendJson(const Value& v, std::string& out) { std::visit(JsonWriter<std::string>{out, false}, v.variant()); }

void appendJson(const RowDelta& delta, std::string& out) {
  out.append("{\"op\":");
  appendQuoted(toString(delta.op), out);
  out.append(",\"table\":");
  detail::writeJsonString(delta.table, out);
  out.append(",\"rowId\":");
  detail::writeJsonString(delta.rowId, out);
  out.append(",\"clientId\":");
  detail::writeJsonString(delta.clientId, out);
  out.append(",\"columns\":");
  appendColumns(delta.columns, false, out);
  out.append(",\"hlc\":\"");
  detail::appendNumber(delta.hlc.raw, out);
  out.push_back('"');
  if (!delta.deltaId.isNull()) {
    out.append(",\"deltaId\":");
    appendQuoted(delta.deltaId.hex(), out);
  }
  out.push_back('}');
}

std::string toJson(const Value& v) {
  std::string out;
  appendJson(v, out);
  return out;
}

std::string toJson(const RowDelta& delta) {
  std::string out;
  appendJson(delta, out);
  return out;
}

template <class Out>
void detail::writeJsonString(std::string_view text, Out& out) {
  out.push_back('"');
  while (true) {
    const std::size_t plain = plainLength(text);
    out.append(text.data(), plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    const auto c = static_cast<unsigned char>(text.front());
    const std::size_t length = c < 0x80 ? 1 : utf8Length(text);
    if (c < 0x80)
      appendEscaped(c, out);
    else if (length == 0)
      out.append("\xEF\xBF\xBD");
    else
      out.append(text.data(), length);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  out.push_back('"');
}

template <class Out>
void detail::writeCanonicalDelta(const RowDelta& delta, Out& out) {
  out.append("{\"clientId\":");
  detail::writeJsonString(delta.clientId, out);
  out.append(",\"columns\":");
  appendColumns(delta.columns, true, out);
  out.append(",\"hlc\":\"");
  detail::appendNumber(delta.hlc.raw, out);
  out.append("\",\"rowId\":");
  detail::writeJsonString(delta.rowId, out);
  out.append(",\"table\":");
  detail::writeJsonString(delta.table, out);
  out.push_back('}');
}

template <class Out>
void detail::appendCanonicalValue(const Value& v, Out& out) {
  std::visit(JsonWriter<Out>{out, true}, v.variant());
}

template void detail::writeJsonString(std::string_view, std::string&);
template void detail::writeJsonString(std::string_view, TextOut&);
template void detail::writeCanonicalDelta(const RowDelta&, TextOut&);
template void detail::appendCanonicalValue(const Value&, std::string&);
template void detail::appendCanonicalValue(const Value&, TextOut&);

void appendJsonString(std::string_view text, std::string& out) { detail::writeJsonString(text, out); }

void appendCanonicalJson(const RowDelta& delta, std::string& out) { detail::writeCanonicalDelta(delta, out); }

}  // namespace tidegate
