/// Octets from a server, read forward with every length checked: nothing in here can run past their end.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace tidegate::postgres::detail {

/// @tparam Fail a callable `[[noreturn]] void(const char* what)` that is called where octets are missing.
template <class Fail>
class OctetReader {
 public:
  OctetReader(std::string_view octets, Fail fail)
      : at_(octets.data()), end_(octets.data() + octets.size()), fail_(fail) {}

  std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - at_); }
  const char* at() const noexcept { return at_; }

  std::uint8_t octet(const char* what) {
    need(1, what);
    return static_cast<std::uint8_t>(*at_++);
  }
  /// Unsigned, most significant octet first.
  template <class T>
  T number(const char* what) {
    need(sizeof(T), what);
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>(value << 8 | static_cast<std::uint8_t>(at_[i]));
    at_ += sizeof(T);
    return value;
  }
  std::string_view octets(std::size_t size, const char* what) {
    need(size, what);
    const std::string_view read(at_, size);
    at_ += size;
    return read;
  }
  /// Up to a NUL, which is skipped.
  std::string_view text(const char* what) {
    const auto* nul = at_ == end_ ? nullptr : static_cast<const char*>(std::memchr(at_, 0, left()));
    if (nul == nullptr) fail_(what);
    const std::string_view read(at_, static_cast<std::size_t>(nul - at_));
    at_ = nul + 1;
    return read;
  }
  void need(std::size_t size, const char* what) {
    if (left() < size) fail_(what);
  }

 private:
  const char* at_;
  const char* end_;
  Fail fail_;
};

}  // namespace tidegate::postgres::detail
