/// The packed form of values and rows (docs/formats.md): a kind octet, then a varint, 8 octets, or length and text.
/// Two packed values of one kind are equal octet for octet exactly when the values are `==`.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/value.h"

namespace tidegate::detail {

inline std::uint64_t zigzag(std::int64_t v) {
  return (static_cast<std::uint64_t>(v) << 1) ^ static_cast<std::uint64_t>(v >> 63);
}
inline std::int64_t unzigzag(std::uint64_t v) {
  return static_cast<std::int64_t>(v >> 1) ^ -static_cast<std::int64_t>(v & 1);
}

/// LEB128; at most 10 octets.
inline void putVarint(std::uint64_t v, std::string& out) {
  while (v >= 0x80) {
    out.push_back(static_cast<char>(v | 0x80));
    v >>= 7;
  }
  out.push_back(static_cast<char>(v));
}

/// Little-endian, 8 octets.
inline void putFixed64(std::uint64_t v, std::string& out) {
  char octets[8];
  std::memcpy(octets, &v, 8);
  out.append(octets, 8);
}

inline void putText(std::string_view text, std::string& out) {
  putVarint(text.size(), out);
  out.append(text);
}

void packValue(const Value& v, std::string& out);
/// The same of a text that is no `Value` yet.
void packText(std::string_view text, std::string& out);

/// Room for what `packHead` writes: a kind and 64 bits as a varint, the last ones perhaps in one store of 8 octets.
inline constexpr std::size_t kPackedHead = 16;
/// Writes a packed value but for its text, which comes right behind.
/// @param at has room for kPackedHead. @param text empty where there is none. @return behind what was written
char* packHead(const Value& v, char* at, std::string_view& text) noexcept;

/// Packs values one behind the other into memory that is used again and again.
/// @thread One at a time.
class Packer {
 public:
  /// @param memory only grows; it says nothing of what was packed.
  explicit Packer(std::string& memory) : memory_(memory), at_(memory.data()) {}

  void add(const Value& v) {
    std::string_view text;
    if (left() < kPackedHead) grow(kPackedHead);
    at_ = packHead(v, at_, text);
    if (text.empty()) return;
    if (left() < text.size()) grow(text.size());
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  /// Good until the memory is used again.
  std::string_view packed() const noexcept { return {memory_.data(), size()}; }
  std::size_t size() const noexcept { return static_cast<std::size_t>(at_ - memory_.data()); }

 private:
  std::size_t left() const noexcept { return memory_.size() - size(); }
  void grow(std::size_t by);

  std::string& memory_;
  char* at_;
};

/// Reads what the functions above wrote. Every read checks its bounds.
/// @throws Error{storeCorrupt} past the end or on an unknown kind.
class PackedReader {
 public:
  explicit PackedReader(std::string_view octets) : at_(octets.data()), end_(octets.data() + octets.size()) {}

  bool done() const noexcept { return at_ == end_; }
  std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - at_); }
  const char* at() const noexcept { return at_; }

  std::uint8_t octet() {
    need(1);
    return static_cast<std::uint8_t>(*at_++);
  }
  std::uint64_t varint() {
    std::uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const std::uint8_t o = octet();
      v |= static_cast<std::uint64_t>(o & 0x7F) << shift;
      if (o >= 0x80) continue;
      // One spelling per number, so that equal values are equal octets.
      if (shift > 0 && (o == 0 || (shift == 63 && o > 1)))
        corrupt("a varint not in its shortest form, or over 64 bits");
      return v;
    }
    corrupt("a varint of over 10 octets");
  }
  std::uint64_t fixed64() {
    need(8);
    std::uint64_t v = 0;
    std::memcpy(&v, at_, 8);
    at_ += 8;
    return v;
  }
  std::string_view raw(std::size_t n) {
    need(n);
    std::string_view v(at_, n);
    at_ += n;
    return v;
  }
  std::string_view text() { return raw(varint()); }
  /// Reuses `out`'s string capacity where the kind is the same.
  void value(Value& out);
  Value value() {
    Value v;
    value(v);
    return v;
  }
  /// The octets of the next value, skipped over.
  std::string_view packedValue();

 private:
  void need(std::size_t n) const {
    if (n > left()) corrupt("truncated");
  }
  [[noreturn]] static void corrupt(const char* what);

  const char* at_;
  const char* end_;
};

/// `sameValue` on packed values: equal octets at once, else by value.
bool samePacked(std::string_view a, std::string_view b);

}  // namespace tidegate::detail
