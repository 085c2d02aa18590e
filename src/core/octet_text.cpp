#include "core/detail/octet_text.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace tidegate::detail {
namespace {

constexpr std::string_view kBase64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrlAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view kHexAlphabet = "0123456789abcdef";
/// A bit that no digit's value has.
constexpr std::uint8_t kNoDigit = 0x80;

using Digits = std::array<std::uint8_t, 256>;

constexpr Digits digitsOf(std::string_view alphabet) {
  Digits digits{};
  for (auto& digit : digits) digit = kNoDigit;
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    digits[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return digits;
}

constexpr Digits kBase64Digits = digitsOf(kBase64Alphabet);
constexpr Digits kUrlDigits = digitsOf(kUrlAlphabet);
constexpr Digits kHexValues = digitsOf(kHexAlphabet);

std::string encoded(std::string_view octets, std::string_view alphabet, bool padded) {
  std::string out;
  out.reserve((octets.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < octets.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, octets.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = group << 8 | (k < count ? static_cast<unsigned char>(octets[i + k]) : 0);
    for (std::size_t k = 0; k <= count; ++k) out.push_back(alphabet[group >> (18 - 6 * k) & 63]);
    if (padded) out.append(3 - count, '=');
  }
  return out;
}

/// Four digits at a time: this is what the records of a stream come in.
bool appendGroups(std::string_view text, const Digits& digits, std::string& out) {
  std::uint32_t seen = 0;
  const auto digit = [&](std::size_t i) -> std::uint32_t { return digits[static_cast<unsigned char>(text[i])]; };
  for (std::size_t i = 0; i + 4 <= text.size(); i += 4) {
    const std::uint32_t a = digit(i), b = digit(i + 1), c = digit(i + 2), d = digit(i + 3);
    seen |= a | b | c | d;
    const std::uint32_t bits = a << 18 | b << 12 | c << 6 | d;
    const char three[3] = {static_cast<char>(bits >> 16), static_cast<char>(bits >> 8), static_cast<char>(bits)};
    out.append(three, 3);
  }
  return (seen & kNoDigit) == 0;
}

/// The two or three digits that are left over.
bool appendRest(std::string_view rest, const Digits& digits, std::string& out) {
  if (rest.empty()) return true;
  if (rest.size() == 1) return false;
  std::uint32_t bits = 0, seen = 0;
  for (const char c : rest) {
    const std::uint32_t digit = digits[static_cast<unsigned char>(c)];
    seen |= digit;
    bits = bits << 6 | digit;
  }
  const unsigned unused = rest.size() == 2 ? 4 : 2;
  if ((seen & kNoDigit) != 0 || (bits & ((1u << unused) - 1)) != 0) return false;
  bits >>= unused;
  if (rest.size() == 3) out.push_back(static_cast<char>(bits >> 8));
  out.push_back(static_cast<char>(bits));
  return true;
}

bool appendDecoded(std::string_view text, const Digits& digits, std::string& out) {
  const std::size_t before = out.size(), whole = text.size() / 4 * 4;
  out.reserve(before + text.size() / 4 * 3 + 3);
  if (appendGroups(text.substr(0, whole), digits, out) && appendRest(text.substr(whole), digits, out)) return true;
  out.resize(before);
  return false;
}

}  // namespace

std::string base64Of(std::string_view octets) { return encoded(octets, kBase64Alphabet, true); }

bool appendFromBase64(std::string_view text, std::string& out) {
  if (text.size() % 4 != 0) return false;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  return appendDecoded(text.substr(0, text.size() - padding), kBase64Digits, out);
}

std::optional<std::string> fromBase64(std::string_view text) {
  std::string octets;
  return appendFromBase64(text, octets) ? std::optional(std::move(octets)) : std::nullopt;
}

std::string base64UrlOf(std::string_view octets) { return encoded(octets, kUrlAlphabet, false); }

std::optional<std::string> fromBase64Url(std::string_view text) {
  std::string octets;
  return appendDecoded(text, kUrlDigits, octets) ? std::optional(std::move(octets)) : std::nullopt;
}

std::string hexOf(std::string_view octets) {
  std::string text;
  text.reserve(2 * octets.size());
  for (const char c : octets) {
    text.push_back(kHexAlphabet[static_cast<unsigned char>(c) >> 4]);
    text.push_back(kHexAlphabet[static_cast<unsigned char>(c) & 15]);
  }
  return text;
}

bool appendFromHex(std::string_view text, std::string& out) {
  if (text.size() % 2 != 0) return false;
  const std::size_t before = out.size();
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const unsigned high = kHexValues[static_cast<unsigned char>(text[i])];
    const unsigned low = kHexValues[static_cast<unsigned char>(text[i + 1])];
    if (((high | low) & kNoDigit) != 0) {
      out.resize(before);
      return false;
    }
    out.push_back(static_cast<char>(high << 4 | low));
  }
  return true;
}

std::optional<std::string> fromHex(std::string_view text) {
  std::string octets;
  return appendFromHex(text, octets) ? std::optional(std::move(octets)) : std::nullopt;
}

}  // namespace tidegate::detail
