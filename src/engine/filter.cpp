#include "tidegate/engine/filter.h"

#include <algorithm>

#include "core/detail/number.h"
#include "engine/detail/filter_node.h"
#include "tidegate/core/error.h"

namespace tidegate {
namespace {

using Kind = Filter::Node::Kind;

[[noreturn]] void refuse(const TableSchema& schema, const std::string& column, const std::string& why) {
  throw Error(ErrorCode::invalidConfig, Retry::afterOperator,
              "a filter on table \"" + schema.table + "\", column \"" + column + "\": " + why);
}

std::regex compile(const std::string& expression) {
  auto flags = std::regex::ECMAScript | std::regex::nosubs;
#ifdef __GLIBCXX__
  // libstdc++'s other executor recurses for each character, and so overflows the stack on a long text.
  flags |= std::regex_constants::__polynomial;
#endif
  try {
    return std::regex(expression, flags);
  } catch (const std::regex_error& e) {
    throw Error(ErrorCode::invalidConfig, Retry::never,
                "a filter's regular expression \"" + expression + "\" cannot be used: " + e.what() +
                    " (ECMAScript syntax without back references)");
  }
}

bool isNumber(ValueKind kind) { return detail::isNumericKind(kind); }

bool isOrdered(ValueKind kind) { return kind != ValueKind::boolean && kind != ValueKind::json; }

void checkValue(const Filter::Node& node, const ColumnSchema& column, const TableSchema& schema) {
  const ValueKind given = node.value.kind();
  if (given == ValueKind::null) refuse(schema, node.column, "null matches nothing; give a value");
  if (node.kind == Kind::compare && !isOrdered(given)) {
    refuse(schema, node.column, "a " + std::string(toString(given)) + " has no order; use Filter::equals");
  }
  if (column.kind == ValueKind::null || column.kind == given || (isNumber(column.kind) && isNumber(given))) return;
  const bool timeAsText = node.kind == Kind::compare && column.kind == ValueKind::timestamp && given == ValueKind::text;
  if (timeAsText) return;
  refuse(schema, node.column,
         "the column is of kind " + std::string(toString(column.kind)) + " and never equals a " +
             std::string(toString(given)) + "; give a value of the column's kind");
}

void checkNode(const Filter::Node& node, const TableSchema& schema) {
  for (const Filter& child : node.children) checkNode(child.node(), schema);
  if (node.kind == Kind::everything || node.kind == Kind::all || node.kind == Kind::any) return;
  const ColumnSchema* column = schema.find(node.column);
  if (column == nullptr) refuse(schema, node.column, "the table has no such column");
  if (node.kind == Kind::equals || node.kind == Kind::compare) return checkValue(node, *column, schema);
  if (column->kind != ValueKind::text && column->kind != ValueKind::null) {
    refuse(schema, node.column,
           "prefixes and regular expressions judge text, and the column is of kind " +
               std::string(toString(column->kind)));
  }
}

void collect(const Filter::Node& node, std::vector<std::string>& out) {
  for (const Filter& child : node.children) collect(child.node(), out);
  if (!node.column.empty() && std::find(out.begin(), out.end(), node.column) == out.end()) out.push_back(node.column);
}

std::shared_ptr<Filter::Node> make(Kind kind, std::string column = {}) {
  auto node = std::make_shared<Filter::Node>();
  node->kind = kind;
  node->column = std::move(column);
  return node;
}

}  // namespace

Filter::Filter() : node_(make(Kind::everything)) {}

Filter Filter::equals(std::string column, Value value) {
  auto node = make(Kind::equals, std::move(column));
  node->value = std::move(value);
  return Filter(std::move(node));
}

Filter Filter::prefix(std::string column, std::string prefix) {
  auto node = make(Kind::prefix, std::move(column));
  node->expression = std::move(prefix);
  return Filter(std::move(node));
}

Filter Filter::regex(std::string column, std::string expression) {
  auto node = make(Kind::regex, std::move(column));
  node->regex = compile(expression);
  node->expression = std::move(expression);
  return Filter(std::move(node));
}

Filter Filter::compare(std::string column, Comparison comparison, Value value) {
  auto node = make(Kind::compare, std::move(column));
  node->comparison = comparison;
  node->value = std::move(value);
  return Filter(std::move(node));
}

Filter Filter::all(std::vector<Filter> filters) {
  auto node = make(Kind::all);
  node->children = std::move(filters);
  return Filter(std::move(node));
}

Filter Filter::any(std::vector<Filter> filters) {
  auto node = make(Kind::any);
  node->children = std::move(filters);
  return Filter(std::move(node));
}

bool Filter::matchesEverything() const noexcept {
  return node_->kind == Kind::everything || (node_->kind == Kind::all && node_->children.empty());
}

std::vector<std::string> Filter::columns() const {
  std::vector<std::string> out;
  collect(*node_, out);
  return out;
}

void Filter::check(const TableSchema& schema) const { checkNode(*node_, schema); }

}  // namespace tidegate
