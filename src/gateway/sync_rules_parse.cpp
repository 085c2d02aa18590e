#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "core/detail/json_tree.h"
#include "gateway/detail/rules_check.h"
#include "tidegate/core/error.h"
#include "tidegate/gateway/sync_rules.h"

namespace tidegate {
namespace {

using detail::JsonKind;
using detail::JsonRef;

/// A number keeps every digit: as itself where that is how it would be written again, else as the text that it is.
Value numberLiteral(const JsonRef& node) {
  Value value = node.value();
  if (value.kind() != ValueKind::real || !isDecimal(node.source())) return value;
  return detail::literalText(value) == node.source() ? value : Value(node.source());
}

Value readLiteral(const JsonRef& node) {
  switch (node.kind()) {
    case JsonKind::string:
      return node.string();
    case JsonKind::boolean:
      return node.boolean();
    case JsonKind::number:
      return numberLiteral(node);
    default:
      node.fail("expected a string, number or bool");
  }
}

void readFilterValue(const JsonRef& node, RuleFilter& filter) {
  if (node.kind() == JsonKind::array) {
    for (const JsonRef& item : node.items()) filter.literals.push_back(readLiteral(item));
    if (filter.literals.empty()) node.fail("must not be an empty array");
    return;
  }
  Value literal = readLiteral(node);
  if (const auto* text = literal.getIf<std::string>(); text != nullptr && text->starts_with(detail::kClaimPrefix)) {
    filter.claim = text->substr(detail::kClaimPrefix.size());
    if (filter.claim.empty()) node.fail("\"jwt:\" must be followed by the name of a claim");
    return;
  }
  filter.literals.push_back(std::move(literal));
}

RuleFilter readFilter(const JsonRef& node) {
  RuleFilter filter;
  filter.column = node.member("column").string();
  const JsonRef op = node.member("op");
  filter.op = detail::ruleOpOf(op.path(), op.string());
  readFilterValue(node.member("value"), filter);
  return filter;
}

RuleBucket readBucket(const JsonRef& node) {
  RuleBucket bucket;
  bucket.name = node.member("name").string();
  for (const JsonRef& table : node.member("tables").items()) bucket.tables.push_back(table.string());
  for (const JsonRef& filter : node.member("filters").items()) bucket.filters.push_back(readFilter(filter));
  return bucket;
}

SyncRules readRules(std::string_view json) {
  const detail::JsonTree tree(json);
  const JsonRef root = tree.root();
  const JsonRef version = root.member("version");
  const std::uint64_t number = version.uint64();
  if (number < 1 || number > static_cast<std::uint64_t>(std::numeric_limits<int>::max())) {
    version.fail("must be a positive integer");
  }
  std::vector<RuleBucket> buckets;
  for (const JsonRef& bucket : root.member("buckets").items()) buckets.push_back(readBucket(bucket));
  return SyncRules::of(static_cast<int>(number), std::move(buckets));
}

}  // namespace

SyncRules SyncRules::parse(std::string_view json) {
  try {
    return readRules(json);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::parseError) throw;
    throw Error(ErrorCode::invalidConfig, Retry::never, e.message());
  }
}

}  // namespace tidegate
