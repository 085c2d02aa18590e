#include <gtest/gtest.h>

#include "kinesis/detail/record_mapper.h"
#include "support/property.h"
#include "tidegate/core/error.h"
#include "tidegate/core/json.h"

namespace tidegate::kinesis::detail {
namespace {

Shape everyKind() {
  static const Shape shape = makeShape({.table = "t",
                                        .columns = {{.name = "id", .kind = ValueKind::int64},
                                                    {.name = "u", .kind = ValueKind::uint64},
                                                    {.name = "d", .kind = ValueKind::real},
                                                    {.name = "n", .kind = ValueKind::decimal},
                                                    {.name = "b", .kind = ValueKind::boolean},
                                                    {.name = "s", .kind = ValueKind::text},
                                                    {.name = "o", .kind = ValueKind::bytes},
                                                    {.name = "at", .kind = ValueKind::timestamp},
                                                    {.name = "j", .kind = ValueKind::json},
                                                    {.name = "any", .kind = ValueKind::null}},
                                        .primaryKey = {"id"}});
  return shape;
}

std::vector<Value> decoded(std::string_view json) {
  RowDecoder decoder;
  std::vector<Value> values;
  std::vector<std::uint32_t> missing;
  decoder.decode(json, *everyKind(), values, missing);
  return values;
}

std::string refusalOf(std::string_view json) {
  try {
    decoded(json);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::parseError);
    return e.message();
  }
  return "";
}

/// One mapped event of table "t".
ChangeEvent mapped(const std::string& record) {
  RecordMapper mapper({{"t", everyKind()}});
  ChangeBatch batch;
  EXPECT_TRUE(mapper.map(record, batch)) << record;
  return batch.size() == 1 ? batch[0] : ChangeEvent{};
}

TEST(KinesisRow, KeepsEveryKindExactly) {
  const auto row =
      decoded(R"({ "id" : -9007199254740993, "u":18446744073709551615,"d":1.5e3,"n":12345678901234567890.10,"b":true,)"
              R"("s":"zo\u00eb\n","o":"AAH/","at":"2024-02-29T12:00:00.5Z","j":{"a":[1,"}"]},"any":7 })");
  EXPECT_EQ(row[0], Value(std::int64_t{-9007199254740993}));
  EXPECT_EQ(row[1], Value(UINT64_MAX));
  EXPECT_EQ(row[2], Value(1500.0));
  EXPECT_EQ(row[3], Value(Decimal{"12345678901234567890.10"}));
  EXPECT_EQ(row[4], Value(true));
  EXPECT_EQ(row[5], Value("zo\xC3\xAB\n"));
  EXPECT_EQ(row[6], Value(Bytes{std::string("\0\x01\xFF", 3)}));
  EXPECT_EQ(row[7], Value(Timestamp::utc(1'709'208'000'500'000)));
  EXPECT_EQ(row[8], Value(Json{"{\"a\":[1,\"}\"]}"}));
  EXPECT_EQ(row[9], Value(7));
}

TEST(KinesisRow, TakesMembersInAnyOrderAndLeavesOutWhatIsNoColumn) {
  RowDecoder decoder;
  std::vector<Value> values{Value("left over"), Value("left over")};
  std::vector<std::uint32_t> missing;
  decoder.decode(R"({"s":"x","unknown":{"deep":[]},"id":1,"s":"last wins"})", *everyKind(), values, missing);
  EXPECT_EQ(values[0], Value(1));
  EXPECT_EQ(values[5], Value("last wins"));
  EXPECT_TRUE(values[1].isNull());
  EXPECT_EQ(missing, (std::vector<std::uint32_t>{1, 2, 3, 4, 6, 7, 8, 9}));
}

TEST(KinesisRow, RefusesWhatIsNoJson) {
  for (const char* json :
       {"", "{", "[]", "7", "{}x", R"({"id":01})", R"({"id":1,})", R"({"id" 1})", R"({"id":+1})", R"({"id":1 "s":2})",
        R"({"s":"\x"})", "{\"s\":\"a\nb\"}", "{\"s\":\"\xFF\"}", R"({"j":[1,}})", R"({"j":{"a":}})", R"({"s":"})",
        R"({"id":1.})", R"({"id":tru})", R"({,"id":1})"}) {
    EXPECT_NE(refusalOf(json), "") << json;
  }
}

TEST(KinesisRow, NamesTheColumnAndNotItsValue) {
  const std::string why = refusalOf(R"({"id":"secret"})");
  EXPECT_NE(why.find("column \"id\""), why.npos);
  EXPECT_EQ(why.find("secret"), why.npos);
  EXPECT_NE(refusalOf(R"({"id":1.5})"), "");
  EXPECT_NE(refusalOf(R"({"b":1})"), "");
  EXPECT_NE(refusalOf(R"({"o":"not base64!"})"), "");
}

TEST(KinesisRow, ReadsWhatOurOwnJsonWrites) {
  test::forEachSeed(300, [](std::uint64_t seed) {
    test::Random random(seed);
    std::string text;
    for (std::uint64_t i = random.below(20); i > 0; --i) {
      static const char* kPieces[] = {"\"", "\\", "\n", "\x01", "a", "\xC3\xA4", "\xF0\x9F\x8C\x8A", "\x7F", "{", "]"};
      text += kPieces[random.below(10)];
    }
    const auto id = static_cast<std::int64_t>(random.bits());
    std::string json = "{\"id\":" + std::to_string(id) + ",\"s\":";
    appendJsonString(text, json);
    const auto row = decoded(json + "}");
    EXPECT_EQ(row[0], Value(id));
    EXPECT_EQ(row[5], Value(text));
  });
}

TEST(KinesisRecord, AnInsertHasItsRow) {
  const ChangeEvent event = mapped(R"({"table":"t","action":"INSERT","row":{"id":1,"s":"x"}})");
  EXPECT_EQ(event.op, ChangeOp::insert);
  EXPECT_EQ(event.after[0], Value(1));
  EXPECT_TRUE(event.transactionBegin && event.transactionEnd);
  EXPECT_TRUE(event.unchanged.empty());
}

TEST(KinesisRecord, AnUpdateLeavesOutWhatDidNotChangeAndSaysWhichRowItWas) {
  const ChangeEvent event = mapped(R"({"table":"t","action":"UPDATE","row":{"s":"x"},"identity":{"id":4}})");
  EXPECT_EQ(event.op, ChangeOp::update);
  EXPECT_EQ(event.after[0], Value(4)) << "the key is the identity's where the row has none";
  EXPECT_EQ(event.before[0], Value(4));
  EXPECT_EQ(event.unchanged, (std::vector<std::uint32_t>{1, 2, 3, 4, 6, 7, 8, 9}));
  EXPECT_EQ(mapped(R"({"table":"t","action":"UPDATE","row":{"id":5},"identity":{"id":4}})").after[0], Value(5));
}

TEST(KinesisRecord, ADeleteNamesItsRow) {
  const ChangeEvent event = mapped(R"({"identity":{"id":3},"action":"DELETE","table":"t","row":null})");
  EXPECT_EQ(event.op, ChangeOp::erase);
  EXPECT_EQ(event.before[0], Value(3));
  EXPECT_EQ(event.beforeAbsent.size(), 9u);
  EXPECT_EQ(mapped(R"({"table":"t","action":"DELETE","row":{"id":3}})").before[0], Value(3));
  EXPECT_EQ(mapped(R"({"table":"t","action":"TRUNCATE"})").op, ChangeOp::truncate);
}

TEST(KinesisRecord, WhatNamesNoRowIsRefused) {
  RecordMapper mapper({{"t", everyKind()}});
  ChangeBatch batch;
  for (const char* record :
       {R"({"action":"INSERT","row":{"id":1}})", R"({"table":"t","row":{"id":1}})",
        R"({"table":"t","action":"insert"})", R"({"table":"t","action":"INSERT"})",
        R"({"table":"t","action":"INSERT","row":{"s":"x"}})", R"({"table":"t","action":"INSERT","row":{"id":null}})",
        R"({"table":"t","action":"DELETE"})", R"({"table":"t","action":"DELETE","identity":{"s":"x"}})",
        R"({"table":"t","action":"UPDATE","row":[1]})", R"({"table":7,"action":"INSERT","row":{"id":1}})", "not json",
        ""}) {
    EXPECT_THROW(mapper.map(record, batch), Error) << record;
  }
  EXPECT_TRUE(batch.empty());
  EXPECT_FALSE(mapper.map(R"({"table":"other","action":"INSERT","row":{"x":1}})", batch)) << "nobody asked for it";
}

}  // namespace
}  // namespace tidegate::kinesis::detail
