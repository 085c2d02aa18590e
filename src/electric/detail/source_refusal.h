/// What a refused request means, and whether it helps to ask again.
#pragma once

#include <string_view>

#include "electric/detail/source_offset.h"
#include "tidegate/core/error.h"
#include "tidegate/electric/source.h"

namespace tidegate::electric::reading {

struct Refusal {
  int status = 0;
  std::string_view body{};
  LogOffset from{};      ///< where the request began
  bool mayMend = false;  ///< who asks may be another the next time
};

/// An error that names the shape, the status and what the server said.
Error refusal(const SourceShape& shape, const Refusal& refused);

}  // namespace tidegate::electric::reading
