/// Writes event streams by hand, after the published format, and by no code of the library's.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidegate::kinesis::testing {

/// From the polynomial, an octet at a time.
inline std::uint32_t plainCrc32(std::string_view octets) {
  static const std::array<std::uint32_t, 256> kSteps = [] {
    std::array<std::uint32_t, 256> steps{};
    for (std::uint32_t octet = 0; octet < 256; ++octet) {
      std::uint32_t crc = octet;
      for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xEDB88320u : 0);
      steps[octet] = crc;
    }
    return steps;
  }();
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const char c : octets) crc = crc >> 8 ^ kSteps[(crc ^ static_cast<unsigned char>(c)) & 0xFF];
  return crc ^ 0xFFFFFFFFu;
}
inline std::string bigEndian(std::uint64_t number, std::size_t width) {
  std::string out(width, '\0');
  for (std::size_t i = width; i-- > 0; number >>= 8) out[i] = static_cast<char>(number & 0xFF);
  return out;
}
/// A header with a text.
inline std::string eventHeader(std::string_view name, std::string_view value) {
  return bigEndian(name.size(), 1) + std::string(name) + '\x07' + bigEndian(value.size(), 2) + std::string(value);
}
/// A message whose headers are octets already.
inline std::string eventOctets(std::string_view headers, std::string_view payload) {
  std::string out = bigEndian(16 + headers.size() + payload.size(), 4) + bigEndian(headers.size(), 4);
  out += bigEndian(plainCrc32(out), 4);
  out += headers;
  out += payload;
  return out + bigEndian(plainCrc32(out), 4);
}
inline std::string eventMessage(const std::string& type, std::string_view payload) {
  return eventOctets(eventHeader(":event-type", type) + eventHeader(":content-type", "application/x-amz-json-1.1") +
                         eventHeader(":message-type", "event"),
                     payload);
}
inline std::string exceptionMessage(const std::string& type, const std::string& text = "no") {
  return eventOctets(eventHeader(":exception-type", type) + eventHeader(":content-type", "application/x-amz-json-1.1") +
                         eventHeader(":message-type", "exception"),
                     "{\"message\":\"" + text + "\"}");
}

}  // namespace tidegate::kinesis::testing
