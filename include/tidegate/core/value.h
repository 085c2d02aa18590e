/// One cell of a table, without loss.
///
///     Value v = std::int64_t{42};
///     Value t = Timestamp::utc(1'700'000'000'000'000);
///     Value d = Decimal{"12345678901234567890.01"};
///     if (v.kind() == ValueKind::int64) use(v.as<std::int64_t>());
///
/// Nothing is silently rounded: a source value that no alternative holds exactly stays Text, and
/// `docs/types.md` says so. The JSON (wire) form of every kind is in `core/json.h`.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace tidegate {

/// SQL NULL.
struct Null {
  bool operator==(const Null&) const = default;
};

/// An exact decimal number in text: optional '-', digits, optional '.' and digits; also "NaN", "Infinity",
/// "-Infinity" (as Postgres's numeric). Scale is kept: "1.50" is not rewritten to "1.5".
struct Decimal {
  std::string text;
  bool operator==(const Decimal&) const = default;
};

/// Octets; no encoding implied.
struct Bytes {
  std::string octets;
  bool operator==(const Bytes&) const = default;
};

/// A calendar day, proleptic Gregorian: days since 1970-01-01. The two extreme values are -infinity and infinity.
struct Date {
  std::int32_t days = 0;
  static constexpr std::int32_t kInfinity = INT32_MAX;
  static constexpr std::int32_t kMinusInfinity = INT32_MIN;
  bool operator==(const Date&) const = default;
};

/// A time of day or a signed duration (MySQL's TIME reaches ±838:59:59): microseconds since midnight.
struct Time {
  std::int64_t micros = 0;
  bool operator==(const Time&) const = default;
};

/// A point in time in microseconds since 1970-01-01T00:00:00. With `hasZone` it is UTC; without, it is the wall
/// time that the source wrote, never shifted by any zone of this process. The extreme values are ±infinity.
struct Timestamp {
  std::int64_t micros = 0;
  bool hasZone = false;
  static constexpr std::int64_t kInfinity = INT64_MAX;
  static constexpr std::int64_t kMinusInfinity = INT64_MIN;
  static constexpr Timestamp utc(std::int64_t micros) { return {micros, true}; }
  static constexpr Timestamp local(std::int64_t micros) { return {micros, false}; }
  bool operator==(const Timestamp&) const = default;
};

/// An RFC 9562 UUID in network byte order.
struct Uuid {
  std::array<std::uint8_t, 16> octets{};
  bool operator==(const Uuid&) const = default;
};

/// A JSON document as text. Compared deeply (`sameValue`), so member order and white space do not matter.
struct Json {
  std::string text;
  bool operator==(const Json&) const = default;
};

/// The kinds of Value, in the order of its alternatives. The numbers are part of the packed format
/// (docs/formats.md): append only.
enum class ValueKind : std::uint8_t {
  null = 0,
  boolean,
  int64,
  uint64,
  real,
  decimal,
  text,
  bytes,
  date,
  time,
  timestamp,
  uuid,
  json
};

/// "null", "bool", "int64", "uint64", "double", "decimal", "text", "bytes", "date", "time", "timestamp", "uuid",
/// "json".
std::string_view toString(ValueKind kind) noexcept;

/// A cell. Text is a plain `std::string` alternative, UTF-8 (sources refuse or declare anything else).
/// A uint64 that fits an int64 is stored as int64, so each integer has one representation.
/// @thread A value type: distinct objects may be used from distinct threads.
class Value {
 public:
  using Variant = std::variant<Null, bool, std::int64_t, std::uint64_t, double, Decimal, std::string, Bytes, Date, Time,
                               Timestamp, Uuid, Json>;

  Value() = default;
  Value(Null) {}
  Value(std::nullptr_t) {}
  Value(bool v) : v_(v) {}
  Value(int v) : v_(std::int64_t{v}) {}
  Value(std::int64_t v) : v_(v) {}
  Value(long long v) : v_(static_cast<std::int64_t>(v)) {}
  /// Stored as int64 where it fits.
  Value(std::uint64_t v) {
    if (v <= static_cast<std::uint64_t>(INT64_MAX))
      v_ = static_cast<std::int64_t>(v);
    else
      v_ = v;
  }
  Value(double v) : v_(v) {}
  Value(const char* text) : v_(std::string(text)) {}
  Value(std::string text) : v_(std::move(text)) {}
  Value(std::string_view text) : v_(std::string(text)) {}
  Value(Decimal v) : v_(std::move(v)) {}
  Value(Bytes v) : v_(std::move(v)) {}
  Value(Date v) : v_(v) {}
  Value(Time v) : v_(v) {}
  Value(Timestamp v) : v_(v) {}
  Value(Uuid v) : v_(v) {}
  Value(Json v) : v_(std::move(v)) {}

  ValueKind kind() const noexcept { return static_cast<ValueKind>(v_.index()); }
  bool isNull() const noexcept { return v_.index() == 0; }

  /// The alternative itself. @throws std::bad_variant_access if the kind is another.
  template <class T>
  const T& as() const {
    return std::get<T>(v_);
  }
  /// The alternative, or nullptr.
  template <class T>
  const T* getIf() const noexcept {
    return std::get_if<T>(&v_);
  }

  const Variant& variant() const noexcept { return v_; }
  /// For decoders that want to reuse a string's capacity.
  Variant& variant() noexcept { return v_; }

  /// Same kind and same representation, bit for bit (NaN equals NaN, -0 and +0 differ). See `sameValue` for the
  /// equality that decides whether a column changed.
  bool operator==(const Value& other) const noexcept;

 private:
  Variant v_;
};

/// Whether a column that went from `a` to `b` did *not* change: NaN equals NaN; -0 and +0 differ; int 1 and
/// double 1.0 are the same number; Decimal compares by number ("1.50" is 1.5 is "1.5") unless its scale is all that
/// changed, which counts as no change; Json compares deeply, member order aside; otherwise kinds must agree.
/// @throws nothing; Json text that does not parse compares as text.
bool sameValue(const Value& a, const Value& b) noexcept;

/// Orders two values by type, for rules and cursors: numbers (int64, uint64, double, decimal) by exact value across
/// kinds; text by bytes; bytes, dates, times, timestamps, uuids within their kind; a Timestamp also against Text
/// that is a date or time in ISO 8601 or SQLite's form. Anything else, null and NaN included: unordered.
std::partial_ordering compareValues(const Value& a, const Value& b) noexcept;

/// Bytes a value holds: 1 for null and bool, 8 for numbers and times, 4 for a date, 16 for a uuid, else the text's
/// length. The measure by which buffers and snapshots are bounded.
std::size_t valueBytes(const Value& v) noexcept;

/// Human-readable text for logs and messages, cut to `maxLength` characters. The one place that formats a Value.
std::string describe(const Value& v, std::size_t maxLength = 80);

/// "YYYY-MM-DD" (years beyond 9999 carry a sign, as in ISO 8601), "infinity" or "-infinity".
std::string toIso(Date d);
/// "HH:MM:SS[.ffffff]", with '-' and more than two hour digits where needed.
std::string toIso(Time t);
/// "YYYY-MM-DDTHH:MM:SS[.ffffff]" and "Z" with a zone; "infinity" or "-infinity".
std::string toIso(Timestamp t);
/// Lower-case 8-4-4-4-12 form.
std::string toIso(const Uuid& u);

/// Strict readers of the forms above (also ' ' for 'T', and "+hh[:mm]" offsets, which are converted to UTC).
/// @return false, with `out` untouched, if the text is anything else (digits alone are never a date).
bool parseDate(std::string_view text, Date& out) noexcept;
bool parseTime(std::string_view text, Time& out) noexcept;
bool parseTimestamp(std::string_view text, Timestamp& out) noexcept;
bool parseUuid(std::string_view text, Uuid& out) noexcept;
/// Whether text is a well-formed Decimal.
bool isDecimal(std::string_view text) noexcept;
/// Whether octets are well-formed UTF-8 (no surrogates, no overlong forms).
bool isUtf8(std::string_view octets) noexcept;

}  // namespace tidegate
