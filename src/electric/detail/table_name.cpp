#include "electric/detail/table_name.h"

namespace tidegate::electric::detail {
namespace {

bool isNameCharacter(char c, bool first) {
  const bool letter =
      (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
  return letter || (!first && ((c >= '0' && c <= '9') || c == '$'));
}

/// Reads one part at the front of `text` and takes it off.
std::optional<std::string> takePart(std::string_view& text) {
  std::string part;
  std::size_t i = 0;
  if (text.starts_with('"')) {
    for (i = 1; i < text.size(); ++i) {
      if (text[i] != '"') {
        part += text[i];
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        part += '"';
        ++i;
      } else {
        break;
      }
    }
    if (i >= text.size() || part.empty()) return std::nullopt;
    ++i;
  } else {
    for (; i < text.size() && isNameCharacter(text[i], i == 0); ++i) {
      const char c = text[i];
      part += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    if (part.empty()) return std::nullopt;
  }
  text.remove_prefix(i);
  return part;
}

}  // namespace

std::pair<std::string, std::string> relationOf(std::string_view table) {
  const std::size_t dot = table.find('.');
  if (dot == table.npos || dot == 0 || dot + 1 == table.size()) return {"public", std::string(table)};
  return {std::string(table.substr(0, dot)), std::string(table.substr(dot + 1))};
}

bool namesTable(std::string_view table, const std::vector<std::string>& parts) {
  const auto [schema, name] = relationOf(table);
  if (parts.size() == 1) return parts[0] == name;
  return parts.size() == 2 && parts[0] == schema && parts[1] == name;
}

std::optional<std::vector<std::string>> readName(std::string_view text, std::size_t maxParts) {
  std::vector<std::string> parts;
  while (parts.size() < maxParts) {
    auto part = takePart(text);
    if (!part) return std::nullopt;
    parts.push_back(std::move(*part));
    if (text.empty()) return parts;
    if (text.front() != '.') return std::nullopt;
    text.remove_prefix(1);
  }
  return std::nullopt;
}

std::vector<std::string_view> splitList(std::string_view text) {
  std::vector<std::string_view> parts;
  std::size_t from = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') quoted = !quoted;
    if (text[i] != ',' || quoted) continue;
    parts.push_back(text.substr(from, i - from));
    from = i + 1;
  }
  parts.push_back(text.substr(from));
  return parts;
}

}  // namespace tidegate::electric::detail
