/// Reads forward through octets from a server, never past their end.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "tidegate/core/error.h"

namespace tidegate::mysql::detail {

/// What a decoder throws for octets that are not what they claim to be.
[[noreturn]] inline void refuseOctets(const std::string& what) {
  throw Error(ErrorCode::parseError, Retry::later, "the binlog cannot be read: " + what);
}

/// An unsigned number whose octets stand at `at`, least significant first.
template <class T>
T littleAt(const char* at) noexcept {
  T number = 0;
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(&number, at, sizeof number);
  } else {
    for (std::size_t i = sizeof number; i-- > 0;)
      number = static_cast<T>(number << 8 | static_cast<std::uint8_t>(at[i]));
  }
  return number;
}

class OctetCursor {
 public:
  /// @param what is read, for messages. A literal.
  OctetCursor(std::string_view octets, const char* what)
      : at_(octets.data()), end_(octets.data() + octets.size()), what_(what) {}

  std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - at_); }
  bool done() const noexcept { return at_ == end_; }

  std::string_view take(std::size_t count) {
    if (count > left()) refuseOctets(std::string(what_) + " ends too early");
    const char* begin = at_;
    at_ += count;
    return {begin, count};
  }
  std::string_view rest() { return take(left()); }
  /// An unsigned number of 1 to 8 octets, least significant first.
  std::uint64_t little(std::size_t size) {
    std::uint64_t number = 0;
    if constexpr (std::endian::native == std::endian::little) {
      if (left() >= sizeof number) {  // one load, of which the octets that are not meant are cut off
        std::memcpy(&number, at_, sizeof number);
        at_ += size;
        return size < sizeof number ? number & ((std::uint64_t{1} << (8 * size)) - 1) : number;
      }
    }
    const std::string_view octets = take(size);
    for (std::size_t i = size; i-- > 0;) number = number << 8 | static_cast<unsigned char>(octets[i]);
    return number;
  }
  /// The same, most significant first. 0 octets are 0.
  std::uint64_t big(std::size_t size) {
    std::uint64_t number = 0;
    if constexpr (std::endian::native == std::endian::little) {
      if (size > 0 && left() >= sizeof number) {
        std::memcpy(&number, at_, sizeof number);
        at_ += size;
        return __builtin_bswap64(number) >> (8 * (sizeof number - size));
      }
    }
    for (const char c : take(size)) number = number << 8 | static_cast<unsigned char>(c);
    return number;
  }
  std::uint8_t octet() {
    if (done()) refuseOctets(std::string(what_) + " ends too early");
    return static_cast<std::uint8_t>(*at_++);
  }
  std::size_t length(std::size_t size) { return static_cast<std::size_t>(little(size)); }
  /// The protocol's packed integer: one octet, or a mark and 2, 3 or 8.
  std::uint64_t packed() {
    const std::uint8_t first = octet();
    if (first < 251) return first;
    if (first == 252) return little(2);
    if (first == 253) return little(3);
    if (first == 254) return little(8);
    refuseOctets(std::string(what_) + " holds no packed number where one should be");
  }
  /// An unsigned number as MySQL's serialization library has it: as many ones as octets follow, then a zero, then the
  /// number, least significant first.
  std::uint64_t varlen() {
    const std::uint8_t first = octet();
    const int more = std::countr_one(first);
    if (more >= 8) return little(8);
    const unsigned shift = static_cast<unsigned>(more) + 1;
    return first >> shift | little(static_cast<std::size_t>(more)) << (8 - shift);
  }
  std::string_view packedText() {
    const std::uint64_t size = packed();
    if (size > left()) refuseOctets(std::string(what_) + " ends within a text");
    return take(static_cast<std::size_t>(size));
  }

 private:
  const char* at_;
  const char* end_;
  const char* what_;
};

/// A number of `size` octets, least significant first, whose highest bit is its sign.
inline std::int64_t signExtended(std::uint64_t number, std::size_t size) {
  const unsigned unused = static_cast<unsigned>(64 - 8 * size);
  return static_cast<std::int64_t>(number << unused) >> unused;
}

}  // namespace tidegate::mysql::detail
