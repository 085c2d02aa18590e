/// Writes packed octets into memory the caller has measured beforehand: the counterpart of `PackedReader`.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace tidegate::detail {

/// The octets a varint takes at most.
inline constexpr std::size_t kMaxVarint = 10;
/// The octets a varint of 32 bits takes at most.
inline constexpr std::size_t kMaxVarint32 = 5;

inline std::size_t varintSize(std::uint64_t v) {
  std::size_t n = 1;
  for (; v >= 0x80; v >>= 7) ++n;
  return n;
}

/// Never checks bounds: the caller reserves an upper bound first.
class OctetWriter {
 public:
  explicit OctetWriter(char* at) : at_(at) {}

  char* at() const noexcept { return at_; }
  void octet(std::uint8_t v) { *at_++ = static_cast<char>(v); }
  void varint(std::uint64_t v) {
    while (v >= 0x80) {
      *at_++ = static_cast<char>(v | 0x80);
      v >>= 7;
    }
    *at_++ = static_cast<char>(v);
  }
  void fixed32(std::uint32_t v) { put(&v, 4); }
  void fixed64(std::uint64_t v) { put(&v, 8); }
  void raw(std::string_view octets) { put(octets.data(), octets.size()); }
  void text(std::string_view octets) {
    varint(octets.size());
    raw(octets);
  }

 private:
  void put(const void* from, std::size_t n) {
    if (n != 0) std::memcpy(at_, from, n);
    at_ += n;
  }
  char* at_;
};

}  // namespace tidegate::detail
