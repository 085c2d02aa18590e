#include "durable_streams/detail/json_body.h"

#include <gtest/gtest.h>

namespace tidegate::durable_streams::detail {
namespace {

JsonBody bodyOf(std::string text, bool allowEmpty = false) {
  JsonChecker checker;
  return jsonBody(checker, std::move(text), allowEmpty);
}

TEST(DurableStreamJson, KeepsTheOctetsOfEachMessage) {
  EXPECT_EQ(bodyOf(R"( {"a": 1.50,  "b":"\u00e9"} )").kept, R"({"a": 1.50,  "b":"\u00e9"},)");
  EXPECT_EQ(bodyOf("\n12345678901234567890123 ").kept, "12345678901234567890123,");
  EXPECT_EQ(bodyOf("\"[,]\"").kept, "\"[,]\",");
}

TEST(DurableStreamJson, FlattensExactlyOneLevel) {
  EXPECT_EQ(bodyOf(R"([{"e":"a"},{"e":"b"}])").kept, R"({"e":"a"},{"e":"b"},)");
  EXPECT_EQ(bodyOf("[[1,2],[3,4]]").kept, "[1,2],[3,4],");
  EXPECT_EQ(bodyOf("[[[1,2,3]]]").kept, "[[1,2,3]],");
  EXPECT_EQ(bodyOf(" [ 1 , 2 ] ").kept, "1 , 2,");
}

TEST(DurableStreamJson, RefusesAnEmptyArrayInAnAppendAlone) {
  EXPECT_NE(bodyOf("[ ]").problem, "");
  EXPECT_EQ(bodyOf("[ ]", true).problem, "");
  EXPECT_EQ(bodyOf("[ ]", true).kept, "");
}

TEST(DurableStreamJson, RefusesWhatIsNoJson) {
  for (const char* text : {"", " ", "{", "{\"a\":}", "[1,]", "[1 2]", "nul", "1 2", "{} {}", "'a'", "\"\xff\"", "[1]]",
                           "12345678901234567890123,", "{\"a\":012}", "\x01"}) {
    EXPECT_NE(bodyOf(text).problem, "") << text;
  }
}

TEST(DurableStreamJson, AnOctetOfZeroEndsNothing) {
  EXPECT_NE(bodyOf(std::string("1\0002", 3)).problem, "");
  EXPECT_NE(bodyOf(std::string("123456\0\0 7", 10)).problem, "");
}

TEST(DurableStreamJson, NamesANumberThatNoReaderCouldHold) {
  EXPECT_NE(bodyOf("[1e999]").problem.find("double"), std::string::npos);
}

TEST(DurableStreamJson, FindsWhereMessagesEnd) {
  const std::string kept = R"({"a":"},{"},[1,[2,3]],"\",",4,)";
  EXPECT_EQ(endOfMessages(kept, 0), 0u);
  EXPECT_EQ(kept.substr(0, *endOfMessages(kept, 1)), R"({"a":"},{"},)");
  EXPECT_EQ(kept.substr(0, *endOfMessages(kept, 2)), R"({"a":"},{"},[1,[2,3]],)");
  EXPECT_EQ(*endOfMessages(kept, 4), kept.size());
  EXPECT_EQ(endOfMessages(kept, 5), std::nullopt);
}

TEST(DurableStreamJson, MakesAnArrayOfWhatIsKept) {
  EXPECT_EQ(jsonArray(""), "[]");
  EXPECT_EQ(jsonArray("1,2,"), "[1,2]");
}

TEST(DurableStreamJson, ComparesContentTypesWithoutCaseAndParameters) {
  EXPECT_EQ(normalContentType(" Application/JSON ; charset=utf-8"), "application/json");
  EXPECT_EQ(normalContentType(""), "");
}

}  // namespace
}  // namespace tidegate::durable_streams::detail
