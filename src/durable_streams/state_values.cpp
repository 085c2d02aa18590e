#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>

#include "core/detail/json_tree.h"
#include "core/detail/number.h"
#include "durable_streams/detail/base64_decode.h"
#include "tidegate/core/error.h"
#include "tidegate/core/json.h"
#include "tidegate/durable_streams/state_protocol.h"

namespace tidegate::durable_streams {
namespace {

using tidegate::detail::JsonKind;
using tidegate::detail::JsonRef;
using tidegate::detail::JsonTree;

constexpr std::size_t kRowDepth = kMaxJsonDepth + 2;

template <class Number>
std::optional<Number> wholeNumber(std::string_view text) {
  Number n{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return n;
}

std::optional<Value> integerFrom(std::string_view digits) {
  if (const auto n = wholeNumber<std::int64_t>(digits)) return Value(*n);
  if (const auto n = wholeNumber<std::uint64_t>(digits)) return Value(*n);
  return std::nullopt;
}

std::optional<Value> realFrom(std::string_view text) {
  if (text == "NaN") return Value(std::nan(""));
  if (text == "Infinity") return Value(HUGE_VAL);
  if (text == "-Infinity") return Value(-HUGE_VAL);
  if (!tidegate::detail::NumberText::parse(text)) return std::nullopt;
  if (const auto n = tidegate::detail::readDouble(text)) return Value(*n);
  return std::nullopt;
}

template <class T>
std::optional<Value> parsedWith(bool (*parse)(std::string_view, T&) noexcept, std::string_view text) {
  T out{};
  if (!parse(text, out)) return std::nullopt;
  return Value(out);
}

/// The infinite ones do not say whether they are local: UTC, as every kind's default is.
std::optional<Value> timestampFrom(std::string_view text) {
  Timestamp at;
  if (!parseTimestamp(text, at)) return std::nullopt;
  if (at.micros == Timestamp::kInfinity || at.micros == Timestamp::kMinusInfinity) at.hasZone = true;
  return Value(at);
}

/// A JSON string as a value of the kind; nullopt where it is none.
std::optional<Value> fromString(std::string text, ValueKind kind) {
  switch (kind) {
    case ValueKind::text:
      return Value(std::move(text));
    case ValueKind::int64:
    case ValueKind::uint64:
      return integerFrom(text);
    case ValueKind::real:
      return realFrom(text);
    case ValueKind::decimal:
      return isDecimal(text) ? std::optional<Value>(Decimal{std::move(text)}) : std::nullopt;
    case ValueKind::bytes: {
      auto octets = detail::decodeBase64Lines(text);
      return octets ? std::optional<Value>(Bytes{std::move(*octets)}) : std::nullopt;
    }
    case ValueKind::date:
      return parsedWith<Date>(&parseDate, text);
    case ValueKind::time:
      return parsedWith<Time>(&parseTime, text);
    case ValueKind::timestamp:
      return timestampFrom(text);
    case ValueKind::uuid:
      return parsedWith<Uuid>(&parseUuid, text);
    default:
      return std::nullopt;
  }
}

std::optional<Value> fromNumber(std::string_view text, ValueKind kind) {
  switch (kind) {
    case ValueKind::int64:
    case ValueKind::uint64:
      return integerFrom(text);
    case ValueKind::real:
      return realFrom(text);
    case ValueKind::decimal:
      return isDecimal(text) ? std::optional<Value>(Decimal{std::string(text)}) : std::nullopt;
    default:
      return std::nullopt;
  }
}

Value valueAt(const JsonRef& at, ValueKind kind, KindMismatch mismatch) {
  if (at.isNull()) return {};
  if (kind == ValueKind::null) return at.value();
  if (kind == ValueKind::json) return Json{std::string(at.source())};
  std::optional<Value> value;
  if (at.kind() == JsonKind::string)
    value = fromString(at.string(), kind);
  else if (at.kind() == JsonKind::number)
    value = fromNumber(at.source(), kind);
  else if (at.kind() == JsonKind::boolean && kind == ValueKind::boolean)
    value = at.boolean();
  if (value) return std::move(*value);
  if (mismatch == KindMismatch::keep) return at.value();
  at.fail(fmt::format("expected a value of kind {}", toString(kind)));
}

/// Whether a key's text stands for itself.
bool plainKey(std::string_view text) { return !text.empty() && text.front() != '['; }

/// Whether a key of this shape may be the text of its one column: not where several kinds could have the same text.
bool plainKeys(const TableShape& shape) {
  if (shape.key.size() != 1) return false;
  const ValueKind kind = shape.schema.columns[shape.key[0]].kind;
  return kind != ValueKind::null && kind != ValueKind::json;
}

std::string keyText(const Value& v) {
  if (const auto* text = v.getIf<std::string>()) return *text;
  std::string json;
  appendStateValue(v, json);
  if (json.size() >= 2 && json.front() == '"') return std::string(JsonTree(json).root().string());
  return json;
}

[[noreturn]] void refuseKey(const TableShape& shape, std::string_view key, std::string_view why) {
  throw Error(ErrorCode::parseError, Retry::never,
              fmt::format("type \"{}\": key {} {}", shape.schema.table, describe(Value(key)), why));
}

}  // namespace

void appendStateValue(const Value& value, std::string& out) {
  const double* real = value.getIf<double>();
  if (real == nullptr || (std::isfinite(*real) && !(*real == 0 && std::signbit(*real)))) return appendJson(value, out);
  if (std::isnan(*real))
    out.append("\"NaN\"");
  else if (*real == 0)
    out.append("-0.0");
  else
    out.append(*real > 0 ? "\"Infinity\"" : "\"-Infinity\"");
}

Value valueFromState(std::string_view json, ValueKind kind, KindMismatch mismatch) {
  const JsonTree tree(json, kRowDepth);
  return valueAt(tree.root(), kind, mismatch);
}

void appendRowJson(const TableShape& shape, const std::vector<Value>& row, std::string& out,
                   const std::vector<std::uint32_t>& leftOut) {
  auto skip = leftOut.begin();
  char before = '{';
  for (std::uint32_t i = 0; i < row.size(); ++i) {
    if (skip != leftOut.end() && *skip == i) {
      ++skip;
      continue;
    }
    out.push_back(before);
    before = ',';
    appendJsonString((*shape.columns)[i], out);
    out.push_back(':');
    appendStateValue(row[i], out);
  }
  if (before == '{') out.push_back('{');
  out.push_back('}');
}

void rowFromJson(const TableSchema& schema, std::string_view json, std::vector<Value>& row, KindMismatch mismatch,
                 std::vector<std::uint32_t>* missing) {
  const JsonTree tree(json, kRowDepth);
  const JsonRef root = tree.root();
  row.assign(schema.columns.size(), Value());
  for (std::uint32_t i = 0; i < schema.columns.size(); ++i) {
    const auto member = root.find(schema.columns[i].name);
    if (member)
      row[i] = valueAt(*member, schema.columns[i].kind, mismatch);
    else if (missing != nullptr)
      missing->push_back(i);
  }
}

std::string stateKey(const TableShape& shape, const std::vector<Value>& row) {
  for (const std::uint32_t i : shape.key) {
    if (i < row.size() && !row[i].isNull()) continue;
    throw Error(ErrorCode::rowIdInvalid, Retry::never,
                fmt::format("table \"{}\": key column \"{}\" is null; a message of the State Protocol needs a key",
                            shape.schema.table, (*shape.columns)[i]));
  }
  if (plainKeys(shape)) {
    std::string text = keyText(row[shape.key[0]]);
    if (plainKey(text)) return text;
  }
  std::string out = "[";
  for (const std::uint32_t i : shape.key) {
    if (out.size() > 1) out.push_back(',');
    appendStateValue(row[i], out);
  }
  out.push_back(']');
  return out;
}

void keyFromState(const TableShape& shape, std::string_view key, std::vector<Value>& row) {
  row.resize(shape.schema.columns.size());
  const auto kindOf = [&](std::size_t k) { return shape.schema.columns[shape.key[k]].kind; };
  if (plainKeys(shape) && plainKey(key)) {
    std::string quoted;
    appendJsonString(key, quoted);
    const ValueKind kind = kindOf(0);
    try {
      row[shape.key[0]] = valueFromState(kind == ValueKind::boolean ? key : std::string_view(quoted), kind);
    } catch (const Error& e) {
      refuseKey(shape, key, "is none of this table: " + e.message());
    }
    return;
  }
  try {
    const JsonTree tree(key, kRowDepth);
    const std::vector<JsonRef> parts = tree.root().items();
    if (parts.size() != shape.key.size()) refuseKey(shape, key, "has another number of columns than the table's key");
    for (std::size_t k = 0; k < parts.size(); ++k) {
      row[shape.key[k]] = valueAt(parts[k], kindOf(k), KindMismatch::refuse);
      if (parts[k].isNull()) refuseKey(shape, key, "holds a null");
    }
  } catch (const Error& e) {
    refuseKey(shape, key, "is none of this table: " + e.message());
  }
}

}  // namespace tidegate::durable_streams
