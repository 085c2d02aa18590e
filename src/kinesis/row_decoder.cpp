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

bool RowDecoder::assignPlain(JsonScanner& scanner, const TableShape& shape, std::size_t column, Value& out) {
  const ValueKind kind = shape.schema.columns[column].kind;
  if (kind == ValueKind::int64) {
    std::int64_t number = 0;
    if (!scanner.takeInteger(number)) return false;
    out.variant() = number;
    return true;
  }
  std::string_view text;
  if (kind != ValueKind::text && kind != ValueKind::timestamp) return false;
  if (!scanner.takePlainText(text)) return false;
  if (kind == ValueKind::text) {
    setText(out, text);
    return true;
  }
  if (assignTimeOfDay(text, out)) return true;
  auto converted = valueOfText(text, kind);
  if (!converted) refuseColumn(shape, column);
  out = std::move(*converted);
  learnDay(text);
  return true;
}

void RowDecoder::learnDay(std::string_view text) {
  Timestamp at;
  const std::string_view date = text.substr(0, 10);
  if (!parseTimestamp(std::string(date) + "T00:00:00Z", at)) return;
  day_ = date;
  dayMicros_ = at.micros;
}

bool RowDecoder::assignTimeOfDay(std::string_view text, Value& out) const {
  if (text.size() < 19 || day_.size() != 10 || text.substr(0, 10) != day_) return false;
  const auto digit = [text](std::size_t i) { return static_cast<unsigned>(text[i] - '0'); };
  const auto two = [&](std::size_t i) { return digit(i) > 9 || digit(i + 1) > 9 ? 99 : digit(i) * 10 + digit(i + 1); };
  const unsigned hours = two(11), minutes = two(14), seconds = two(17);
  const bool form = (text[10] == 'T' || text[10] == ' ') && text[13] == ':' && text[16] == ':';
  if (!form || hours > 23 || minutes > 59 || seconds > 59) return false;
  std::size_t at = 19;
  std::int64_t fraction = 0;
  if (at < text.size() && text[at] == '.') {
    std::int64_t scale = 1'000'000;
    for (++at; at < text.size() && digit(at) <= 9; ++at) {
      scale /= 10;
      if (scale == 0) return false;
      fraction += static_cast<std::int64_t>(digit(at)) * scale;
    }
    if (text[at - 1] == '.') return false;
  }
  const bool zoned = at + 1 == text.size() && text[at] == 'Z';
  if (!zoned && at != text.size()) return false;
  out.variant() =
      Timestamp{.micros = dayMicros_ + ((hours * 60 + minutes) * 60 + seconds) * std::int64_t{1'000'000} + fraction,
                .hasZone = zoned};
  return true;
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
    if (hint < count && scanner.takeKey(keys_[hint])) {
      if (!assignPlain(scanner, shape, column, values[column])) assign(scanner.value(), shape, column, values[column]);
    } else {
      if (!scanner.next(key, value)) break;
      column = columnOf(*shape.columns, key.text(unescaped_));
      if (column == SIZE_MAX) continue;
      assign(value, shape, column, values[column]);
    }
    hint = column + 1;
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
