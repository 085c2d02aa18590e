#include "kinesis/detail/base64.h"

#include <array>
#include <cstdint>

namespace tidegate::kinesis::detail {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint32_t kNoDigit = 0x80;

constexpr std::array<std::uint8_t, 256> makeDigits() {
  std::array<std::uint8_t, 256> digits{};
  for (auto& digit : digits) digit = kNoDigit;
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    digits[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return digits;
}

constexpr std::array<std::uint8_t, 256> kBase64Values = makeDigits();

std::uint32_t digitAt(std::string_view text, std::size_t i) {
  return kBase64Values[static_cast<unsigned char>(text[i])];
}

/// The last four characters, of which one or two may be padding.
bool appendLast(std::string_view four, std::string& out) {
  const std::size_t padding = four[3] != '=' ? 0 : four[2] != '=' ? 1 : 2;
  const std::uint32_t a = digitAt(four, 0), b = digitAt(four, 1);
  const std::uint32_t c = padding == 2 ? 0 : digitAt(four, 2), d = padding > 0 ? 0 : digitAt(four, 3);
  if (((a | b | c | d) & kNoDigit) != 0) return false;
  const std::uint32_t bits = a << 18 | b << 12 | c << 6 | d;
  if ((padding == 2 && (bits & 0xFFFF) != 0) || (padding == 1 && (bits & 0xFF) != 0)) return false;
  out.push_back(static_cast<char>(bits >> 16));
  if (padding < 2) out.push_back(static_cast<char>(bits >> 8));
  if (padding < 1) out.push_back(static_cast<char>(bits));
  return true;
}

}  // namespace

bool appendBase64Decoded(std::string_view text, std::string& out) {
  if (text.size() % 4 != 0) return false;
  if (text.empty()) return true;
  const std::size_t before = out.size();
  out.reserve(before + text.size() / 4 * 3);
  const std::size_t last = text.size() - 4;
  std::uint32_t seen = 0;
  for (std::size_t i = 0; i < last; i += 4) {
    const std::uint32_t a = digitAt(text, i), b = digitAt(text, i + 1);
    const std::uint32_t c = digitAt(text, i + 2), d = digitAt(text, i + 3);
    seen |= a | b | c | d;
    const std::uint32_t bits = a << 18 | b << 12 | c << 6 | d;
    const char three[3] = {static_cast<char>(bits >> 16), static_cast<char>(bits >> 8), static_cast<char>(bits)};
    out.append(three, 3);
  }
  if ((seen & kNoDigit) == 0 && appendLast(text.substr(last), out)) return true;
  out.resize(before);
  return false;
}

std::string base64Of(std::string_view octets) {
  std::string out;
  out.reserve((octets.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < octets.size(); i += 3) {
    const std::size_t left = octets.size() - i;
    const auto octet = [&](std::size_t k) {
      return k < left ? static_cast<std::uint32_t>(static_cast<unsigned char>(octets[i + k])) : 0;
    };
    const std::uint32_t bits = octet(0) << 16 | octet(1) << 8 | octet(2);
    out.push_back(kAlphabet[bits >> 18]);
    out.push_back(kAlphabet[bits >> 12 & 63]);
    out.push_back(left > 1 ? kAlphabet[bits >> 6 & 63] : '=');
    out.push_back(left > 2 ? kAlphabet[bits & 63] : '=');
  }
  return out;
}

}  // namespace tidegate::kinesis::detail
