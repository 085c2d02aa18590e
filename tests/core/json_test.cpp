#include "tidegate/core/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/detail/json_tree.h"
#include "support/random_value.h"
#include "tidegate/core/error.h"

namespace tidegate {
namespace {

std::string canonicalOf(const Value& v) {
  RowDelta delta;
  delta.columns = {{"a", v}};
  std::string out;
  appendCanonicalJson(delta, out);
  const std::string head = "{\"clientId\":\"\",\"columns\":[{\"column\":\"a\",\"value\":";
  const std::string tail = "}],\"hlc\":\"0\",\"rowId\":\"\",\"table\":\"\"}";
  EXPECT_EQ(out.substr(0, head.size()), head);
  return out.substr(head.size(), out.size() - head.size() - tail.size());
}

std::string errorOf(const std::function<void()>& what) {
  try {
    what();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::parseError);
    return e.message();
  }
  return "no error";
}

TEST(Json, WritesNumbersAsEcmascriptDoes) {
  const std::pair<double, const char*> cases[] = {
      {5e-324, "5e-324"},
      {1.7976931348623157e308, "1.7976931348623157e+308"},
      {1e21, "1e+21"},
      {1.5e21, "1.5e+21"},
      {123456789012345680000.0, "123456789012345680000"},
      {0.000001, "0.000001"},
      {1e-7, "1e-7"},
      {1.25e-7, "1.25e-7"},
      {-0.0, "0"},
      {9007199254740992.0, "9007199254740992"},
      {-9007199254740992.0, "-9007199254740992"},
      {9007199254740994.0, "9007199254740994"},
      {1e20, "100000000000000000000"},
      {0.1, "0.1"},
      {-1.5, "-1.5"},
      {123.456, "123.456"},
      {4.35, "4.35"},
      {333333333.33333329, "333333333.3333333"},
      {1e23, "1e+23"},
      {2.2250738585072014e-308, "2.2250738585072014e-308"},
      {0.0000123, "0.0000123"},
      {1.0, "1"},
      {-5e-324, "-5e-324"},
      {295147905179352830000.0, "295147905179352830000"},
      {9.5e-7, "9.5e-7"},
      {999999999999999900000.0, "999999999999999900000"},
  };
  for (const auto& [number, text] : cases) {
    EXPECT_EQ(canonicalOf(number), text);
    EXPECT_EQ(toJson(Value(number)), text);
  }
}

TEST(Json, WritesIntegersOfAnySizeExactly) {
  EXPECT_EQ(canonicalOf(INT64_MIN), "-9223372036854775808");
  EXPECT_EQ(canonicalOf(INT64_MAX), "9223372036854775807");
  EXPECT_EQ(canonicalOf(UINT64_MAX), "18446744073709551615");
  EXPECT_EQ(canonicalOf(std::int64_t{9007199254740993}), "9007199254740993");
}

TEST(Json, WritesEveryKindInItsWireForm) {
  EXPECT_EQ(toJson(Null{}), "null");
  EXPECT_EQ(toJson(std::numeric_limits<double>::quiet_NaN()), "null");
  EXPECT_EQ(toJson(-std::numeric_limits<double>::infinity()), "null");
  EXPECT_EQ(toJson(Decimal{"1.50"}), "\"1.50\"");
  EXPECT_EQ(toJson(Date{0}), "\"1970-01-01\"");
  EXPECT_EQ(toJson(Time{1}), "\"00:00:00.000001\"");
  EXPECT_EQ(toJson(Timestamp::utc(0)), "\"1970-01-01T00:00:00Z\"");
  EXPECT_EQ(toJson(Uuid{}), "\"00000000-0000-0000-0000-000000000000\"");
  EXPECT_EQ(toJson(Bytes{""}), "\"\"");
  EXPECT_EQ(toJson(Bytes{"f"}), "\"Zg==\"");
  EXPECT_EQ(toJson(Bytes{"fo"}), "\"Zm8=\"");
  EXPECT_EQ(toJson(Bytes{"foobar"}), "\"Zm9vYmFy\"");
  EXPECT_EQ(toJson(Bytes{"\xff\xfe\xfd"}), "\"//79\"");
  EXPECT_EQ(toJson(Json{"{ \"b\" : 1.0,\n \"a\" : \"x \\\" y\" }"}), "{\"b\":1.0,\"a\":\"x \\\" y\"}");
  EXPECT_EQ(canonicalOf(Json{"{ \"b\" : 1.0, \"a\" : [ ] }"}), "{\"a\":[],\"b\":1}");
  EXPECT_EQ(toJson(Json{"no json"}), "\"no json\"") << "the output must be JSON whatever is claimed to be it";
}

TEST(Json, EscapesStringsAsRfc8785Asks) {
  std::string out;
  appendJsonString(std::string("\b\t\n\f\r\"\\/\x01\x1f\x7f é😀\0", 18), out);
  EXPECT_EQ(out, "\"\\b\\t\\n\\f\\r\\\"\\\\/\\u0001\\u001f\x7f é😀\"");
  out.clear();
  appendJsonString(std::string("\0", 1), out);
  EXPECT_EQ(out, "\"\\u0000\"");
}

TEST(Json, ReplacesInvalidUtf8) {
  EXPECT_EQ(toJson(Value("a\xff"
                         "b")),
            "\"a\xEF\xBF\xBD"
            "b\"");
  EXPECT_EQ(toJson(Value("\xED\xA0\x80")), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
  EXPECT_EQ(toJson(Value("abcdefghij\xC3")), "\"abcdefghij\xEF\xBF\xBD\"");
}

TEST(Json, ReadsNumbersWithoutLosingADigit) {
  EXPECT_TRUE(valueFromJson("9007199254740993") == Value(std::int64_t{9007199254740993}));
  EXPECT_TRUE(valueFromJson("-9223372036854775808") == Value(INT64_MIN));
  EXPECT_TRUE(valueFromJson("18446744073709551615") == Value(UINT64_MAX));
  EXPECT_TRUE(valueFromJson("18446744073709551616") == Value(Decimal{"18446744073709551616"}));
  EXPECT_TRUE(valueFromJson("-9223372036854775809") == Value(Decimal{"-9223372036854775809"}));
  EXPECT_TRUE(valueFromJson("1.0") == Value(1.0));
  EXPECT_TRUE(valueFromJson("1e2") == Value(100.0));
  EXPECT_TRUE(valueFromJson("-0") == Value(-0.0));
  EXPECT_TRUE(valueFromJson("5e-324") == Value(5e-324));
  EXPECT_TRUE(valueFromJson("1e-400") == Value(0.0));
  EXPECT_TRUE(valueFromJson("-1e-400") == Value(-0.0));
  EXPECT_TRUE(valueFromJson("1e400") == Value(Json{"1e400"}));
  EXPECT_TRUE(valueFromJson("-1.5e400") == Value(Json{"-1.5e400"}));
}

TEST(Json, ReadsWholeDoublesAsTheDoublesTheyWere) {
  for (const double v : {1e20, 123456789012345680000.0, -1e20, 999999999999999900000.0, 18446744073709551616.0}) {
    const std::string text = toJson(Value(v));
    EXPECT_TRUE(valueFromJson(text) == Value(v)) << text;
    EXPECT_EQ(canonicalOf(valueFromJson(text)), text) << "or the sender's delta id would not be that of what was read";
  }
}

TEST(Json, KeepsNestedDocumentsAsTheyWereWritten) {
  EXPECT_TRUE(valueFromJson(" [12345678901234567890123, 1.10] ") == Value(Json{"[12345678901234567890123, 1.10]"}));
  EXPECT_TRUE(valueFromJson("{\"a\": 1e400}") == Value(Json{"{\"a\": 1e400}"}));
  EXPECT_TRUE(valueFromJson("\"\\u00e9\\ud83d\\ude00\\/\"") == Value("é😀/"));
}

TEST(Json, RefusesWhatIsNotJsonNamingTheByte) {
  for (const char* text : {"",
                           " ",
                           "nul",
                           "+1",
                           "01",
                           "1.",
                           ".5",
                           "1e",
                           "-",
                           "[1,]",
                           "[1 2]",
                           "{\"a\"}",
                           "{a:1}",
                           "{\"a\":1,}",
                           "\"",
                           "\"\\x\"",
                           "\"\\u12g4\"",
                           "\"\\ud800\"",
                           "\"\\ud800\\u0041\"",
                           "\"\\udc00\"",
                           "\"\n\"",
                           "\"\xff\"",
                           "1 1",
                           "\xEF\xBB\xBF{}",
                           "'a'",
                           "NaN",
                           "[",
                           "]",
                           "{\"a\":",
                           "tru",
                           "\"\\u-123\"",
                           "\"\\"}) {
    EXPECT_NE(errorOf([&] { valueFromJson(text); }).find("at byte "), std::string::npos) << text;
  }
  EXPECT_EQ(errorOf([] { valueFromJson("[1, x]"); }), "JSON at byte 4: expected a value");
}

TEST(Json, BoundsDepth) {
  const auto nested = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  EXPECT_EQ(valueFromJson(nested(kMaxJsonDepth)).kind(), ValueKind::json);
  EXPECT_NE(errorOf([&] { valueFromJson(nested(kMaxJsonDepth + 1)); }).find("64 levels"), std::string::npos);
  EXPECT_NE(errorOf([&] { valueFromJson(std::string(1'000'000, '[')); }).find("64 levels"), std::string::npos);
  RowDelta delta;
  delta.table = delta.rowId = delta.clientId = "x";
  delta.columns = {{"a", Json{nested(kMaxJsonDepth)}}};
  EXPECT_TRUE(deltaFromJson(toJson(delta)) == delta) << "a value of full depth must travel inside a delta";
}

TEST(Json, ReadsTheDeltasItWrites) {
  test::forEachSeed(1000, [](std::uint64_t seed) {
    test::Random random(seed);
    RowDelta delta;
    delta.op = static_cast<DeltaOp>(random.below(3));
    delta.table = test::randomText(random);
    delta.rowId = test::randomText(random);
    delta.clientId = test::randomText(random);
    delta.hlc = Hlc{random.bits()};
    for (std::size_t n = random.index(5); n > 0; --n)
      delta.columns.push_back({test::randomText(random), test::randomValue(random)});
    if (random.chance(70)) delta.deltaId = computeDeltaId(delta);
    const std::string wire = toJson(delta);
    ASSERT_TRUE(nlohmann::json::accept(wire)) << wire;
    const RowDelta read = deltaFromJson(wire);
    EXPECT_EQ(toJson(read), wire);
    EXPECT_TRUE(read.op == delta.op && read.table == delta.table && read.hlc == delta.hlc &&
                read.deltaId == delta.deltaId);
    EXPECT_EQ(computeDeltaId(read), computeDeltaId(delta)) << "the receiver must be able to check the id";
  });
}

TEST(Json, NamesTheMemberThatIsWrong) {
  const auto error = [](const std::string& json) { return errorOf([&] { deltaFromJson(json); }); };
  const std::string head = R"({"op":"UPDATE","table":"t","rowId":"1","clientId":"c","hlc":"1",)";
  EXPECT_EQ(error(head + R"("columns":[{"column":"a","value":1},{"value":2}]})"), "columns[1].column: missing");
  EXPECT_EQ(error(head + R"("columns":[{"column":7,"value":1}]})"),
            "columns[0].column: expected a string, not a number");
  EXPECT_EQ(error(head + R"("columns":[7]})"), "columns[0]: expected an object, not a number");
  EXPECT_EQ(error(head + R"("columns":{}})"), "columns: expected an array, not an object");
  EXPECT_EQ(error(head + R"("columns":[{"column":"a","value":)" + std::string(65, '[') + std::string(65, ']') + "}]}"),
            "columns[0].value: nested over 64 levels deep");
  EXPECT_EQ(error(head + R"("columns":[],"deltaId":"AB"})"), "deltaId: expected 64 lower-case hex digits");
  EXPECT_EQ(error(head + R"("columns":[],"op":"Update"})"), R"(op: expected "INSERT", "UPDATE" or "DELETE")");
  EXPECT_EQ(error(head + R"("columns":[],"hlc":1.0})"), "hlc: expected a decimal string of at most 64 bits");
  EXPECT_EQ(error(head + R"("columns":[],"hlc":"18446744073709551616"})"),
            "hlc: expected a decimal string of at most 64 bits");
  EXPECT_EQ(error("[]"), "expected an object, not an array");
}

TEST(Json, TakesTheLastOfRepeatedMembersAndIgnoresStrangers) {
  const RowDelta delta = deltaFromJson(
      R"({"op":"INSERT","op":"DELETE","t\u0061ble":"x","table":"t","rowId":"1","clientId":"c","extra":{"op":1},"hlc":18446744073709551615,"columns":[],"deltaId":null})");
  EXPECT_EQ(delta.op, DeltaOp::erase);
  EXPECT_EQ(delta.table, "t");
  EXPECT_EQ(delta.hlc.raw, UINT64_MAX);
  EXPECT_TRUE(delta.deltaId.isNull());
}

TEST(CanonicalJson, IsRfc8785) {
  // The example of RFC 8785, section 3.2.2 and 3.2.3.
  EXPECT_EQ(canonicalJson(R"({"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
    "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]})"),
            "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],"
            "\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
  EXPECT_EQ(canonicalJson(
                R"({"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One",
    "\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"})"),
            "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\xC2\x80\":\"Control\",\"ö\":\"Latin Small Letter O With "
            "Diaeresis\","
            "\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\"\xEF\xAC\xB3\":\"Hebrew Letter Dalet With Dagesh\"}");
  EXPECT_EQ(canonicalJson("[-0, -0.0, 12345678901234567890123, 1e400, {\"a\":1,\"a\":2}]"),
            "[0,0,12345678901234567890123,1e400,{\"a\":2}]");
  EXPECT_THROW(canonicalJson("{"), Error);
}

TEST(CanonicalJson, OrdersMembersByUtf16Units) {
  EXPECT_EQ(canonicalJson(R"({"\uffff":5,"\ue000":4,"\udbff\udfff":3,"\ud800\udc00":2,"\ud7ff":1,"a\ue000":0,"a":-1})"),
            "{\"a\":-1,\"a\xEE\x80\x80\":0,\"\xED\x9F\xBF\":1,\"\xF0\x90\x80\x80\":2,\"\xF4\x8F\xBF\xBF\":3,"
            "\"\xEE\x80\x80\":4,\"\xEF\xBF\xBF\":5}");
}

/// A small document, often damaged.
std::string randomJson(test::Random& random) {
  static const std::string kPieces[] = {
      "{",           "}",     "[",       "]",      ",",    ":",    "\"a\"", "\"\\u00e9\"", "\"\\ud83d\\ude00\"",
      "\"\\ud83d\"", "1",     "-0.5e3",  "01",     "1.",   "true", "null",  " ",           "\n",
      "\"\xff\"",    "\"é\"", "\"\\n\"", "\"\t\"", "1E+2", "-"};
  std::string text;
  if (random.chance(50)) {
    nlohmann::json tree = nlohmann::json::object();
    for (std::size_t n = random.index(5); n > 0; --n) {
      tree[test::randomText(random, 4)] =
          nlohmann::json::array({random.between(-9, 9), test::randomText(random), nullptr, 1.5});
    }
    text = tree.dump(random.chance(50) ? 1 : -1);
    if (random.chance(60)) text[random.index(text.size())] = static_cast<char>(random.between(1, 127));
  } else {
    for (std::size_t n = random.index(9); n > 0; --n) text += random.pick(kPieces);
  }
  return text;
}

TEST(JsonTree, AcceptsExactlyWhatAnotherStrictParserDoes) {
  test::forEachSeed(5000, [](std::uint64_t seed) {
    test::Random random(seed);
    const std::string text = randomJson(random);
    const auto theirs = nlohmann::json::parse(text, nullptr, false);
    const auto ours = detail::JsonTree::tryParse(text);
    // The other one refuses numbers beyond a double's range, which the pieces can add up to.
    if (ours && theirs.is_discarded() && std::isinf(std::strtod(text.c_str(), nullptr))) return;
    ASSERT_EQ(ours.has_value(), !theirs.is_discarded()) << text;
    if (!ours) return;
    const std::string canonical = canonicalJson(text);
    EXPECT_TRUE(nlohmann::json::parse(canonical) == theirs) << canonical;
    EXPECT_EQ(canonicalJson(canonical), canonical);
    EXPECT_TRUE(detail::sameJson(text, canonical));
    std::string compact;
    detail::appendCompactJson(text, compact);
    EXPECT_TRUE(nlohmann::json::parse(compact) == theirs) << compact;
  });
}

TEST(JsonNumbers, ReadBackAsTheSameDouble) {
  test::forEachSeed(5000, [](std::uint64_t seed) {
    test::Random random(seed);
    double v = 0;
    const std::uint64_t bits = random.bits();
    std::memcpy(&v, &bits, 8);
    if (!std::isfinite(v)) return;
    EXPECT_EQ(std::strtod(toJson(Value(v)).c_str(), nullptr), v);
  });
}

}  // namespace
}  // namespace tidegate
