#include "tidegate/http/sse.h"

#include <gtest/gtest.h>

#include <vector>

#include "support/property.h"
#include "tidegate/core/error.h"

namespace tidegate::http {
namespace {

struct Told {
  std::string type, data, id;
  bool operator==(const Told&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Told& told) {
  return out << '{' << told.type << '|' << told.data << '|' << told.id << '}';
}

std::vector<Told> parse(std::string_view text) {
  std::vector<Told> out;
  SseParser parser([&](const SseEvent& e) { out.push_back({e.type, e.data, e.id}); });
  parser.feed(text);
  return out;
}

TEST(SseParser, ReadsTypesDataAndIds) {
  EXPECT_EQ(parse("event: a\ndata: 1\ndata:2\ndata\nid: 7\n\ndata: x\n\n"),
            (std::vector<Told>{{"a", "1\n2\n", "7"}, {"message", "x", "7"}}));
}

TEST(SseParser, SkipsCommentsUnknownFieldsAndEventsWithoutData) {
  EXPECT_EQ(parse(": hello\nfoo: bar\nevent: lost\n\nid: 3\n\ndata: y\n\n"),
            (std::vector<Told>{{"message", "y", "3"}}));
}

TEST(SseParser, TellsNoEventThatTheStreamsEndCuts) { EXPECT_TRUE(parse("data: x\n").empty()); }

TEST(SseParser, SkipsOneByteOrderMark) {
  EXPECT_EQ(parse("\xEF\xBB\xBF"
                  "data: x\n\n"),
            (std::vector<Told>{{"message", "x", ""}}));
  EXPECT_TRUE(parse("\xEF\xBB\xBF\xEF\xBB\xBF"
                    "data: x\n\n")
                  .empty());
}

TEST(SseParser, RemembersTheLastIdAndTheRetryOverAReset) {
  std::vector<Told> out;
  SseParser parser([&](const SseEvent& e) { out.push_back({e.type, e.data, e.id}); });
  parser.feed("retry: 250\nretry: x\nretry: -1\nid: 5\ndata: a\n\nid: 6\ndata: b");
  parser.reset();
  EXPECT_EQ(parser.lastId(), "5");
  EXPECT_EQ(parser.retry(), std::chrono::milliseconds(250));
  parser.feed(std::string_view("data: c\n\nid: with\0nul\n\n", 23));
  parser.feed("id\ndata: d\n\n");
  EXPECT_EQ(out, (std::vector<Told>{{"message", "a", "5"}, {"message", "c", "5"}, {"message", "d", ""}}));
}

TEST(SseParser, RefusesEventsOverItsBound) {
  const auto feedAll = [](std::string_view text) {
    SseParser parser([](const SseEvent&) {}, 100);
    for (const char c : text) parser.feed({&c, 1});
  };
  feedAll("data: " + std::string(90, 'x') + "\n\n");
  EXPECT_THROW(feedAll(std::string(101, 'x')), Error);
  std::string many;
  for (int i = 0; i < 20; ++i) many += "data: 123456\n";
  EXPECT_THROW(feedAll(many), Error);
}

TEST(SseParser, ReadsWhatIsWritten) {
  std::string text;
  appendSse(text, "t", "one\r\ntwo\rthree\n", "9");
  appendSse(text, "", "");
  EXPECT_EQ(text, "event: t\nid: 9\ndata: one\ndata: two\ndata: three\ndata: \n\ndata: \n\n");
  EXPECT_EQ(parse(text), (std::vector<Told>{{"t", "one\ntwo\nthree\n", "9"}, {"message", "", "9"}}));
}

/// The specification, word for word, over the whole text.
std::vector<Told> model(const std::string& text) {
  std::vector<std::string> lines;
  std::string line;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r' && text[i] != '\n') {
      line += text[i];
      continue;
    }
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') ++i;
    lines.push_back(std::exchange(line, {}));
  }
  std::vector<Told> out;
  std::string data, type, id;
  for (const std::string& one : lines) {
    if (one.empty()) {
      if (!data.empty()) out.push_back({type.empty() ? "message" : type, data.substr(0, data.size() - 1), id});
      data.clear();
      type.clear();
      continue;
    }
    const std::size_t colon = one.find(':');
    const std::string name = one.substr(0, colon);
    std::string value = colon == std::string::npos ? "" : one.substr(colon + 1);
    if (value.starts_with(' ')) value.erase(0, 1);
    if (name == "data") data += value + "\n";
    if (name == "event") type = value;
    if (name == "id") id = value;
  }
  return out;
}

TEST(SseParser, GivesTheSameEventsHoweverItsTextIsCut) {
  tidegate::test::forEachSeed(2000, [](std::uint64_t seed) {
    tidegate::test::Random random(seed);
    const std::vector<std::string> lines = {"data: a", "data:b", "data", "event: t", "id: 4",      "id",       ": c",
                                            "",        "",       "x",    "data: : ", "data:  two", "retry: 9", "event"};
    const std::vector<std::string> ends = {"\n", "\r", "\r\n"};
    std::string text;
    for (std::size_t i = random.index(40); i > 0; --i) text += random.pick(lines) + random.pick(ends);
    std::vector<Told> out;
    SseParser parser([&](const SseEvent& e) { out.push_back({e.type, e.data, e.id}); });
    for (std::string_view rest = text; !rest.empty();) {
      const std::size_t size = std::min(rest.size(), random.index(7));
      parser.feed(rest.substr(0, size));
      rest.remove_prefix(size);
    }
    EXPECT_EQ(out, model(text)) << testing::PrintToString(text);
  });
}

}  // namespace
}  // namespace tidegate::http
