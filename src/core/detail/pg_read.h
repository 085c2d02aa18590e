/// PostgreSQL's text form of values, as its results, its replication stream and Electric's shapes have it. Text that is
/// not in its type's usual form is kept as Text. Dates and times expect TimeZone = UTC and ISO style.
#pragma once

#include <string_view>

#include "tidegate/core/value.h"

namespace tidegate::detail {

void readPgInteger(std::string_view text, Value& out);
void readPgReal(std::string_view text, Value& out);
void readPgBytea(std::string_view text, Value& out);
void readPgDate(std::string_view text, Value& out);
void readPgTime(std::string_view text, Value& out);
void readPgTimestamp(std::string_view text, Value& out);
void readPgTimestamptz(std::string_view text, Value& out);
void readPgUuid(std::string_view text, Value& out);

}  // namespace tidegate::detail
