#include "mysql/detail/text_times.h"

#include "core/detail/assign_value.h"
#include "core/detail/sql_time.h"

namespace tidegate::mysql::detail {

using tidegate::detail::assignText;
using tidegate::detail::CivilDate;
using tidegate::detail::daysFromCivil;
using tidegate::detail::isCivil;
using tidegate::detail::SqlTimeReader;

void textDate(std::string_view text, Value& out) {
  SqlTimeReader in(text);
  CivilDate date;
  if (!in.date(date) || !in.done() || !isCivil(date)) return assignText(out, text);
  out.variant() = Date{static_cast<std::int32_t>(daysFromCivil(date))};
}

void textMoment(std::string_view text, bool hasZone, Value& out) {
  SqlTimeReader in(text);
  CivilDate date;
  std::int64_t time = 0, micros = 0;
  if (!in.date(date) || !isCivil(date) || !in.skip(' ') || !in.clock(time) || !in.done() ||
      !tidegate::detail::joinMicros(daysFromCivil(date), time, micros)) {
    return assignText(out, text);
  }
  out.variant() = Timestamp{micros, hasZone};
}

void textTime(std::string_view text, Value& out) {
  SqlTimeReader in(text);
  const bool negative = in.skip('-');
  std::int64_t micros = 0;
  if (!in.clock(micros) || !in.done()) return assignText(out, text);
  out.variant() = Time{negative ? -micros : micros};
}

}  // namespace tidegate::mysql::detail
