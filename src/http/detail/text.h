/// Small text functions that HTTP needs: ASCII without a locale.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

namespace tidegate::http::detail {

constexpr char lowerOf(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// Names of fields and of codings compare without regard to case.
inline bool sameName(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i] && lowerOf(a[i]) != lowerOf(b[i])) return false;
  }
  return true;
}

inline bool startsWithName(std::string_view text, std::string_view start) noexcept {
  return text.size() >= start.size() && sameName(text.substr(0, start.size()), start);
}

/// Without spaces and tabs around it (RFC 9110's OWS).
constexpr std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Calls `each(element)` for the elements of a comma-separated list, trimmed, empty ones left out.
template <class Each>
void forEachElement(std::string_view list, Each&& each) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (const std::string_view element = trimmed(list.substr(0, comma)); !element.empty()) each(element);
    list.remove_prefix(std::min(list.size(), comma + 1));
  }
}

/// Whether a comma-separated list names `element`.
inline bool listHas(std::string_view list, std::string_view element) {
  bool found = false;
  forEachElement(list, [&](std::string_view one) { found = found || sameName(one, element); });
  return found;
}

namespace tables {
constexpr std::array<bool, 256> tokenCharacters() {
  std::array<bool, 256> is{};
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) is[static_cast<unsigned char>(c)] = true;
  for (int c = '0'; c <= '9'; ++c) is[static_cast<std::size_t>(c)] = true;
  for (int c = 'a'; c <= 'z'; ++c) is[static_cast<std::size_t>(c)] = true;
  for (int c = 'A'; c <= 'Z'; ++c) is[static_cast<std::size_t>(c)] = true;
  return is;
}
constexpr std::array<bool, 256> valueCharacters() {
  std::array<bool, 256> is{};
  for (std::size_t c = 0; c < 256; ++c) is[c] = c == '\t' || (c >= 0x20 && c != 0x7F);
  return is;
}
inline constexpr auto kToken = tokenCharacters();
inline constexpr auto kValue = valueCharacters();
}  // namespace tables

/// RFC 9110's token: methods, names of fields.
inline bool isToken(std::string_view text) noexcept {
  if (text.empty()) return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return tables::kToken[static_cast<unsigned char>(c)]; });
}

/// What may stand in a field's value: no control character but the tab.
inline bool isFieldValue(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return tables::kValue[static_cast<unsigned char>(c)]; });
}

constexpr int hexDigit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace tidegate::http::detail
