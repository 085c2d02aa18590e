#include "core/detail/utf8.h"

#include <cstring>

#include "tidegate/core/value.h"

namespace tidegate {
namespace detail {
namespace {

unsigned utf8Octet(std::string_view s, std::size_t i) { return static_cast<unsigned char>(s[i]); }

bool utf8Continuations(std::string_view s, std::size_t from, std::size_t to) {
  for (std::size_t i = from; i < to; ++i) {
    if ((utf8Octet(s, i) & 0xC0) != 0x80) return false;
  }
  return true;
}

}  // namespace

// Unicode 15, table 3-7: the second octet's range rules out overlong forms, surrogates and what lies over U+10FFFF.
std::size_t utf8Length(std::string_view s) noexcept {
  if (s.empty()) return 0;
  const unsigned lead = utf8Octet(s, 0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (s.size() < length || !utf8Continuations(s, 1, length)) return 0;
  const unsigned second = utf8Octet(s, 1);
  if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F)) return 0;
  if ((lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) return 0;
  return length;
}

void appendUtf8(std::uint32_t c, std::string& out) {
  const auto put = [&out](std::uint32_t octet) { out.push_back(static_cast<char>(octet)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | (c >> 6));
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | (c >> 12));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | (c >> 18));
    put(0x80 | ((c >> 12) & 0x3F));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

}  // namespace detail

bool isUtf8(std::string_view octets) noexcept {
  while (!octets.empty()) {
    if (octets.size() >= 8) {
      std::uint64_t eight = 0;
      std::memcpy(&eight, octets.data(), 8);
      if ((eight & 0x8080808080808080ULL) == 0) {
        octets.remove_prefix(8);
        continue;
      }
    }
    const std::size_t length = detail::utf8Length(octets);
    if (length == 0) return false;
    octets.remove_prefix(length);
  }
  return true;
}

}  // namespace tidegate
