/// What makes two requests ask for one shape.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tidegate/electric/where.h"
#include "tidegate/source/change_event.h"

namespace tidegate::electric::detail {

struct ShapeDefinition {
  Shape table{};  ///< as it was when the definition was read
  Where where{};
  std::vector<std::uint32_t> columns{};  ///< sent, ascending; the key's are among them
  bool full = false;                     ///< replica=full

  bool sends(std::uint32_t column) const;
  /// Equal texts: one shape.
  std::string identity() const;
};

}  // namespace tidegate::electric::detail
