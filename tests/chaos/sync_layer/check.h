/// Whether both sides of the sync layer are equal, by key and by offset.
#pragma once

#include <string>

namespace tidegate::chaos {

/// What differs now; empty: nothing. What begins with "never:" cannot come right by waiting: a change that is in the
/// stream twice, or one that is missing between two others.
std::string differenceOf(const std::string& streamUrl);

/// How much was compared, in words.
std::string countsOf(const std::string& streamUrl);

}  // namespace tidegate::chaos
