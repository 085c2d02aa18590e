#include <array>

#include "durable_streams/detail/protocol.h"

namespace tidegate::durable_streams::detail {

namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrlAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::string encode64(std::string_view octets, std::string_view alphabet, bool pad) {
  std::string out;
  out.reserve((octets.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < octets.size(); i += 3) {
    std::uint32_t group = 0;
    const std::size_t n = std::min<std::size_t>(3, octets.size() - i);
    for (std::size_t k = 0; k < 3; ++k) group = group << 8 | (k < n ? static_cast<unsigned char>(octets[i + k]) : 0u);
    for (std::size_t k = 0; k <= n; ++k) out.push_back(alphabet[group >> (18 - 6 * k) & 63]);
    if (pad) out.append(3 - n, '=');
  }
  return out;
}

}  // namespace

std::string base64(std::string_view octets) { return encode64(octets, kAlphabet, true); }
std::string base64Url(std::string_view octets) { return encode64(octets, kUrlAlphabet, false); }

std::optional<std::string> fromBase64Url(std::string_view text) {
  if (text.size() % 4 == 1) return std::nullopt;
  std::string out;
  std::uint32_t group = 0;
  unsigned bits = 0;
  for (const char c : text) {
    const std::size_t value = kUrlAlphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    group = group << 6 | static_cast<std::uint32_t>(value);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out.push_back(static_cast<char>(group >> bits & 0xFF));
  }
  return out;
}

}  // namespace tidegate::durable_streams::detail
