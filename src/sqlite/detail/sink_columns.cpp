#include "sqlite/detail/sink_columns.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>

#include "sqlite/detail/values.h"

namespace tidegate::sqlite::detail {

namespace {

constexpr std::string_view kNaN = "NaN";
/// SQLite keeps the double -0.0 as the integer 0, so it is kept as octets, which are never converted.
constexpr std::string_view kMinusZero = "-0.0";
constexpr std::int64_t kMicrosPerDay = 86'400'000'000;

void putDigits(std::uint64_t number, int digits, char*& at) {
  for (int i = digits - 1; i >= 0; --i, number /= 10) at[i] = static_cast<char>('0' + number % 10);
  at += digits;
}

std::size_t putText(const std::string& text, TextSlot& slot) {
  std::memcpy(slot.data(), text.data(), text.size());
  return text.size();
}

/// Fixed-width ISO 8601, so that the text's order is the time's: "2024-05-01T12:00:00.000000Z". Days to civil date
/// after Howard Hinnant's `civil_from_days`.
std::size_t putTimestamp(Timestamp t, TextSlot& slot) {
  constexpr std::int64_t kYear0 = -719'528 * kMicrosPerDay, kYear10000 = 2'932'897 * kMicrosPerDay;
  if (t.micros < kYear0 || t.micros >= kYear10000) return putText(toIso(t), slot);
  const auto fromYear0 = static_cast<std::uint64_t>(t.micros - kYear0);
  const std::uint64_t ofDay = fromYear0 % kMicrosPerDay;
  // From here on days count from 0000-03-01, a cycle earlier so that January of year 0 is not negative.
  const std::uint64_t days = fromYear0 / kMicrosPerDay + 146'097 - 60;
  const std::uint64_t era = days / 146'097, ofEra = days % 146'097;
  const std::uint64_t yearOfEra = (ofEra - ofEra / 1'460 + ofEra / 36'524 - ofEra / 146'096) / 365;
  const std::uint64_t ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
  const std::uint64_t shifted = (5 * ofYear + 2) / 153;
  const std::uint64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
  char* at = slot.data();
  putDigits(yearOfEra + era * 400 - 400 + (month <= 2 ? 1 : 0), 4, at);
  *at++ = '-';
  putDigits(month, 2, at);
  *at++ = '-';
  putDigits(ofYear - (153 * shifted + 2) / 5 + 1, 2, at);
  *at++ = 'T';
  putDigits(ofDay / 3'600'000'000, 2, at);
  *at++ = ':';
  putDigits(ofDay / 60'000'000 % 60, 2, at);
  *at++ = ':';
  putDigits(ofDay / 1'000'000 % 60, 2, at);
  *at++ = '.';
  putDigits(ofDay % 1'000'000, 6, at);
  if (t.hasZone) *at++ = 'Z';
  return static_cast<std::size_t>(at - slot.data());
}

int bindStatic(sqlite3_stmt* statement, int index, std::string_view text) {
  return sqlite3_bind_text64(statement, index, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
}

int bindReal(sqlite3_stmt* statement, int index, double v) {
  if (std::isnan(v)) return bindStatic(statement, index, kNaN);
  if (v == 0 && std::signbit(v)) {
    return sqlite3_bind_blob64(statement, index, kMinusZero.data(), kMinusZero.size(), SQLITE_STATIC);
  }
  return sqlite3_bind_double(statement, index, v);
}

std::string_view cellText(sqlite3_stmt* statement, int column) {
  const void* text = sqlite3_column_type(statement, column) == SQLITE_BLOB
                         ? sqlite3_column_blob(statement, column)
                         : static_cast<const void*>(sqlite3_column_text(statement, column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
  if (text == nullptr && size > 0) throw std::bad_alloc();
  return size == 0 ? std::string_view("") : std::string_view(static_cast<const char*>(text), size);
}

template <class T>
bool parsed(bool (*parse)(std::string_view, T&) noexcept, std::string_view text, T start, Value& out) {
  if (!parse(text, start)) return false;
  out.variant() = start;
  return true;
}

bool readUint64(std::string_view text, Value& out) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return false;
  out = Value(number);
  return true;
}

/// A text as the kind of its column. @return false: it is not one.
bool readTextAs(CellKind as, std::string_view text, Value& out) {
  switch (as.kind) {
    case ValueKind::uint64:
      return readUint64(text, out);
    case ValueKind::real:
      if (text == kNaN) out.variant() = std::numeric_limits<double>::quiet_NaN();
      return text == kNaN;
    case ValueKind::decimal:
      if (isDecimal(text)) out = Decimal{std::string(text)};
      return isDecimal(text);
    case ValueKind::date:
      return parsed(&parseDate, text, Date{}, out);
    case ValueKind::time:
      return parsed(&parseTime, text, Time{}, out);
    case ValueKind::timestamp:
      return parsed(&parseTimestamp, text, Timestamp{0, !as.wallTime}, out);
    case ValueKind::uuid:
      return parsed(&parseUuid, text, Uuid{}, out);
    case ValueKind::json:
      out = Json{std::string(text)};
      return true;
    default:
      return false;
  }
}

}  // namespace

Affinity affinityOf(std::string_view declared) {
  const auto has = [&](std::string_view word) {
    for (std::size_t i = 0; i + word.size() <= declared.size(); ++i) {
      if (sqlite3_strnicmp(declared.data() + i, word.data(), static_cast<int>(word.size())) == 0) return true;
    }
    return false;
  };
  if (has("INT")) return Affinity::integer;
  if (has("CHAR") || has("CLOB") || has("TEXT")) return Affinity::text;
  if (declared.empty() || has("BLOB")) return Affinity::none;
  if (has("REAL") || has("FLOA") || has("DOUB")) return Affinity::real;
  return Affinity::numeric;
}

std::string_view declaredType(ValueKind kind) noexcept {
  switch (kind) {
    case ValueKind::null:
    case ValueKind::uint64:
      return "";  // numbers beyond int64 are text, which every numeric type would round
    case ValueKind::boolean:
      return "BOOLEAN";
    case ValueKind::int64:
      return "INTEGER";
    case ValueKind::real:
      return "REAL";
    case ValueKind::bytes:
      return "BLOB";
    case ValueKind::json:
      return "JSON TEXT";  // JSON alone would be numeric: 1.0 would become 1
    default:
      return "TEXT";
  }
}

bool fits(ValueKind kind, Affinity affinity) noexcept {
  if (affinity == Affinity::none || kind == ValueKind::bytes) return true;
  switch (kind) {
    case ValueKind::null:
    case ValueKind::uint64:
      return false;
    case ValueKind::boolean:
    case ValueKind::int64:
      return affinity == Affinity::integer || affinity == Affinity::numeric;
    case ValueKind::real:
      return affinity == Affinity::real;
    default:
      return affinity == Affinity::text;
  }
}

int bindCell(sqlite3_stmt* statement, int index, const Value& value, TextSlot& slot) {
  const auto slotted = [&](std::size_t size) { return bindStatic(statement, index, {slot.data(), size}); };
  switch (value.kind()) {
    case ValueKind::null:
      return sqlite3_bind_null(statement, index);
    case ValueKind::boolean:
      return sqlite3_bind_int(statement, index, *value.getIf<bool>() ? 1 : 0);
    case ValueKind::int64:
      return sqlite3_bind_int64(statement, index, *value.getIf<std::int64_t>());
    case ValueKind::uint64: {
      const char* end = std::to_chars(slot.data(), slot.data() + slot.size(), *value.getIf<std::uint64_t>()).ptr;
      return slotted(static_cast<std::size_t>(end - slot.data()));
    }
    case ValueKind::real:
      return bindReal(statement, index, *value.getIf<double>());
    case ValueKind::decimal:
      return bindStatic(statement, index, value.getIf<Decimal>()->text);
    case ValueKind::text:
      return bindStatic(statement, index, *value.getIf<std::string>());
    case ValueKind::bytes: {
      const std::string& octets = value.getIf<Bytes>()->octets;  // never a null pointer, which would be NULL
      return sqlite3_bind_blob64(statement, index, octets.data(), octets.size(), SQLITE_STATIC);
    }
    case ValueKind::date:
      return slotted(putText(toIso(*value.getIf<Date>()), slot));
    case ValueKind::time:
      return slotted(putText(toIso(*value.getIf<Time>()), slot));
    case ValueKind::timestamp:
      return slotted(putTimestamp(*value.getIf<Timestamp>(), slot));
    case ValueKind::uuid:
      return slotted(putText(toIso(*value.getIf<Uuid>()), slot));
    case ValueKind::json:
      return bindStatic(statement, index, value.getIf<Json>()->text);
  }
  return SQLITE_MISUSE;
}

CellKind cellKindOf(const ColumnSchema& column) {
  const std::string& type = column.sourceType;
  const bool zone = type.find("tz") != type.npos || type.find("with time zone") != type.npos;
  return {column.kind, type.rfind("timestamp", 0) == 0 && !zone};
}

void readCell(sqlite3_stmt* statement, int column, CellKind as, Value& out) {
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      if (as.kind == ValueKind::real) {
        out.variant() = sqlite3_column_double(statement, column);
        return;
      }
      return readValue(statement, column, as.kind == ValueKind::boolean ? Lift::boolean : Lift::none, out);
    case SQLITE_TEXT:
      if (readTextAs(as, cellText(statement, column), out)) return;
      break;
    case SQLITE_BLOB:
      if (as.kind != ValueKind::real || cellText(statement, column) != kMinusZero) break;
      out.variant() = -0.0;
      return;
    default:
      break;
  }
  readValue(statement, column, Lift::none, out);
}

}  // namespace tidegate::sqlite::detail
