/// What makes rules valid, for rules from JSON and rules built in code alike.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tidegate/gateway/sync_rules.h"

namespace tidegate::detail {

inline constexpr std::string_view kClaimPrefix = "jwt:";

/// Bounds on rules: generous, but no rules file can make a view arbitrarily large.
inline constexpr std::size_t kMaxRuleBuckets = 10'000;
inline constexpr std::size_t kMaxBucketTables = 10'000;
inline constexpr std::size_t kMaxBucketFilters = 100;
inline constexpr std::size_t kMaxFilterLiterals = 100'000;
/// Of (table, bucket) pairs, where a bucket for every table counts once for each table that any bucket names.
inline constexpr std::size_t kMaxTableBuckets = 1'000'000;

/// @throws Error{invalidConfig} "<path>: <problem>".
[[noreturn]] void refuseRule(const std::string& path, const std::string& problem);

/// The wire name of an op.
std::string_view toString(RuleOp op) noexcept;
/// @throws Error{invalidConfig} if it is none of the seven.
RuleOp ruleOpOf(const std::string& path, std::string_view text);

/// Whether several literals make sense for the op.
constexpr bool takesSeveral(RuleOp op) { return op == RuleOp::eq || op == RuleOp::neq || op == RuleOp::in; }

/// Checks everything, and turns literals into the kinds that JSON has (dates and the like into their text).
/// @throws Error{invalidConfig} with the path of the first fault.
void normaliseRules(int version, std::vector<RuleBucket>& buckets);

/// The text that a normalised literal stands for: a number or bool as JSON writes it, without an exponent.
std::string literalText(const Value& literal);

/// LakeSync's JSON of normalised rules; the same for the same rules.
std::string rulesJson(int version, const std::vector<RuleBucket>& buckets);

}  // namespace tidegate::detail
