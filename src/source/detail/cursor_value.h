/// What kind of cursor a column holds, and the little arithmetic that polling needs on it: look-back is subtracted from
/// times only, and in the column's own form.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "tidegate/core/value.h"

namespace tidegate::detail {

/// Numbers are part of the poller state's format: append only.
enum class CursorKind : std::uint8_t {
  none = 0,
  timestampUtc,
  timestampLocal,
  date,
  timeText,  ///< text in ISO 8601 or SQLite's form, whose byte order is its time order
  number,    ///< int64, uint64, decimal, double
  other      ///< anything else that a database orders: text, uuid, octets, time of day
};

/// A kind, and within `timeText` and `other` which form: two texts of different forms do not order by time.
struct CursorForm {
  CursorKind kind = CursorKind::none;
  std::uint32_t detail = 0;
  bool operator==(const CursorForm&) const = default;
  bool isTime() const noexcept {
    return kind == CursorKind::timestampUtc || kind == CursorKind::timestampLocal || kind == CursorKind::date ||
           kind == CursorKind::timeText;
  }
};

/// The form of a cursor that is not null; kind `none` for what cannot be one (bool, Json, NaN).
CursorForm cursorFormOf(const Value& v) noexcept;
/// For messages: "text as YYYY-MM-DD HH:MM:SS", "number".
std::string describe(CursorForm form);

/// Microseconds that order cursors of one time form; the extreme values for ±infinity. No zone is applied to text.
std::int64_t timeKey(const Value& v) noexcept;
/// Unix microseconds, where the cursor says which zone it is in.
std::optional<std::int64_t> instantOf(const Value& v, bool zonelessTextIsUtc) noexcept;
/// A time cursor `back` earlier, in its own form: never later than asked, digits and suffix kept. Infinities stay.
Value earlier(const Value& v, std::chrono::microseconds back);
/// Whether `a` is newer than `b`, both of one form; for `other` the database's order counts, so always.
bool isNewer(const Value& a, const Value& b, CursorForm form) noexcept;

}  // namespace tidegate::detail
