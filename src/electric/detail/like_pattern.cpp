#include "electric/detail/like_pattern.h"

#include <algorithm>

namespace tidegate::electric::detail {
namespace {

bool continuesCharacter(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

char foldedAscii(char c, bool fold) { return fold && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

std::size_t characters(std::string_view text) noexcept {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !continuesCharacter(c); }));
}

std::optional<std::vector<LikePiece>> likePattern(std::string_view pattern, std::string_view escape, bool foldCase) {
  std::vector<LikePiece> pieces;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (!escape.empty() && pattern.substr(i).starts_with(escape)) {
      i += escape.size();
      if (i >= pattern.size()) return std::nullopt;
      pieces.push_back({LikePiece::octet, foldedAscii(pattern[i], foldCase)});
    } else if (pattern[i] == '%') {
      if (pieces.empty() || pieces.back().kind != LikePiece::anyRun) pieces.push_back({LikePiece::anyRun, 0});
    } else if (pattern[i] == '_') {
      pieces.push_back({LikePiece::anyCharacter, 0});
    } else {
      pieces.push_back({LikePiece::octet, foldedAscii(pattern[i], foldCase)});
    }
  }
  return pieces;
}

bool isLike(std::string_view text, const std::vector<LikePiece>& pattern, bool foldCase) noexcept {
  std::size_t at = 0, piece = 0;
  std::size_t retryPiece = pattern.size() + 1, retryAt = 0;  // after the last %, and where it began to be tried
  const auto nextCharacter = [&](std::size_t from) {
    for (++from; from < text.size() && continuesCharacter(text[from]); ++from) {
    }
    return from;
  };
  while (at < text.size()) {
    if (piece < pattern.size() && pattern[piece].kind == LikePiece::anyRun) {
      retryPiece = ++piece;
      retryAt = at;
    } else if (piece < pattern.size() && pattern[piece].kind == LikePiece::anyCharacter) {
      at = nextCharacter(at);
      ++piece;
    } else if (piece < pattern.size() && pattern[piece].value == foldedAscii(text[at], foldCase)) {
      ++at;
      ++piece;
    } else if (retryPiece <= pattern.size()) {
      retryAt = nextCharacter(retryAt);  // the run takes one character more
      at = retryAt;
      piece = retryPiece;
    } else {
      return false;
    }
  }
  while (piece < pattern.size() && pattern[piece].kind == LikePiece::anyRun) ++piece;
  return piece == pattern.size();
}

}  // namespace tidegate::electric::detail
