#include "durable_streams/detail/base64_decode.h"

#include <array>
#include <cstdint>

namespace tidegate::durable_streams::detail {
namespace {

constexpr std::uint8_t kNoDigit = 0xFF;

constexpr std::array<std::uint8_t, 256> digits() {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::array<std::uint8_t, 256> table{};
  for (auto& entry : table) entry = kNoDigit;
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    table[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return table;
}

constexpr std::array<std::uint8_t, 256> kDigits = digits();

std::size_t paddingOf(std::string_view text) {
  if (text.ends_with("==")) return 2;
  return text.ends_with('=') ? 1 : 0;
}

}  // namespace

std::optional<std::string> decodeBase64Lines(std::string_view text) {
  std::string joined;
  if (text.find_first_of("\r\n") != text.npos) {
    joined.reserve(text.size());
    for (const char c : text) {
      if (c != '\r' && c != '\n') joined += c;
    }
    text = joined;
  }
  if (text.size() % 4 != 0) return std::nullopt;
  const std::string_view payload = text.substr(0, text.size() - paddingOf(text));
  std::string octets;
  octets.reserve(text.size() / 4 * 3);
  std::uint32_t bits = 0;
  unsigned held = 0;
  for (const char c : payload) {
    const std::uint8_t digit = kDigits[static_cast<unsigned char>(c)];
    if (digit == kNoDigit) return std::nullopt;
    bits = (bits << 6 | digit) & 0xFFFFFF;
    held += 6;
    if (held >= 8) {
      held -= 8;
      octets += static_cast<char>(bits >> held & 0xFF);
    }
  }
  const std::uint32_t unused = bits & ((1u << held) - 1);
  return unused == 0 ? std::optional(std::move(octets)) : std::nullopt;
}

}  // namespace tidegate::durable_streams::detail
