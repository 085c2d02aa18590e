/// A filter made ready for the rows of one shape.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/detail/filter_node.h"
#include "tidegate/engine/filter.h"

namespace tidegate::detail {

/// `unknown`: it depends on a column that the source did not send.
enum class Verdict : std::uint8_t { no, unknown, yes };

/// A row image. `missing` (ascending) are the columns whose place in `values` means nothing.
struct EventRow {
  const std::vector<Value>& values;
  const std::vector<std::uint32_t>& missing;
  bool has(std::size_t column) const noexcept;
};

/// @thread Immutable: any.
class CompiledFilter {
 public:
  CompiledFilter() = default;
  /// @throws Error{invalidConfig} as `Filter::check`.
  CompiledFilter(const Filter& filter, const TableSchema& schema);

  bool matchesEverything() const noexcept { return nodes_.empty(); }
  Verdict judge(const EventRow& row) const { return nodes_.empty() ? Verdict::yes : judge(0, row); }

 private:
  struct Node {
    const Filter::Node* what;
    std::size_t column;    ///< of a condition
    std::size_t children;  ///< how many follow (of all, any)
    std::size_t size;      ///< nodes of this subtree
  };
  void add(const Filter& filter, const TableSchema& schema);
  Verdict judge(std::size_t at, const EventRow& row) const;

  Filter filter_{};            ///< keeps what `nodes_` point into
  std::vector<Node> nodes_{};  ///< pre-order
};

}  // namespace tidegate::detail
