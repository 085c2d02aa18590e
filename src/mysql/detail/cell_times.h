/// Dates and times of row events.
#pragma once

#include <cstdint>

#include "mysql/detail/octet_cursor.h"
#include "mysql/detail/table_map.h"
#include "tidegate/core/value.h"

namespace tidegate::mysql::detail {

/// @param digits of the fraction, 0 to 6. What is no day of the calendar becomes the text that the server prints.
/// @throws Error{parseError} for a type that is no time, or octets that are none.
void readTimeCell(OctetCursor& in, WireType type, std::uint32_t digits, Value& out);

/// "2024-05-01 12:00:00.000000", "2024-05-01" or "-12:00:00.000000": how MySQL's JSON prints a packed time.
void packedTimeToText(std::int64_t packed, WireType type, std::string& out);

}  // namespace tidegate::mysql::detail
