/// Where the members of a JSON text stand, for messages that name line and column.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

/// Offsets of values by their path, e.g. "/listen/port".
struct Places {
  std::map<std::string, std::size_t> offsets{};
  std::vector<std::pair<std::string, std::size_t>> repeated{};  ///< their path was there before
};
/// @param text valid JSON.
Places placesOf(const std::string& text);
/// Both from 1; the column counts octets.
std::pair<std::size_t, std::size_t> lineAndColumn(const std::string& text, std::size_t offset);
