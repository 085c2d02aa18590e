#include "tidegate/core/row.h"

#include <algorithm>
#include <numeric>

#include "tidegate/core/error.h"
#include "tidegate/core/schema.h"

namespace tidegate {
namespace {
constexpr std::size_t kLinearColumns = 16;  ///< up to here a scan beats a search
}

ColumnList::ColumnList(std::vector<std::string> names) : names_(std::move(names)) {
  std::vector<std::size_t> order(names_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return names_[a] < names_[b]; });
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::string& name = names_[order[i]];
    if (name.empty()) {
      throw Error(ErrorCode::invalidArgument, Retry::never,
                  "column " + std::to_string(order[i] + 1) + " has an empty name; give it one (SELECT … AS name)");
    }
    if (i > 0 && name == names_[order[i - 1]]) {
      throw Error(ErrorCode::invalidArgument, Retry::never,
                  "column \"" + name + "\" appears twice; rename one of them (SELECT … AS name)");
    }
  }
  if (names_.size() > kLinearColumns) sorted_ = std::move(order);
}

std::optional<std::size_t> ColumnList::find(std::string_view name) const noexcept {
  if (sorted_.empty()) {
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (names_[i] == name) return i;
    }
    return std::nullopt;
  }
  const auto at = std::lower_bound(sorted_.begin(), sorted_.end(), name,
                                   [&](std::size_t i, std::string_view wanted) { return names_[i] < wanted; });
  if (at == sorted_.end() || names_[*at] != name) return std::nullopt;
  return *at;
}

const Value* Row::find(std::string_view column) const noexcept {
  if (!columns) return nullptr;
  const auto at = columns->find(column);
  return at && *at < values.size() ? &values[*at] : nullptr;
}

bool Row::operator==(const Row& other) const noexcept {
  if (values != other.values) return false;
  if (columns == other.columns) return true;
  const bool empty = !columns || columns->size() == 0;
  const bool otherEmpty = !other.columns || other.columns->size() == 0;
  if (empty || otherEmpty) return empty == otherEmpty;
  return columns->names() == other.columns->names();
}

const ColumnSchema* TableSchema::find(std::string_view column) const noexcept {
  for (const ColumnSchema& c : columns) {
    if (c.name == column) return &c;
  }
  return nullptr;
}

}  // namespace tidegate
