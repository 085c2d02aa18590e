/// Which rows of a table a pipeline wants.
///
///     Filter f = Filter::all({Filter::equals("region", "eu"), Filter::compare("total", Comparison::ge, 100)});
///
/// Judged by type on the row before and after a change: a row that enters arrives as an insert, one that leaves arrives
/// as an erase (law 6.4). A null, a value of another kind and an unknown value match nothing.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tidegate/source/change_event.h"

namespace tidegate {

/// How `Filter::compare` compares; order is that of `compareValues`.
enum class Comparison { eq, ne, lt, le, gt, ge };

/// An immutable condition; cheap to copy.
/// @thread Any.
class Filter {
 public:
  /// Matches every row.
  Filter();
  /// The column's value and `value` are the same (`sameValue`).
  static Filter equals(std::string column, Value value);
  /// The column's text begins with `prefix`.
  static Filter prefix(std::string column, std::string prefix);
  /// The column's text matches somewhere, in ECMAScript syntax without back references; text over 64 KiB never does.
  /// @throws Error{invalidConfig} for a bad expression.
  static Filter regex(std::string column, std::string expression);
  static Filter compare(std::string column, Comparison comparison, Value value);
  /// Every one matches; an empty list matches every row.
  static Filter all(std::vector<Filter> filters);
  /// At least one matches; an empty list matches none.
  static Filter any(std::vector<Filter> filters);

  bool matchesEverything() const noexcept;
  /// The columns it looks at, each once.
  std::vector<std::string> columns() const;
  /// @throws Error{invalidConfig} naming the column that the schema lacks, or whose kind the condition cannot judge.
  void check(const TableSchema& schema) const;

  struct Node;
  const Node& node() const noexcept { return *node_; }

 private:
  explicit Filter(std::shared_ptr<const Node> node) : node_(std::move(node)) {}
  std::shared_ptr<const Node> node_;
};

}  // namespace tidegate
