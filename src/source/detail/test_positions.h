/// A TestSource's positions: a place in the log as 12 octets, big-endian, or as "number:ordinal".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "source/detail/test_log.h"
#include "tidegate/core/position.h"

namespace tidegate::detail {

Position positionOf(TestPlace place);
/// nullopt for anything that `positionOf` does not make.
std::optional<TestPlace> placeOf(const Position& position);
/// @throws Error{invalidArgument}
TestPlace requirePlace(const Position& position);
std::string textOf(TestPlace place);
/// @throws Error{parseError}
TestPlace placeFromText(std::string_view text);

}  // namespace tidegate::detail
