/// Random conditions with a plain model of what they mean: optionals of bool, double and string.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "support/property.h"
#include "tidegate/core/schema.h"

namespace tidegate::electric::test {

/// things(id, n int8, m int8, price numeric, ratio float8, title text, note text, done bool, day date, at timestamptz):
/// values that a double holds exactly, so that the model may compare doubles.
TableSchema thingsSchema();

/// A row as the model sees it: numbers, texts and truths by column; nullopt is null.
struct ModelRow {
  std::vector<std::optional<double>> numbers{};     ///< n, m, price, ratio, day, at (the last two in days)
  std::vector<std::optional<std::string>> texts{};  ///< title, note
  std::optional<bool> done{};

  std::vector<Value> values(std::int64_t id) const;
};
ModelRow randomRow(tidegate::test::Random& random);

struct ModelCondition {
  std::string text{};
  std::function<std::optional<bool>(const ModelRow&)> holds{};
};
/// @param loose  leaves out parentheses at random: the model then means something else, and only the text is of use.
ModelCondition randomCondition(tidegate::test::Random& random, std::size_t depth, bool loose = false);

}  // namespace tidegate::electric::test
