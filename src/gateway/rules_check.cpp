#include "gateway/detail/rules_check.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <unordered_set>
#include <utility>

#include "tidegate/core/error.h"
#include "tidegate/core/json.h"

namespace tidegate::detail {
namespace {

constexpr std::array<std::string_view, 7> kOpNames{"eq", "neq", "in", "gt", "gte", "lt", "lte"};

/// A name or word from outside as it stands in a message: quoted, escaped and cut.
std::string quoted(std::string_view text) {
  std::string out;
  appendJsonString(text.substr(0, 80), out);
  return out;
}

void checkName(const std::string& path, const std::string& name) {
  if (name.empty()) refuseRule(path, "must not be empty");
  if (!isUtf8(name) || name.find('\0') != std::string::npos) refuseRule(path, "must be UTF-8 without NUL");
}

void checkCount(const std::string& path, std::size_t count, std::size_t limit) {
  if (count > limit) refuseRule(path, fmt::format("{} entries, at most {} are allowed", count, limit));
}

void normaliseLiteral(const std::string& path, Value& literal) {
  switch (literal.kind()) {
    case ValueKind::boolean:
    case ValueKind::int64:
    case ValueKind::uint64:
      return;
    case ValueKind::real:
      if (!std::isfinite(literal.as<double>())) refuseRule(path, "must be a finite number");
      return;
    case ValueKind::null:
      refuseRule(path, "null matches nothing; expected a string, number or bool");
    case ValueKind::json:
      refuseRule(path, "expected a string, number or bool");
    case ValueKind::text:
      break;
    case ValueKind::decimal:
      literal = Value(std::string(literal.as<Decimal>().text));
      break;
    case ValueKind::bytes:
    case ValueKind::date:
    case ValueKind::time:
    case ValueKind::timestamp:
    case ValueKind::uuid:
      literal = valueFromJson(toJson(literal));
      break;
  }
  const std::string& text = literal.as<std::string>();
  if (text.empty()) refuseRule(path, "must not be empty");
  if (!isUtf8(text)) refuseRule(path, "must be UTF-8");
  if (text.starts_with(kClaimPrefix))
    refuseRule(path, "a claim (\"jwt:…\") must be the filter's only value, not one of a list");
}

void normaliseFilter(const std::string& path, RuleFilter& filter) {
  checkName(path + ".column", filter.column);
  if (static_cast<std::size_t>(filter.op) >= kOpNames.size()) refuseRule(path + ".op", "is none of the seven ops");
  const std::string valuePath = path + ".value";
  if (!filter.claim.empty()) {
    checkName(valuePath, filter.claim);
    if (!filter.literals.empty()) refuseRule(valuePath, "is either a claim or literals, not both");
    return;
  }
  if (filter.literals.empty()) refuseRule(valuePath, "needs at least one literal, or the name of a claim");
  checkCount(valuePath, filter.literals.size(), kMaxFilterLiterals);
  if (filter.literals.size() > 1 && !takesSeveral(filter.op)) {
    refuseRule(valuePath, fmt::format("\"{}\" takes exactly one value", toString(filter.op)));
  }
  const bool one = filter.literals.size() == 1;
  for (std::size_t i = 0; i < filter.literals.size(); ++i) {
    normaliseLiteral(one ? valuePath : fmt::format("{}[{}]", valuePath, i), filter.literals[i]);
  }
}

void appendFilterJson(const RuleFilter& filter, std::string& out) {
  out += "{\"column\":";
  appendJsonString(filter.column, out);
  out += ",\"op\":";
  appendJsonString(toString(filter.op), out);
  out += ",\"value\":";
  if (!filter.claim.empty()) {
    appendJsonString(std::string(kClaimPrefix) + filter.claim, out);
  } else if (filter.literals.size() == 1) {
    appendJson(filter.literals.front(), out);
  } else {
    for (std::size_t i = 0; i < filter.literals.size(); ++i) {
      out += i == 0 ? '[' : ',';
      appendJson(filter.literals[i], out);
    }
    out += ']';
  }
  out += '}';
}

void appendBucketJson(const RuleBucket& bucket, std::string& out) {
  out += "{\"name\":";
  appendJsonString(bucket.name, out);
  out += ",\"tables\":[";
  for (std::size_t i = 0; i < bucket.tables.size(); ++i) {
    if (i > 0) out += ',';
    appendJsonString(bucket.tables[i], out);
  }
  out += "],\"filters\":[";
  for (std::size_t i = 0; i < bucket.filters.size(); ++i) {
    if (i > 0) out += ',';
    appendFilterJson(bucket.filters[i], out);
  }
  out += "]}";
}

}  // namespace

void refuseRule(const std::string& path, const std::string& problem) {
  throw Error(ErrorCode::invalidConfig, Retry::never, path + ": " + problem);
}

std::string_view toString(RuleOp op) noexcept { return kOpNames[static_cast<std::size_t>(op)]; }

RuleOp ruleOpOf(const std::string& path, std::string_view text) {
  for (std::size_t i = 0; i < kOpNames.size(); ++i) {
    if (kOpNames[i] == text) return static_cast<RuleOp>(i);
  }
  refuseRule(path, fmt::format("{} is not one of {}", quoted(text), fmt::join(kOpNames, ", ")));
}

void normaliseRules(int version, std::vector<RuleBucket>& buckets) {
  if (version < 1) refuseRule("version", "must be a positive integer");
  checkCount("buckets", buckets.size(), kMaxRuleBuckets);
  std::unordered_set<std::string_view> names;
  for (std::size_t b = 0; b < buckets.size(); ++b) {
    RuleBucket& bucket = buckets[b];
    const std::string path = fmt::format("buckets[{}]", b);
    checkName(path + ".name", bucket.name);
    if (!names.insert(bucket.name).second) {
      refuseRule(path + ".name", fmt::format("{} is used twice; names must be unique", quoted(bucket.name)));
    }
    checkCount(path + ".tables", bucket.tables.size(), kMaxBucketTables);
    for (std::size_t t = 0; t < bucket.tables.size(); ++t) {
      checkName(fmt::format("{}.tables[{}]", path, t), bucket.tables[t]);
    }
    checkCount(path + ".filters", bucket.filters.size(), kMaxBucketFilters);
    for (std::size_t f = 0; f < bucket.filters.size(); ++f) {
      normaliseFilter(fmt::format("{}.filters[{}]", path, f), bucket.filters[f]);
    }
  }
}

std::string literalText(const Value& literal) {
  if (const auto* text = literal.getIf<std::string>()) return *text;
  if (const auto* real = literal.getIf<double>()) {
    std::array<char, 400> text;  // the longest shortest double without exponent has 342 characters
    const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), *real, std::chars_format::fixed);
    return error == std::errc() ? std::string(text.data(), end) : toJson(literal);
  }
  return toJson(literal);
}

std::string rulesJson(int version, const std::vector<RuleBucket>& buckets) {
  std::string out = fmt::format("{{\"version\":{},\"buckets\":[", version);
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    if (i > 0) out += ',';
    appendBucketJson(buckets[i], out);
  }
  return out + "]}";
}

}  // namespace tidegate::detail
