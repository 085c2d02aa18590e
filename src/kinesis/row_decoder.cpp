#include "kinesis/detail/row_decoder.h"

#include <fmt/format.h>

#include <charconv>

#include "tidegate/core/error.h"
#include "tidegate/core/json.h"

namespace tidegate::kinesis::detail {
namespace {

using tidegate::detail::JsonKind;

[[noreturn]] void refuseColumn(const TableShape& shape, std::size_t column) {
  throw Error(ErrorCode::parseError, Retry::never,
              fmt::format("table \"{}\", column \"{}\": the value is no {}", shape.schema.table,
                          (*shape.columns)[column], toString(shape.schema.columns[column].kind)));
}

[[noreturn]] void refuseMember(const char* member, const char* what) {
  throw Error(ErrorCode::parseError, Retry::never, fmt::format("member \"{}\" is no {}", member, what));
}

/// The column that a member names. SIZE_MAX: none.
std::size_t columnOf(const ColumnList& columns, std::string_view name) {
  const auto found = columns.find(name);
  return found ? *found : SIZE_MAX;
}

void setText(Value& out, std::string_view text) {
  if (auto* held = std::get_if<std::string>(&out.variant()))
    held->assign(text);
  else
    out = Value(text);
}

/// @return false: it is no number of 64 bits with a sign; others have a slower way.
bool setInteger(Value& out, std::string_view token) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), number);
  if (error != std::errc() || end != token.data() + token.size()) return false;
  out.variant() = number;
  return true;
}

std::string textMember(const ScannedValue& value, const char* member) {
  if (value.kind != JsonKind::string) refuseMember(member, "text");
  std::string unescaped;
  return std::string(value.text(unescaped));
}

std::string_view objectMember(const ScannedValue& value, const char* member) {
  if (value.kind == JsonKind::null) return {};
  if (value.kind != JsonKind::object) refuseMember(member, "object");
  return value.source;
}

}  // namespace

void RowDecoder::assign(const ScannedValue& value, const TableShape& shape, std::size_t column, Value& out) {
  const ValueKind kind = shape.schema.columns[column].kind;
  if (value.kind == JsonKind::null) {
    out.variant() = Null{};
    return;
  }
  const bool isNested = value.kind == JsonKind::array || value.kind == JsonKind::object;
  if (kind == ValueKind::json || (kind == ValueKind::null && isNested)) {
    out = Json{std::string(value.source)};
    return;
  }
  std::optional<Value> converted;
  switch (value.kind) {
    case JsonKind::string: {
      const std::string_view text = value.text(unescaped_);
      if (kind == ValueKind::text) return setText(out, text);
      converted = valueOfText(text, kind);
      break;
    }
    case JsonKind::number:
      if (kind == ValueKind::int64 && setInteger(out, value.source)) return;
      converted = valueOfNumber(value.source, kind);
      break;
    case JsonKind::boolean:
      if (kind == ValueKind::boolean || kind == ValueKind::null) converted = Value(value.source == "true");
      break;
    default:
      break;
  }
  if (!converted) refuseColumn(shape, column);
  out = std::move(*converted);
}

void RowDecoder::learn(const TableShape& shape) {
  if (learned_ == shape.columns) return;
  learned_ = shape.columns;
  keys_.clear();
  for (const std::string& name : learned_->names()) {
    appendJsonString(name, keys_.emplace_back());
    keys_.back().push_back(':');
  }
}

void RowDecoder::decode(std::string_view json, const TableShape& shape, std::vector<Value>& values,
                        std::vector<std::uint32_t>& missing) {
  const std::size_t count = shape.columns->size();
  values.resize(count);
  learn(shape);
  seen_.assign(count, 0);
  missing.clear();
  JsonScanner scanner(json);
  ScannedValue key, value;
  std::size_t hint = 0, known = 0;
  for (;;) {
    // Mostly members stand in the columns' order.
    std::size_t column = hint;
    if (hint >= count || !scanner.nextIf(keys_[hint], value)) {
      if (!scanner.next(key, value)) break;
      column = columnOf(*shape.columns, key.text(unescaped_));
      if (column == SIZE_MAX) continue;
    }
    hint = column + 1;
    assign(value, shape, column, values[column]);
    known += seen_[column] == 0 ? 1 : 0;
    seen_[column] = 1;
  }
  if (known == count) return;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (seen_[i] != 0) continue;
    values[i] = Value();
    missing.push_back(i);
  }
}

RecordFields readRecordFields(std::string_view json) {
  RecordFields fields;
  JsonScanner scanner(json);
  ScannedValue key, value;
  std::string unescaped;
  while (scanner.next(key, value)) {
    const std::string_view name = key.text(unescaped);
    if (name == "table")
      fields.table = textMember(value, "table");
    else if (name == "action")
      fields.action = textMember(value, "action");
    else if (name == "row")
      fields.row = objectMember(value, "row");
    else if (name == "identity")
      fields.identity = objectMember(value, "identity");
  }
  return fields;
}

}  // namespace tidegate::kinesis::detail
