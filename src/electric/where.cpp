#include "tidegate/electric/where.h"

#include <algorithm>
#include <utility>

#include "electric/detail/where_eval.h"
#include "electric/detail/where_parser.h"
#include "electric/detail/where_print.h"

namespace tidegate::electric {
namespace {

using detail::SqlType;
using detail::WhereNode;
using detail::WhereOp;

void collectColumns(const WhereNode& node, std::vector<std::uint32_t>& columns) {
  if (node.op == WhereOp::column) columns.push_back(node.column);
  for (const WhereNode& child : node.children) collectColumns(child, columns);
}

/// Types whose equal values are equal octets, so that a hash finds them.
bool isHashable(SqlType type) {
  return type == SqlType::boolean || type == SqlType::integer || type == SqlType::text || type == SqlType::uuid;
}

void collectEqualities(const WhereNode& node, std::vector<WhereEquality>& found) {
  if (node.op == WhereOp::allOf) {
    for (const WhereNode& child : node.children) collectEqualities(child, found);
  }
  if (node.op != WhereOp::equal) return;
  const bool flipped = node.children[0].op == WhereOp::literal;
  const WhereNode& column = node.children[flipped ? 1 : 0];
  const WhereNode& literal = node.children[flipped ? 0 : 1];
  if (column.op != WhereOp::column || literal.op != WhereOp::literal || literal.literal.isNull()) return;
  if (column.type == literal.type && isHashable(column.type)) found.push_back({column.column, literal.literal});
}

}  // namespace

struct Where::Tree {
  WhereNode root;
  std::string text;
  std::vector<std::uint32_t> columns;
  std::vector<WhereEquality> equalities;

  void describe(const TableSchema* schema) {
    if (schema != nullptr) detail::printWhere(root, *schema, text);
    collectColumns(root, columns);
    std::sort(columns.begin(), columns.end());
    columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
    collectEqualities(root, equalities);
  }
};

Where::Where() = default;

Where Where::parse(std::string_view text, const TableSchema& schema, const WhereParams& params,
                   const WhereLimits& limits) {
  auto tree = std::make_shared<Tree>();
  tree->root = detail::WhereParser(text, schema, params, limits).parse();
  tree->describe(&schema);
  Where where;
  where.root_ = std::move(tree);
  return where;
}

Where Where::both(const Where& a, const Where& b) {
  if (a.empty()) return b;
  if (b.empty()) return a;
  auto tree = std::make_shared<Tree>();
  tree->root.op = WhereOp::allOf;
  tree->root.children = {a.root_->root, b.root_->root};
  tree->text = "(" + a.text() + " AND " + b.text() + ")";
  tree->describe(nullptr);
  Where where;
  where.root_ = std::move(tree);
  return where;
}

Truth Where::evaluate(std::span<const Value> row) const {
  return root_ == nullptr ? Truth::yes : detail::judge(root_->root, row);
}

const std::string& Where::text() const noexcept {
  static const std::string kNone;
  return root_ == nullptr ? kNone : root_->text;
}

const std::vector<std::uint32_t>& Where::columns() const noexcept {
  static const std::vector<std::uint32_t> kNone;
  return root_ == nullptr ? kNone : root_->columns;
}

const std::vector<WhereEquality>& Where::equalities() const noexcept {
  static const std::vector<WhereEquality> kNone;
  return root_ == nullptr ? kNone : root_->equalities;
}

}  // namespace tidegate::electric
