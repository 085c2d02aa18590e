/// The inside of a `Filter`.
#pragma once

#include <memory>
#include <regex>
#include <string>
#include <vector>

#include "tidegate/engine/filter.h"

namespace tidegate {

struct Filter::Node {
  enum class Kind { everything, equals, prefix, regex, compare, all, any };
  Kind kind = Kind::everything;
  std::string column{};
  Comparison comparison = Comparison::eq;
  Value value{};
  std::string expression{};
  std::regex regex{};
  std::vector<Filter> children{};
};

}  // namespace tidegate
