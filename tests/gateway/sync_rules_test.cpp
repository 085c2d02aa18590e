#include "tidegate/gateway/sync_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tidegate/core/error.h"

namespace tidegate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Cells = std::map<std::string, Value, std::less<>>;

bool sees(const ClientView& view, std::string_view table, const Cells& row) {
  return view.matches(table, [&](std::string_view column) -> const Value* {
    const auto at = row.find(column);
    return at == row.end() ? nullptr : &at->second;
  });
}

/// Whether a bucket with one filter, given as JSON, takes a row with that one value.
bool holds(const std::string& op, const std::string& literalJson, const Value& value, const Claims& claims = {}) {
  const auto rules =
      SyncRules::parse(R"({"version":1,"buckets":[{"name":"b","tables":[],"filters":[{"column":"c","op":")" + op +
                       R"(","value":)" + literalJson + "}]}]}");
  return sees(rules.compile(claims), "t", {{"c", value}});
}

std::string refusal(const std::string& json) {
  try {
    SyncRules::parse(json);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalidConfig);
    return e.message();
  }
  ADD_FAILURE() << "taken: " << json;
  return {};
}

std::string refusedFilter(const std::string& filterJson) {
  return refusal(
      R"({"version":1,"buckets":[{"name":"a","tables":[],"filters":[]},{"name":"b","tables":[],"filters":[)" +
      filterJson + "]}]}");
}

Timestamp at(std::string_view text) {
  Timestamp t;
  EXPECT_TRUE(parseTimestamp(text, t)) << text;
  return t;
}

Date day(std::string_view text) {
  Date d;
  EXPECT_TRUE(parseDate(text, d)) << text;
  return d;
}

Uuid uuid(std::string_view text) {
  Uuid u;
  EXPECT_TRUE(parseUuid(text, u)) << text;
  return u;
}

TEST(SyncRules, NoBucketsShowEverythingToEverybody) {
  EXPECT_TRUE(SyncRules().compile({}).seesEverything());
  EXPECT_TRUE(ClientView().seesEverything());
  EXPECT_TRUE(sees(ClientView(), "any", {}));
  EXPECT_FALSE(ClientView().excludesTable("any"));
  EXPECT_EQ(SyncRules::parse(R"({"version":3,"buckets":[]})").compile({{"sub", {"u"}}}).fingerprint(),
            ClientView().fingerprint());
}

TEST(SyncRules, ABucketWithoutFiltersTakesItsTablesWhole) {
  const auto view = SyncRules::of(1, {{"notes", {"notes"}, {}}}).compile({});
  EXPECT_TRUE(sees(view, "notes", {}));
  EXPECT_FALSE(sees(view, "todos", {}));
  EXPECT_FALSE(view.excludesTable("notes"));
  EXPECT_TRUE(view.excludesTable("todos"));
  EXPECT_FALSE(view.seesEverything());
  EXPECT_TRUE(SyncRules::of(1, {{"all", {}, {}}}).compile({}).seesEverything());
}

TEST(SyncRules, AllFiltersOfABucketMustHoldAndAnyBucketSuffices) {
  const auto view = SyncRules::parse(R"({"version":1,"buckets":[
      {"name":"mine","tables":["orders"],"filters":[{"column":"owner","op":"eq","value":"jwt:sub"},
                                                    {"column":"amount","op":"gt","value":"10"}]},
      {"name":"public","tables":[],"filters":[{"column":"visibility","op":"eq","value":"public"}]}]})")
                        .compile({{"sub", {"u7"}}});
  EXPECT_TRUE(sees(view, "orders", {{"owner", "u7"}, {"amount", 11}}));
  EXPECT_FALSE(sees(view, "orders", {{"owner", "u7"}, {"amount", 10}}));
  EXPECT_FALSE(sees(view, "orders", {{"owner", "u8"}, {"amount", 11}}));
  EXPECT_TRUE(sees(view, "orders", {{"owner", "u8"}, {"visibility", "public"}}));
  EXPECT_FALSE(sees(view, "other", {{"owner", "u7"}, {"amount", 11}}));
  EXPECT_TRUE(sees(view, "other", {{"visibility", "public"}}));
}

TEST(SyncRules, ColumnsOfATableAreThoseOfEveryFilterThatAppliesToIt) {
  const auto rules =
      SyncRules::of(1, {{"a", {"orders", "orders"}, {{"owner", RuleOp::eq, {}, "sub"}}},
                        {"b", {}, {{"visibility", RuleOp::eq, {"public"}, {}}}},
                        {"c", {"orders"}, {{"amount", RuleOp::gt, {5}, {}}, {"owner", RuleOp::neq, {"x"}, {}}}}});
  EXPECT_THAT(rules.columnsOf("orders"), ElementsAre("amount", "owner", "visibility"));
  EXPECT_THAT(rules.columnsOf("elsewhere"), ElementsAre("visibility"));
  EXPECT_THAT(SyncRules().columnsOf("orders"), IsEmpty());
}

TEST(SyncRules, JudgesPositionedValuesAsItJudgesNamedOnes) {
  const auto rules =
      SyncRules::of(1, {{"a", {"orders"}, {{"owner", RuleOp::eq, {"u"}, {}}, {"amount", RuleOp::gt, {5}, {}}}}});
  const ClientView view = rules.compile({});
  const Value six = 6, five = 5, u = "u";
  const std::vector<const Value*> matching{&six, &u}, tooSmall{&five, &u}, absent{&six, nullptr};
  EXPECT_TRUE(view.matchesRuleColumns("orders", matching.data(), 2));
  EXPECT_FALSE(view.matchesRuleColumns("orders", tooSmall.data(), 2));
  EXPECT_FALSE(view.matchesRuleColumns("orders", absent.data(), 2));
  EXPECT_FALSE(view.matchesRuleColumns("orders", matching.data(), 1)) << "a value not given is absent";
  EXPECT_FALSE(view.matchesRuleColumns("other", matching.data(), 2));
}

TEST(SyncRules, ADateInARuleIsComparedAsADate) {  // the reference reads the year alone: 2024 > 2024 is false
  EXPECT_TRUE(holds("gt", R"("2024-01-01")", "2024-05-01"));
  EXPECT_FALSE(holds("gt", R"("2024-05-01")", "2024-01-01"));
  EXPECT_TRUE(holds("gt", R"("2024-01-01")", day("2024-05-01")));
  EXPECT_TRUE(holds("gt", R"("2024-01-01")", at("2024-05-01T00:00:00Z")));
  EXPECT_TRUE(holds("gt", R"("2024-01-01")", at("2024-05-01T00:00:00")));
  EXPECT_FALSE(holds("gt", R"("2024-05-01")", at("2024-05-01T00:00:00Z")));
  EXPECT_TRUE(holds("gte", R"("2024-05-01")", at("2024-05-01T00:00:00Z")));
  EXPECT_TRUE(holds("gt", R"("2024-05-01T12:00:00+02:00")", at("2024-05-01T10:00:00.000001Z")));
  EXPECT_TRUE(holds("lt", R"("2024-05-01T00:00:01Z")", day("2024-05-01")));
}

TEST(SyncRules, TextInSqlitesFormIsTheSameTimeAsTextInIsoForm) {
  EXPECT_TRUE(holds("eq", R"("2024-05-01T10:00:00")", "2024-05-01 10:00:00"));
  EXPECT_TRUE(holds("gt", R"("2024-05-01T09:00:00")", "2024-05-01 10:00:00"));
  EXPECT_FALSE(holds("neq", R"("2024-05-01T10:00:00")", "2024-05-01 10:00:00"));
  EXPECT_TRUE(holds("gte", R"("2024-05-01 10:00")", "2024-05-01T10:00:00Z"));
  EXPECT_TRUE(holds("in", R"(["x","2024-05-01T10:00:00"])", "2024-05-01 10:00:00"));
}

TEST(SyncRules, InfinityIsATimeForTimesAndAWordForText) {
  EXPECT_TRUE(holds("lt", R"("infinity")", at("9999-01-01T00:00:00Z")));
  EXPECT_TRUE(holds("eq", R"("infinity")", Timestamp::utc(Timestamp::kInfinity)));
  EXPECT_TRUE(holds("eq", R"("infinity")", Date{Date::kInfinity}));
  EXPECT_TRUE(holds("gt", R"("-infinity")", Date{-5'000'000}));
  EXPECT_TRUE(holds("lt", R"("infinity")", "2024-05-01")) << "'2' sorts before 'i'";
}

TEST(SyncRules, NumbersAreComparedExactly) {
  EXPECT_FALSE(holds("eq", R"("9007199254740992")", std::int64_t{9007199254740993}));
  EXPECT_TRUE(holds("gt", R"("9007199254740992")", std::int64_t{9007199254740993}));
  EXPECT_TRUE(holds("eq", "9007199254740993", std::int64_t{9007199254740993}));
  EXPECT_TRUE(holds("eq", "18446744073709551615", std::uint64_t{18446744073709551615u}));
  EXPECT_TRUE(holds("lt", "18446744073709551615", 3));
  EXPECT_TRUE(holds("gt", R"("9")", 10)) << "not as text";
  EXPECT_TRUE(holds("eq", R"("1.50")", Decimal{"1.5"}));
  EXPECT_TRUE(holds("eq", R"("42.0")", 42));
  EXPECT_TRUE(holds("gt", R"("41.5")", 42));
  EXPECT_TRUE(holds("lt", R"("12345678901234567890123")", Decimal{"12345678901234567890122.9"}));
}

TEST(SyncRules, ALiteralIsReadAsADoubleForDoublesAndAsADecimalForDecimals) {
  EXPECT_TRUE(holds("eq", "0.1", 0.1));
  EXPECT_TRUE(holds("eq", R"("0.1")", 0.1));
  EXPECT_TRUE(holds("eq", "0.1", Decimal{"0.1"}));
  EXPECT_FALSE(holds("gt", "0.1", 0.1));
  EXPECT_TRUE(holds("eq", "1e3", 1000));
  EXPECT_TRUE(holds("eq", R"("NaN")", std::numeric_limits<double>::quiet_NaN()));
  EXPECT_FALSE(holds("gte", R"("NaN")", std::numeric_limits<double>::quiet_NaN()));
  EXPECT_TRUE(holds("neq", "1", Decimal{"NaN"}));
  EXPECT_TRUE(holds("eq", "0", -0.0));
}

TEST(SyncRules, EveryOtherTypeIsComparedAsItself) {
  EXPECT_TRUE(holds("eq", "true", true));
  EXPECT_TRUE(holds("eq", R"("true")", true));
  EXPECT_TRUE(holds("neq", "false", true));
  EXPECT_FALSE(holds("gte", "true", true)) << "bools have no order";
  EXPECT_TRUE(holds("gt", R"("09:30:00")", Time{36'000'000'000}));
  EXPECT_TRUE(holds("eq", R"("10:00:00")", Time{36'000'000'000}));
  const Uuid id = uuid("3f2504e0-4f89-11d3-9a0c-0305e82c3301");
  EXPECT_TRUE(holds("eq", R"("3f2504e0-4f89-11d3-9a0c-0305e82c3301")", id));
  EXPECT_FALSE(holds("neq", R"("3f2504e0-4f89-11d3-9a0c-0305e82c3301")", id));
  EXPECT_TRUE(holds("eq", R"("AAH/")", Bytes{std::string("\0\1\xff", 3)}));
  EXPECT_TRUE(holds("eq", R"("[0.12345678901234567890]")", Json{"[0.12345678901234567890]"}));
  EXPECT_TRUE(holds("eq", R"("{\"b\":1,\"a\":[1.0]}")", Json{R"({"a": [1], "b": 1})"}));
}

TEST(SyncRules, ALiteralOfAnotherTypeMatchesNothingWhateverTheOp) {
  for (const std::string op : {"eq", "neq", "in", "gt", "gte", "lt", "lte"}) {
    SCOPED_TRACE(op);
    EXPECT_FALSE(holds(op, R"("draft")", 5));
    EXPECT_FALSE(holds(op, R"("draft")", 5.5));
    EXPECT_FALSE(holds(op, R"("draft")", true));
    EXPECT_FALSE(holds(op, "5", true));
    EXPECT_FALSE(holds(op, "5", day("2024-05-01")));
    EXPECT_FALSE(holds(op, R"("2024-05-01")", 2024));
    EXPECT_FALSE(holds(op, R"("2024-13-01")", at("2024-05-01T00:00:00Z")));
    EXPECT_FALSE(holds(op, R"("x")", uuid("3f2504e0-4f89-11d3-9a0c-0305e82c3301")));
  }
  EXPECT_FALSE(holds("neq", R"(["draft","6"])", 5)) << "one literal that cannot be read is enough";
}

TEST(SyncRules, NullAndAbsentColumnsMatchNothingWhateverTheOp) {
  for (const std::string op : {"eq", "neq", "in", "gt", "gte", "lt", "lte"}) {
    EXPECT_FALSE(holds(op, R"("null")", Null{})) << op;
    EXPECT_FALSE(holds(op, R"("x")", Null{})) << op;
  }
  const auto view = SyncRules::of(1, {{"b", {}, {{"status", RuleOp::neq, {"draft"}, {}}}}}).compile({});
  EXPECT_FALSE(sees(view, "t", {{"other", "x"}}));
}

TEST(SyncRules, AMissingClaimMatchesNothingWhateverTheOp) {  // law 4.9
  for (const std::string op : {"eq", "neq", "in", "gt", "gte", "lt", "lte"}) {
    SCOPED_TRACE(op);
    EXPECT_FALSE(holds(op, R"("jwt:sub")", "u7"));
    EXPECT_FALSE(holds(op, R"("jwt:sub")", "u7", {{"sub", {}}}));
    EXPECT_FALSE(holds(op, R"("jwt:sub")", "jwt:sub"));
    EXPECT_FALSE(holds(op, R"("jwt:sub")", ""));
  }
  const auto rules = SyncRules::of(1, {{"b", {"t"}, {{"owner", RuleOp::neq, {}, "sub"}}}});
  EXPECT_TRUE(rules.compile({}).excludesTable("t"));
  EXPECT_FALSE(rules.compile({{"sub", {"x"}}}).excludesTable("t"));
}

TEST(SyncRules, AClaimWithSeveralValuesIsASetForEqualityAndNothingForOrder) {
  const Claims claims{{"orgs", {"o1", "o2", "o1"}}, {"level", {"5", "5"}}};
  EXPECT_TRUE(holds("eq", R"("jwt:orgs")", "o2", claims));
  EXPECT_TRUE(holds("in", R"("jwt:orgs")", "o1", claims));
  EXPECT_FALSE(holds("in", R"("jwt:orgs")", "o3", claims));
  EXPECT_TRUE(holds("neq", R"("jwt:orgs")", "o3", claims));
  EXPECT_FALSE(holds("neq", R"("jwt:orgs")", "o2", claims));
  EXPECT_FALSE(holds("gt", R"("jwt:orgs")", "z", claims));
  EXPECT_TRUE(holds("gt", R"("jwt:level")", 6, claims)) << "the same value twice is one";
}

TEST(SyncRules, ManyLiteralsAreFoundLikeFew) {
  std::string list = "[";
  for (int i = 0; i < 5'000; ++i) list += (i == 0 ? "\"" : ",\"") + std::to_string(i * 3) + "\"";
  list += "]";
  EXPECT_TRUE(holds("in", list, 2'997));
  EXPECT_FALSE(holds("in", list, 2'998));
  EXPECT_TRUE(holds("in", list, "2997"));
  EXPECT_FALSE(holds("in", list, "02997"));
  EXPECT_TRUE(holds("neq", list, "2998"));
  EXPECT_TRUE(holds("neq", list, 2'998));
  EXPECT_FALSE(holds("neq", list, 2'997));
}

TEST(SyncRules, ARefusalNamesThePathOfWhatIsWrong) {
  EXPECT_THAT(refusedFilter(R"({"column":"c","op":"like","value":"x"})"),
              HasSubstr(R"(buckets[1].filters[0].op: "like" is not one of eq, neq, in, gt, gte, lt, lte)"));
  EXPECT_THAT(refusedFilter(R"({"column":"","op":"eq","value":"x"})"), HasSubstr("buckets[1].filters[0].column"));
  EXPECT_THAT(refusedFilter(R"({"op":"eq","value":"x"})"), HasSubstr("buckets[1].filters[0].column"));
  EXPECT_THAT(refusedFilter(R"({"column":"c","op":"eq","value":""})"), HasSubstr("buckets[1].filters[0].value"));
  EXPECT_THAT(refusedFilter(R"({"column":"c","op":"eq","value":null})"), HasSubstr("buckets[1].filters[0].value"));
  EXPECT_THAT(refusedFilter(R"({"column":"c","op":"eq","value":{}})"), HasSubstr("buckets[1].filters[0].value"));
  EXPECT_THAT(refusedFilter(R"({"column":"c","op":"eq"})"), HasSubstr("buckets[1].filters[0].value"));
  EXPECT_THAT(refusedFilter(R"({"column":"c","op":"in","value":[]})"), HasSubstr("buckets[1].filters[0].value"));
  EXPECT_THAT(refusedFilter(R"({"column":"c","op":"in","value":["a",["b"]]})"),
              HasSubstr("buckets[1].filters[0].value[1]"));
  EXPECT_THAT(refusedFilter(R"({"column":"c","op":"in","value":["a","jwt:sub"]})"),
              HasSubstr("buckets[1].filters[0].value[1]"));
  EXPECT_THAT(refusedFilter(R"({"column":"c","op":"gt","value":[1,2]})"), HasSubstr("buckets[1].filters[0].value"));
  EXPECT_THAT(refusedFilter(R"({"column":"c","op":"eq","value":"jwt:"})"), HasSubstr("buckets[1].filters[0].value"));
  EXPECT_THAT(refusedFilter("7"), HasSubstr("buckets[1].filters[0]"));
}

TEST(SyncRules, MalformedRulesAreRefusedWhole) {
  EXPECT_THAT(refusal(R"({"buckets":[]})"), HasSubstr("version"));
  for (const std::string version : {"0", "-1", "1.5", "\"1\"", "null", "99999999999"}) {
    EXPECT_THAT(refusal(R"({"version":)" + version + R"(,"buckets":[]})"), HasSubstr("version")) << version;
  }
  EXPECT_THAT(refusal(R"({"version":1})"), HasSubstr("buckets"));
  EXPECT_THAT(refusal(R"({"version":1,"buckets":{}})"), HasSubstr("buckets"));
  EXPECT_THAT(refusal(R"({"version":1,"buckets":[1]})"), HasSubstr("buckets[0]"));
  EXPECT_THAT(refusal(R"({"version":1,"buckets":[{"name":"","tables":[],"filters":[]}]})"),
              HasSubstr("buckets[0].name"));
  EXPECT_THAT(refusal(R"({"version":1,"buckets":[{"name":"a","filters":[]}]})"), HasSubstr("buckets[0].tables"));
  EXPECT_THAT(refusal(R"({"version":1,"buckets":[{"name":"a","tables":"t","filters":[]}]})"),
              HasSubstr("buckets[0].tables"));
  EXPECT_THAT(refusal(R"({"version":1,"buckets":[{"name":"a","tables":["t",""],"filters":[]}]})"),
              HasSubstr("buckets[0].tables[1]"));
  EXPECT_THAT(refusal(R"({"version":1,"buckets":[{"name":"a","tables":[]}]})"), HasSubstr("buckets[0].filters"));
  EXPECT_THAT(
      refusal(
          R"({"version":1,"buckets":[{"name":"a","tables":[],"filters":[]},{"name":"a","tables":[],"filters":[]}]})"),
      HasSubstr(R"(buckets[1].name: "a" is used twice)"));
  refusal("");
  refusal("[]");
  refusal("not an object");
  refusal(R"({"version":1,"buckets":[)");
  refusal(std::string(100'000, '['));
}

TEST(SyncRules, RulesBuiltInCodeMeetTheSameChecks) {
  EXPECT_THROW(SyncRules::of(0, {}), Error);
  EXPECT_THROW(SyncRules::of(1, {{"b", {}, {{"c", RuleOp::eq, {}, {}}}}}), Error);
  EXPECT_THROW(SyncRules::of(1, {{"b", {}, {{"c", RuleOp::eq, {"x"}, "sub"}}}}), Error);
  EXPECT_THROW(SyncRules::of(1, {{"b", {}, {{"c", RuleOp::gt, {1, 2}, {}}}}}), Error);
  EXPECT_THROW(SyncRules::of(1, {{"b", {}, {{"c", RuleOp::eq, {Value()}, {}}}}}), Error);
  EXPECT_THROW(SyncRules::of(1, {{"b", {}, {{"c", RuleOp::eq, {Json{"{}"}}, {}}}}}), Error);
  EXPECT_THROW(SyncRules::of(1, {{"b", {"\xff"}, {}}}), Error);
  EXPECT_THROW(SyncRules::of(1, {{"b", {}, {{"c", static_cast<RuleOp>(9), {"x"}, {}}}}}), Error);
  const auto typed = SyncRules::of(1, {{"b", {}, {{"c", RuleOp::gt, {at("2024-05-01T00:00:00Z")}, {}}}}});
  EXPECT_TRUE(sees(typed.compile({}), "t", {{"c", at("2024-05-01T00:00:01Z")}}));
  EXPECT_EQ(SyncRules::parse(typed.toJson()).fingerprint(), typed.fingerprint());
}

TEST(SyncRules, FingerprintsNameRulesAndOnlyTheClaimsThatRulesName) {
  const auto rules = SyncRules::of(1, {{"b", {}, {{"owner", RuleOp::eq, {}, "sub"}}}});
  const std::string mine = rules.compile({{"sub", {"u7"}}}).fingerprint();
  EXPECT_EQ(mine.size(), 64u);
  EXPECT_EQ(rules.compile({{"sub", {"u7"}}, {"exp", {"1700000000"}}}).fingerprint(), mine);
  EXPECT_NE(rules.compile({{"sub", {"u8"}}}).fingerprint(), mine);
  EXPECT_EQ(rules.compile({{"sub", {"a", "b"}}}).fingerprint(),
            rules.compile({{"sub", {"b", "a", "b"}}}).fingerprint());
  EXPECT_NE(rules.compile({{"sub", {"a b"}}}).fingerprint(), rules.compile({{"sub", {"a", "b"}}}).fingerprint());
  EXPECT_EQ(rules.compile({}).fingerprint(), rules.compile({{"sub", {}}}).fingerprint());
  EXPECT_NE(rules.compile({{"sub", {"\xff"}}}).fingerprint(), rules.compile({{"sub", {"\xfe"}}}).fingerprint());
  EXPECT_NE(SyncRules::of(1, {{"b", {}, {{"owner", RuleOp::neq, {}, "sub"}}}}).fingerprint(), rules.fingerprint());
  EXPECT_EQ(SyncRules::parse("{\"buckets\": [{\"tables\":[], \"x\":1, \"name\":\"b\", \"filters\":"
                             "[{\"value\":\"jwt:sub\",\"op\":\"eq\",\"column\":\"owner\"}]}], \"version\": 1}")
                .fingerprint(),
            rules.fingerprint());
}

TEST(SyncRules, AViewOutlivesTheRulesItCameFrom) {
  ClientView view;
  {
    const auto rules = SyncRules::of(1, {{"b", {"t"}, {{"owner", RuleOp::eq, {}, "sub"}}}});
    view = rules.compile({{"sub", {"u7"}}});
  }
  EXPECT_TRUE(sees(view, "t", {{"owner", "u7"}}));
  EXPECT_FALSE(sees(view, "t", {{"owner", "u8"}}));
}

}  // namespace
}  // namespace tidegate
