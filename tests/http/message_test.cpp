#include "tidegate/http/message.h"

#include <gtest/gtest.h>

namespace tidegate::http {
namespace {

TEST(HttpMessage, FindsFieldsWhateverTheirCase) {
  Headers headers{{"Content-Type", "a"}, {"X", "1"}, {"x", "2"}};
  EXPECT_EQ(headers.get("content-type"), "a");
  EXPECT_EQ(headers.get("X"), "1");
  EXPECT_EQ(headers.get("y"), "");
  headers.set("x", "3");
  EXPECT_EQ(headers.size(), 2u);
  EXPECT_EQ(headers.get("x"), "3");
  headers.set("new", "4");
  headers.remove("CONTENT-TYPE");
  EXPECT_FALSE(headers.has("content-type"));
  EXPECT_EQ(headers.get("new"), "4");
}

TEST(HttpMessage, DecodesAndEncodesPercents) {
  EXPECT_EQ(percentDecode("a%20b+c%2F"), "a b+c/");
  EXPECT_EQ(percentDecode("a+b", true), "a b");
  EXPECT_EQ(percentDecode("%"), std::nullopt);
  EXPECT_EQ(percentDecode("%4"), std::nullopt);
  EXPECT_EQ(percentDecode("%zz"), std::nullopt);
  EXPECT_EQ(percentEncode("a b/ü~"), "a%20b%2F%C3%BC~");
  EXPECT_EQ(percentEncode("a/b", "/"), "a/b");
}

TEST(HttpMessage, ReadsQueries) {
  EXPECT_EQ(queryParameter("a=1&b=x%20y&a=2&c", "a"), "1");
  EXPECT_EQ(queryParameter("a=1&b=x%20y&c", "b"), "x y");
  EXPECT_EQ(queryParameter("a=1&c", "c"), "");
  EXPECT_EQ(queryParameter("a=1", "d"), std::nullopt);
  EXPECT_EQ(queryParameter("a%5B=1", "a["), "1");
  EXPECT_EQ(queryParameter("a=%zz", "a"), "%zz");
  EXPECT_EQ(queryParameters("a=1&&b=2&a=3&=4").size(), 4u);
  EXPECT_TRUE(queryParameters("").empty());
}

TEST(HttpMessage, KnowsReasons) {
  EXPECT_EQ(reasonPhrase(404), "Not Found");
  EXPECT_EQ(reasonPhrase(505), "HTTP Version Not Supported");
  EXPECT_EQ(reasonPhrase(100), "Continue");
  EXPECT_EQ(reasonPhrase(299), "");
}

TEST(HttpMessage, WritesProblemsWithoutSecretsAndInUtf8) {
  const Response response = problem(400, "\"quoted\" \xFF password=hunter2\n");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.headers.get("content-type"), "application/problem+json");
  EXPECT_EQ(response.body,
            "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,"
            "\"detail\":\"\\\"quoted\\\" \xEF\xBF\xBD password=***\\u000a\"}");
}

}  // namespace
}  // namespace tidegate::http
