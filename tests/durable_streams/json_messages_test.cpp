/// A JSON stream's data in messages, octet for octet; base64 as event streams carry it.
#include "durable_streams/detail/json_messages.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/detail/octet_text.h"
#include "durable_streams/detail/base64_decode.h"
#include "durable_streams/detail/protocol.h"
#include "durable_streams/detail/read_session.h"
#include "support/property.h"
#include "tidegate/core/error.h"

namespace tidegate::durable_streams {
namespace {

using detail::decodeBase64Lines;
using tidegate::test::forEachSeed;
using tidegate::test::Random;

std::vector<std::string> split(std::string document) {
  detail::JsonChecker checker;
  std::vector<std::string> messages;
  for (const auto& [begin, length] : detail::splitMessages(checker, document)) {
    messages.push_back(document.substr(begin, length));
  }
  return messages;
}

using Texts = std::vector<std::string>;

TEST(JsonMessages, AreTheElementsOfAnArrayAsTheyWereWritten) {
  EXPECT_EQ(split(R"([{"n":1.50},[1, 2],"a,]\"",null, -0.0 ,9007199254740993])"),
            (Texts{R"({"n":1.50})", "[1, 2]", R"("a,]\"")", "null", "-0.0", "9007199254740993"}));
}

TEST(JsonMessages, AreNoneInAnEmptyArrayAndInBlankText) {
  EXPECT_EQ(split("[]"), Texts{});
  EXPECT_EQ(split(" [ \n] "), Texts{});
  EXPECT_EQ(split(""), Texts{});
  EXPECT_EQ(split(" \n"), Texts{});
}

TEST(JsonMessages, AreOneWhereTheDocumentIsNoArray) { EXPECT_EQ(split(" {\"a\": [1,2]}\n"), Texts{"{\"a\": [1,2]}"}); }

TEST(JsonMessages, AreRefusedWhereTheTextIsCutOrBroken) {
  for (const char* bad : {"[{\"a\":1", "[1,2", "[1,,2]", "XY{}]", "[1]2", "[\"\x80\"]", "{", "[1}", "[tru]"}) {
    EXPECT_THROW(split(bad), Error) << bad;
  }
}

TEST(JsonMessages, AreRefusedWhereANulHidesWhatFollowsANumberOrAWord) {
  using namespace std::string_literals;
  for (const std::string& bad : {"8888\0\0ol"s, "[1\0x]"s, "[true\0,2"s, "\0"s, "{\"a\":1\0}"s}) {
    EXPECT_THROW(split(bad), Error);
  }
}

TEST(JsonMessages, KeepANumberThatNoMachineWordHolds) {
  EXPECT_EQ(split("[123456789012345678901234567890]"), Texts{"123456789012345678901234567890"});
}

Texts joined(const Texts& documents, std::string* data = nullptr) {
  detail::JsonChecker checker;
  detail::MessageJoiner joiner;
  for (const auto& document : documents) joiner.add(checker, document);
  const auto [text, spans] = joiner.take();
  if (data) *data = text;
  Texts messages;
  for (const auto& [begin, length] : spans) messages.push_back(text.substr(begin, length));
  return messages;
}

TEST(JsonMessages, OfSeveralDocumentsMakeOneArray) {
  std::string data;
  EXPECT_EQ(joined({"[1, {\"a\":2}]", "[]", "[ 3 ]", "\"x\""}, &data), (Texts{"1", "{\"a\":2}", "3", "\"x\""}));
  EXPECT_EQ(data, "[1,{\"a\":2},3,\"x\"]");
}

TEST(JsonMessages, OfOneDocumentStayAsTheyCame) {
  std::string data;
  EXPECT_EQ(joined({"[ 1,\n 2 ]"}, &data), (Texts{"1", "2"}));
  EXPECT_EQ(data, "[ 1,\n 2 ]");
  EXPECT_EQ(joined({"{\"a\":1}"}, &data), Texts{"{\"a\":1}"});
  EXPECT_EQ(data, "[{\"a\":1}]");
}

std::string randomJson(Random& random, int depth) {
  switch (random.below(depth > 0 ? 6 : 4)) {
    case 0:
      return std::to_string(random.between(-1000, 1000));
    case 1:
      return "null";
    case 2:
      return random.chance(50) ? "\"a\\\"b,[\"" : "\"\\\\\"";
    case 3:
      return "1.0e5";
    case 4: {
      std::string text = "[";
      for (auto i = random.below(4); i > 0; --i) text += randomJson(random, depth - 1) + (i > 1 ? " , " : "");
      return text + "]";
    }
    default:
      return "{\"k\": " + randomJson(random, depth - 1) + "}";
  }
}

TEST(JsonMessages, ComeBackWhateverTheyAre) {
  forEachSeed(300, [](std::uint64_t seed) {
    Random random(seed);
    Texts messages;
    for (auto i = random.below(8); i > 0; --i) messages.push_back(randomJson(random, 4));
    Texts documents;
    std::size_t next = 0;
    while (next < messages.size()) {
      const std::size_t many = 1 + random.index(messages.size() - next);
      std::string document = "[";
      for (std::size_t i = 0; i < many; ++i) document += (i > 0 ? ",\n" : " ") + messages[next + i];
      documents.push_back(document + " ]");
      next += many;
    }
    std::string data;
    EXPECT_EQ(joined(documents, &data), messages);
    EXPECT_EQ(data.empty() ? 0 : nlohmann::json::parse(data).size(), messages.size());
  });
}

TEST(Base64Lines, DecodeToTheOctetsThatWereEncoded) {
  forEachSeed(200, [](std::uint64_t seed) {
    Random random(seed);
    std::string octets;
    for (auto i = random.below(100); i > 0; --i) octets += static_cast<char>(random.below(256));
    std::string text = tidegate::detail::base64Of(octets);
    EXPECT_EQ(decodeBase64Lines(text), octets);
    if (!text.empty()) text.insert(random.index(text.size()), random.chance(50) ? "\n" : "\r\n");
    EXPECT_EQ(decodeBase64Lines(text), octets);
  });
}

TEST(Base64Lines, AreRefusedWhereTheyAreNoBase64) {
  for (const char* bad : {"A", "AB", "ABC", "AB=C", "A===", "====", "AB==AB==", "AB-_", "AB CD", "QUJ!", "QUJDR"}) {
    EXPECT_EQ(decodeBase64Lines(bad), std::nullopt) << bad;
  }
  EXPECT_EQ(decodeBase64Lines("QR=="), std::nullopt) << "unused bits that are not zero";
  EXPECT_EQ(decodeBase64Lines(""), "");
}

TEST(ServerOffset, IsATokenThatMayStandInAQuery) {
  for (const char* good : {"0", "000_001", "a-b.c~", "ZZZ"}) EXPECT_TRUE(detail::isServerOffset(good)) << good;
  for (const char* bad : {"", "-1", "now", "a b", "a,b", "a&b", "a=b", "a?b", "a/b", "a\nb", "\x7f"}) {
    EXPECT_FALSE(detail::isServerOffset(bad)) << bad;
  }
  EXPECT_FALSE(detail::isServerOffset(std::string(5000, '1')));
}

}  // namespace
}  // namespace tidegate::durable_streams
