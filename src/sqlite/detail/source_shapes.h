/// Shapes and their changes as text, as they stand in a source's tables.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tidegate/source/change_event.h"

namespace tidegate::sqlite::detail {

std::string shapeToText(const TableShape& shape);
/// @throws Error{parseError}
Shape shapeFromText(std::string_view text, const std::string& table);

/// What a row of `LogOp::schema` holds.
struct LoggedChange {
  std::int64_t before = 0;  ///< a shape's number; 0: the table was not followed
  std::vector<std::pair<std::string, std::string>> renamed{};
  bool rowsChanged = true;
};
std::string changeToText(const LoggedChange& change);
/// @throws Error{parseError}
LoggedChange changeFromText(std::string_view text);

}  // namespace tidegate::sqlite::detail
