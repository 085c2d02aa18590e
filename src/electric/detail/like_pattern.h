/// LIKE: patterns taken apart once, and texts held against them.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "electric/detail/where_node.h"

namespace tidegate::electric::detail {

/// Characters of a UTF-8 text.
std::size_t characters(std::string_view text) noexcept;
/// @param escape  one character, or nothing. @return nullopt for a pattern that ends with its escape character.
std::optional<std::vector<LikePiece>> likePattern(std::string_view pattern, std::string_view escape, bool foldCase);
/// Whether the whole text is like the pattern; takes at most their lengths' product of steps.
bool isLike(std::string_view text, const std::vector<LikePiece>& pattern, bool foldCase) noexcept;

}  // namespace tidegate::electric::detail
