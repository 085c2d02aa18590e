#include "engine/detail/compiled_filter.h"

#include <algorithm>

namespace tidegate::detail {
namespace {

/// std::regex takes time that may grow with the square of the text.
constexpr std::size_t kMostRegexText = 64u << 10;

bool compares(Comparison comparison, std::partial_ordering order) {
  if (order == std::partial_ordering::unordered) return false;
  switch (comparison) {
    case Comparison::eq:
      return order == 0;
    case Comparison::ne:
      return order != 0;
    case Comparison::lt:
      return order < 0;
    case Comparison::le:
      return order <= 0;
    case Comparison::gt:
      return order > 0;
    case Comparison::ge:
      return order >= 0;
  }
  return false;
}

bool holds(const Filter::Node& node, const Value& value) {
  if (value.isNull()) return false;
  const std::string* text = value.getIf<std::string>();
  switch (node.kind) {
    case Filter::Node::Kind::equals:
      return sameValue(value, node.value);
    case Filter::Node::Kind::prefix:
      return text != nullptr && text->starts_with(node.expression);
    case Filter::Node::Kind::regex:
      return text != nullptr && text->size() <= kMostRegexText && std::regex_search(*text, node.regex);
    case Filter::Node::Kind::compare:
      return compares(node.comparison, compareValues(value, node.value));
    default:
      return false;
  }
}

}  // namespace

bool EventRow::has(std::size_t column) const noexcept {
  return column < values.size() &&
         (missing.empty() || !std::binary_search(missing.begin(), missing.end(), static_cast<std::uint32_t>(column)));
}

CompiledFilter::CompiledFilter(const Filter& filter, const TableSchema& schema) : filter_(filter) {
  if (filter.matchesEverything()) return;
  filter.check(schema);
  add(filter_, schema);
}

void CompiledFilter::add(const Filter& filter, const TableSchema& schema) {
  const Filter::Node& node = filter.node();
  const std::size_t at = nodes_.size();
  const auto column = std::find_if(schema.columns.begin(), schema.columns.end(),
                                   [&](const ColumnSchema& c) { return c.name == node.column; });
  nodes_.push_back({&node, static_cast<std::size_t>(column - schema.columns.begin()), node.children.size(), 0});
  for (const Filter& child : node.children) add(child, schema);
  nodes_[at].size = nodes_.size() - at;
}

Verdict CompiledFilter::judge(std::size_t at, const EventRow& row) const {
  const Node& node = nodes_[at];
  const auto kind = node.what->kind;
  if (kind == Filter::Node::Kind::everything) return Verdict::yes;
  if (kind != Filter::Node::Kind::all && kind != Filter::Node::Kind::any) {
    if (!row.has(node.column)) return Verdict::unknown;
    return holds(*node.what, row.values[node.column]) ? Verdict::yes : Verdict::no;
  }
  const bool all = kind == Filter::Node::Kind::all;
  Verdict verdict = all ? Verdict::yes : Verdict::no;
  std::size_t child = at + 1;
  for (std::size_t i = 0; i < node.children; ++i, child += nodes_[child].size) {
    const Verdict one = judge(child, row);
    verdict = all ? std::min(verdict, one) : std::max(verdict, one);
    if (verdict == (all ? Verdict::no : Verdict::yes)) break;
  }
  return verdict;
}

}  // namespace tidegate::detail
