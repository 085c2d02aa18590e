/// Dates and times as the server prints them, in query results and in snapshots alike. What is none stays text.
#pragma once

#include <string_view>

#include "tidegate/core/value.h"

namespace tidegate::mysql::detail {

/// A zero date ("0000-00-00"), or one with a zero month or day, is no day: it stays text.
void textDate(std::string_view text, Value& out);
/// The session's time_zone is +00:00, so that a TIMESTAMP is printed in UTC.
void textMoment(std::string_view text, bool hasZone, Value& out);
void textTime(std::string_view text, Value& out);

}  // namespace tidegate::mysql::detail
