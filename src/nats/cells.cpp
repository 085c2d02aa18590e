#include "nats/detail/cells.h"

#include <charconv>
#include <limits>
#include <system_error>

#include "core/detail/octet_text.h"
#include "nats/detail/jetstream.h"
#include "tidegate/core/json.h"

namespace tidegate::nats::detail {
namespace {

using tidegate::detail::JsonKind;
using tidegate::detail::JsonRef;
using tidegate::detail::JsonTree;

void appendTagged(std::string_view tag, std::string_view text, std::string& out) {
  out.append("{\"$").append(tag).append("\":");
  appendJsonString(text, out);
  out.push_back('}');
}

void appendOctets(std::string_view tag, std::string_view octets, std::string& out) {
  out.append("{\"$").append(tag).append("\":");
  appendJson(Value(Bytes{std::string(octets)}), out);
  out.push_back('}');
}

bool isSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

void appendDocument(const std::string& text, std::string& out) {
  const bool plain = !text.empty() && !isSpace(text.front()) && !isSpace(text.back()) && JsonTree::tryParse(text);
  if (!plain) return appendTagged("jsonText", text, out);
  out.append("{\"$json\":").append(text).push_back('}');
}

void appendDouble(double v, std::string& out) {
  char text[40];
  const auto [end, error] = std::to_chars(text, text + sizeof text, v);
  const std::string_view digits(text, static_cast<std::size_t>(end - text));
  // "1" would be an integer, "nan" and "inf" no JSON.
  if (digits.find_first_of("ni") != std::string_view::npos)
    appendTagged("double", v != v ? "NaN" : v > 0 ? "Infinity" : "-Infinity", out);
  else if (digits.find_first_of(".e") == std::string_view::npos)
    appendTagged("double", digits, out);
  else
    out += digits;
}

struct CellWriter {
  std::string& out;
  void operator()(Null) const { out += "null"; }
  void operator()(bool v) const { out += v ? "true" : "false"; }
  void operator()(std::int64_t v) const { out += std::to_string(v); }
  void operator()(std::uint64_t v) const { out += std::to_string(v); }
  void operator()(double v) const { appendDouble(v, out); }
  void operator()(const Decimal& v) const { appendTagged("decimal", v.text, out); }
  void operator()(const std::string& v) const {
    if (isUtf8(v))
      appendJsonString(v, out);
    else
      appendOctets("textOctets", v, out);
  }
  void operator()(const Bytes& v) const { appendOctets("bytes", v.octets, out); }
  void operator()(Date v) const { appendTagged("date", toIso(v), out); }
  void operator()(Time v) const { appendTagged("time", toIso(v), out); }
  void operator()(Timestamp v) const { appendTagged(v.hasZone ? "timestamptz" : "timestamp", toIso(v), out); }
  void operator()(const Uuid& v) const { appendTagged("uuid", toIso(v), out); }
  void operator()(const Json& v) const { appendDocument(v.text, out); }
};

double doubleFrom(const JsonRef& node, std::string_view text) {
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (text == "Infinity") return std::numeric_limits<double>::infinity();
  if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
  double v = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole || text.find_first_of("nifNIF") != std::string_view::npos) node.fail("expected a double");
  return v;
}

Value numberCell(const JsonRef& cell) {
  const std::string_view text = cell.source();
  if (text.find_first_of(".eE") != std::string_view::npos) return doubleFrom(cell, text);
  std::int64_t whole = 0;
  const char* end = text.data() + text.size();
  if (const auto read = std::from_chars(text.data(), end, whole); read.ec == std::errc() && read.ptr == end)
    return whole;
  std::uint64_t large = 0;
  if (const auto read = std::from_chars(text.data(), end, large); read.ec == std::errc() && read.ptr == end)
    return large;
  cell.fail("an integer beyond 64 bits");
}

std::string octetsFrom(const JsonRef& node) {
  std::string octets;
  if (!tidegate::detail::appendFromBase64(node.string(), octets)) node.fail("expected base64");
  return octets;
}

template <class T, class Parse>
T parsedFrom(const JsonRef& node, const Parse& parse, const char* expected) {
  T v{};
  if (!parse(node.string(), v)) node.fail(expected);
  return v;
}

Timestamp timestampFrom(const JsonRef& node, bool hasZone) {
  Timestamp v;
  if (!parseTimestamp(node.string(), v)) node.fail("expected a timestamp");
  const bool endless = v.micros == Timestamp::kInfinity || v.micros == Timestamp::kMinusInfinity;
  if (!endless && v.hasZone != hasZone) node.fail("expected a timestamp of the other kind");
  v.hasZone = hasZone;
  return v;
}

Value taggedCell(const JsonRef& cell) {
  const auto members = cell.members();
  if (members.size() != 1) cell.fail("expected one member");
  const JsonRef& node = members.front();
  const std::string tag = node.key();
  if (tag == "$decimal") {
    const std::string text = node.string();
    if (!isDecimal(text)) node.fail("expected a decimal");
    return Decimal{text};
  }
  if (tag == "$double") return doubleFrom(node, node.string());
  if (tag == "$bytes") return Bytes{octetsFrom(node)};
  if (tag == "$textOctets") return octetsFrom(node);
  if (tag == "$date") return parsedFrom<Date>(node, parseDate, "expected a date");
  if (tag == "$time") return parsedFrom<Time>(node, parseTime, "expected a time");
  if (tag == "$timestamp") return timestampFrom(node, false);
  if (tag == "$timestamptz") return timestampFrom(node, true);
  if (tag == "$uuid") return parsedFrom<Uuid>(node, parseUuid, "expected a uuid");
  if (tag == "$json") return Json{std::string(node.source())};
  if (tag == "$jsonText") return Json{node.string()};
  node.fail("an unknown kind of value");
}

}  // namespace

void appendCell(const Value& value, std::string& out) { std::visit(CellWriter{out}, value.variant()); }

Value cellFrom(const JsonRef& cell) {
  switch (cell.kind()) {
    case JsonKind::null:
      return Value();
    case JsonKind::boolean:
      return cell.boolean();
    case JsonKind::number:
      return numberCell(cell);
    case JsonKind::string:
      return cell.string();
    case JsonKind::object:
      return taggedCell(cell);
    case JsonKind::array:
      break;
  }
  cell.fail("expected a value");
}

}  // namespace tidegate::nats::detail
