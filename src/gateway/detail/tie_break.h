/// The last resort of last-writer-wins: two values under one stamp.
#pragma once

#include <string_view>

namespace tidegate::detail {

/// Orders two packed values by canonical JSON, then by octets. @return negative, 0 or positive.
int tieBreak(std::string_view packedA, std::string_view packedB);

}  // namespace tidegate::detail
