/// The verdicts that LakeSync's own tests ask for, where its semantics and ours agree.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tidegate/gateway/sync_rules.h"

namespace tidegate {
namespace {

struct Case {
  const char* what;
  RuleBucket bucket;
  Claims claims;
  std::vector<ColumnValue> columns;
  bool shown;
};

RuleBucket where(std::vector<RuleFilter> filters, std::vector<std::string> tables = {}) {
  return {"b", std::move(tables), std::move(filters)};
}

RuleFilter literal(std::string column, RuleOp op, Value value) {
  return {std::move(column), op, {std::move(value)}, {}};
}
RuleFilter claim(std::string column, RuleOp op, std::string name) {
  return {std::move(column), op, {}, std::move(name)};
}

bool shows(const Case& c, std::string_view table) {
  return SyncRules::of(1, {c.bucket}).compile(c.claims).matches(table, [&](std::string_view column) -> const Value* {
    for (const ColumnValue& cv : c.columns) {
      if (cv.column == column) return &cv.value;
    }
    return nullptr;
  });
}

std::vector<Case> equalityCases() {
  const RuleBucket twoClaims =
      where({claim("user_id", RuleOp::eq, "sub"), claim("org_id", RuleOp::eq, "org_id")}, {"todos"});
  return {
      {"catch-all", where({}), {}, {}, true},
      {"table named", where({}, {"todos"}), {}, {}, true},
      {"table not named", where({}, {"notes"}), {}, {}, false},
      {"eq claim",
       where({claim("user_id", RuleOp::eq, "sub")}),
       {{"sub", {"user-42"}}},
       {{"user_id", "user-42"}},
       true},
      {"eq other claim",
       where({claim("user_id", RuleOp::eq, "sub")}),
       {{"sub", {"user-99"}}},
       {{"user_id", "user-42"}},
       false},
      {"in claim",
       where({claim("org_id", RuleOp::in, "orgs")}),
       {{"orgs", {"org-1", "org-2"}}},
       {{"org_id", "org-2"}},
       true},
      {"eq literal", where({literal("visibility", RuleOp::eq, "public")}), {}, {{"visibility", "public"}}, true},
      {"both filters", twoClaims, {{"sub", {"u"}}, {"org_id", {"a"}}}, {{"user_id", "u"}, {"org_id", "a"}}, true},
      {"one of two filters",
       twoClaims,
       {{"sub", {"u"}}, {"org_id", {"a"}}},
       {{"user_id", "u"}, {"org_id", "b"}},
       false},
      {"column missing", where({claim("user_id", RuleOp::eq, "sub")}), {{"sub", {"u"}}}, {}, false},
      {"claim missing", where({claim("user_id", RuleOp::eq, "sub")}), {}, {{"user_id", "u"}}, false},
      {"number against a claim",
       where({claim("org_id", RuleOp::eq, "org")}),
       {{"org", {"42"}}},
       {{"org_id", 42}},
       true},
      {"neq", where({literal("status", RuleOp::neq, "draft")}), {}, {{"status", "published"}}, true},
      {"neq equal", where({literal("status", RuleOp::neq, "draft")}), {}, {{"status", "draft"}}, false},
      {"neq own claim", where({claim("user_id", RuleOp::neq, "sub")}), {{"sub", {"u1"}}}, {{"user_id", "u1"}}, false},
      {"neq other's claim",
       where({claim("user_id", RuleOp::neq, "sub")}),
       {{"sub", {"u1"}}},
       {{"user_id", "u2"}},
       true},
      {"neq column missing", where({literal("status", RuleOp::neq, "draft")}), {}, {}, false},
  };
}

std::vector<Case> orderCases() {
  const RuleBucket range = where({literal("score", RuleOp::gte, "10"), literal("score", RuleOp::lte, "20")});
  const RuleBucket active = where({literal("status", RuleOp::eq, "active"), literal("priority", RuleOp::gt, "5")});
  return {
      {"gt above", where({literal("p", RuleOp::gt, "100")}), {}, {{"p", 150}}, true},
      {"gt at", where({literal("p", RuleOp::gt, "100")}), {}, {{"p", 100}}, false},
      {"gt below", where({literal("p", RuleOp::gt, "100")}), {}, {{"p", 50}}, false},
      {"gt word", where({literal("name", RuleOp::gt, "b")}), {}, {{"name", "c"}}, true},
      {"gt word below", where({literal("name", RuleOp::gt, "b")}), {}, {{"name", "a"}}, false},
      {"lt below", where({literal("p", RuleOp::lt, "50")}), {}, {{"p", 30}}, true},
      {"lt at", where({literal("p", RuleOp::lt, "50")}), {}, {{"p", 50}}, false},
      {"gte above", where({literal("s", RuleOp::gte, "80")}), {}, {{"s", 90}}, true},
      {"gte at", where({literal("s", RuleOp::gte, "80")}), {}, {{"s", 80}}, true},
      {"gte below", where({literal("s", RuleOp::gte, "80")}), {}, {{"s", 79}}, false},
      {"gte word", where({literal("grade", RuleOp::gte, "B")}), {}, {{"grade", "B"}}, true},
      {"lte at", where({literal("s", RuleOp::lte, "50")}), {}, {{"s", 50}}, true},
      {"lte above", where({literal("s", RuleOp::lte, "50")}), {}, {{"s", 51}}, false},
      {"eq and gt", active, {}, {{"status", "active"}, {"priority", 10}}, true},
      {"gt without eq", active, {}, {{"status", "closed"}, {"priority", 10}}, false},
      {"eq without gt", active, {}, {{"status", "active"}, {"priority", 3}}, false},
      {"inside a range", range, {}, {{"score", 15}}, true},
      {"at its lower end", range, {}, {{"score", 10}}, true},
      {"at its upper end", range, {}, {{"score", 20}}, true},
      {"below it", range, {}, {{"score", 5}}, false},
      {"above it", range, {}, {{"score", 25}}, false},
      {"gt column missing", where({literal("score", RuleOp::gt, "50")}), {}, {}, false},
      {"a word against digits", where({literal("score", RuleOp::gt, "50")}), {}, {{"score", "hello"}}, true},
  };
}

TEST(LakeSyncRules, EqualityAndBucketsAreJudgedAsTheReferenceDoes) {
  for (const Case& c : equalityCases()) EXPECT_EQ(shows(c, "todos"), c.shown) << c.what;
}

TEST(LakeSyncRules, OrderIsJudgedAsTheReferenceDoes) {
  for (const Case& c : orderCases()) EXPECT_EQ(shows(c, "tasks"), c.shown) << c.what;
}

}  // namespace
}  // namespace tidegate
