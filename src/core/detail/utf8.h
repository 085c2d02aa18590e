/// UTF-8, octet by octet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tidegate::detail {

/// Length (1..4) of the well-formed UTF-8 sequence at the start of `octets`, or 0 where there is none.
std::size_t utf8Length(std::string_view octets) noexcept;

/// Appends a code point (at most U+10FFFF, no surrogate).
void appendUtf8(std::uint32_t codePoint, std::string& out);

}  // namespace tidegate::detail
