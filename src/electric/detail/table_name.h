/// Names of tables and columns as they come in requests: schema and table, quoted or folded to lower case.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidegate::electric::detail {

/// Schema and table of a full name: "public.items" and "items" are both ("public", "items").
std::pair<std::string, std::string> relationOf(std::string_view table);
/// Whether parts ("items", or "public" and "items") name this table.
bool namesTable(std::string_view table, const std::vector<std::string>& parts);
/// Reads a name of up to `maxParts` parts: unquoted ones are folded to lower case. nullopt for anything else.
std::optional<std::vector<std::string>> readName(std::string_view text, std::size_t maxParts);
/// Splits at commas outside of quotes.
std::vector<std::string_view> splitList(std::string_view text);

}  // namespace tidegate::electric::detail
