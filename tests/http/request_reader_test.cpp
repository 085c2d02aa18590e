#include "http/detail/request_reader.h"

#include <gtest/gtest.h>

#include <string>

#include "support/property.h"

namespace tidegate::http::detail {
namespace {

using State = RequestReader::State;

const Limits kLimits{.headerBytes = 1024, .targetBytes = 200, .bodyBytes = 1000};

/// Reads one request; what is unfinished is given again, as a connection does.
struct Read {
  int status = 0;  ///< of the refusal; 200 where the request is whole, 0 where it is unfinished
  std::string path, query, body;
  std::size_t fields = 0;
  std::size_t used = 0;
  bool keepAlive = false;
  bool operator==(const Read&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Read& r) {
  return out << r.status << ' ' << r.path << '?' << r.query << ' ' << r.body << ' ' << r.fields << " used " << r.used;
}

template <class Size>
Read readPieces(std::string_view text, Size&& nextSize) {
  RequestReader reader(kLimits);
  Read out;
  std::string held;
  while (!text.empty() && reader.state() != State::done && reader.state() != State::refused) {
    const std::size_t size = std::min(text.size(), nextSize());
    held.append(text.substr(0, size));
    text.remove_prefix(size);
    const std::size_t used = reader.feed(held);
    out.used += used;
    held.erase(0, used);
  }
  if (reader.state() == State::refused) {
    out.status = reader.refusalStatus();
    out.used = 0;
  }
  if (reader.state() == State::done) {
    out.status = 200;
    out.path = reader.request().path;
    out.query = reader.request().query;
    out.body = reader.request().body;
    out.fields = reader.request().headers.size();
    out.keepAlive = reader.keepAlive();
  }
  return out;
}

Read readWhole(std::string_view text) {
  return readPieces(text, [] { return std::size_t{100'000}; });
}

int statusOf(const std::string& text) { return readWhole(text).status; }

/// A request with these field lines behind Host.
std::string with(const std::string& fields, const std::string& body = "") {
  return "POST /x HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + body;
}

TEST(RequestReader, RefusesWhatTwoReadersCouldReadDifferently) {
  EXPECT_EQ(statusOf(with("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")), 400);
  EXPECT_EQ(statusOf(with("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n")), 400);
  EXPECT_EQ(statusOf(with("Content-Length: 3\r\nContent-Length: 3\r\n", "abc")), 400);
  EXPECT_EQ(statusOf(with("Content-Length: 3, 3\r\n", "abc")), 400);
  EXPECT_EQ(statusOf(with("Content-Length: +3\r\n", "abc")), 400);
  EXPECT_EQ(statusOf(with("Content-Length: -3\r\n", "abc")), 400);
  EXPECT_EQ(statusOf(with("Content-Length: 0x3\r\n", "abc")), 400);
  EXPECT_EQ(statusOf(with("Content-Length:\r\n", "abc")), 400);
  EXPECT_EQ(statusOf(with("Content-Length : 3\r\n", "abc")), 400);
  EXPECT_EQ(statusOf(with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")), 400);
  EXPECT_EQ(statusOf(with("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n")), 501);
  EXPECT_EQ(statusOf(with("Transfer-Encoding: \x0b"
                          "chunked\r\n",
                          "0\r\n\r\n")),
            400);
  EXPECT_EQ(statusOf(with("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n")), 501);
  EXPECT_EQ(statusOf(with("X: a\r\n folded\r\n")), 400);
  EXPECT_EQ(statusOf(with("X: a\n")), 400);
  EXPECT_EQ(statusOf("GET / HTTP/1.1\nHost: a\n\n"), 400);
  EXPECT_EQ(statusOf(with("X: a\rY: b\r\n")), 400);
  EXPECT_EQ(statusOf(with(std::string("X: a\0b\r\n", 8))), 400);
  EXPECT_EQ(statusOf(with("X y: a\r\n")), 400);
  EXPECT_EQ(statusOf(with("no colon\r\n")), 400);
  EXPECT_EQ(statusOf(with(": no name\r\n")), 400);
  EXPECT_EQ(statusOf("POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
}

TEST(RequestReader, RefusesMalformedChunks) {
  const auto chunks = [](const std::string& body) { return statusOf(with("Transfer-Encoding: chunked\r\n", body)); };
  EXPECT_EQ(chunks("3\r\nabc\r\n0\r\n\r\n"), 200);
  EXPECT_EQ(chunks("3;ext=\"1\"\r\nabc\r\n0\r\nT: 1\r\n\r\n"), 200);
  EXPECT_EQ(chunks("3\nabc\r\n0\r\n\r\n"), 400);
  EXPECT_EQ(chunks("3\r\nabcd\r\n0\r\n\r\n"), 400);
  EXPECT_EQ(chunks("\r\nabc\r\n0\r\n\r\n"), 400);
  EXPECT_EQ(chunks("g\r\nabc\r\n0\r\n\r\n"), 400);
  EXPECT_EQ(chunks("3 3\r\nabc\r\n0\r\n\r\n"), 400);
  EXPECT_EQ(chunks("-3\r\nabc\r\n0\r\n\r\n"), 400);
  EXPECT_EQ(chunks("3;" + std::string(300, 'x') + "\r\nabc\r\n0\r\n\r\n"), 400);
  EXPECT_EQ(chunks("ffffffffffffffff\r\nabc"), 413);
  EXPECT_EQ(chunks("3E9\r\nabc"), 413);
  EXPECT_EQ(chunks("1f4\r\n" + std::string(500, 'x') + "\r\n1f5\r\n"), 413);
  EXPECT_EQ(chunks("0\r\nno trailer\r\n\r\n"), 400);
  EXPECT_EQ(chunks("0\r\n" + std::string(2000, 'x')), 431);
}

TEST(RequestReader, RefusesMalformedRequestLines) {
  for (const char* line :
       {"GET /", "GET  / HTTP/1.1", "GET / HTTP/1.1 ", " GET / HTTP/1.1", "GET / HTTP/1.1x", "GET / http/1.1",
        "G(T / HTTP/1.1", "GET /\t HTTP/1.1", "GET x HTTP/1.1", "GET /\x80 HTTP/1.1", "GET /# HTTP/1.1",
        "CONNECT a:80 HTTP/1.1", "GET * HTTP/1.1", "\x16\x03\x01 / HTTP/1.1"}) {
    EXPECT_EQ(statusOf(std::string(line) + "\r\nHost: a\r\n\r\n"), 400) << line;
  }
  EXPECT_EQ(statusOf("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
  EXPECT_EQ(statusOf("GET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(statusOf("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
  EXPECT_EQ(statusOf("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400);
  EXPECT_EQ(statusOf("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"), 400);
  EXPECT_EQ(statusOf("GET / HTTP/1.0\r\n\r\n"), 200);
  EXPECT_EQ(statusOf("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
  EXPECT_EQ(statusOf("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
  EXPECT_EQ(statusOf("\r\n\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(statusOf("GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n"), 417);
}

TEST(RequestReader, DecodesPathsOnce) {
  const auto path = [](const std::string& target) {
    return readWhole("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n");
  };
  EXPECT_EQ(path("/a%20b?c%20d").path, "/a b");
  EXPECT_EQ(path("/a%20b?c%20d").query, "c%20d");
  EXPECT_EQ(path("/a%2Fb").path, "/a/b");
  EXPECT_EQ(path("/%252e%252e/x").path, "/%2e%2e/x");
  EXPECT_EQ(path("http://host:80/a?b").path, "/a");
  EXPECT_EQ(path("http://host").path, "/");
  EXPECT_EQ(path("http://host?q").query, "q");
  EXPECT_EQ(path("//a//b").path, "//a//b");
  EXPECT_EQ(path("/a?x=/../y").path, "/a");
  EXPECT_EQ(path("/...").path, "/...");
  for (const char* bad :
       {"/..", "/a/../b", "/a/./b", "/%2e%2e/b", "/a/%2E", "/a%2f..%2fb", "/a%00b", "/a%", "/a%2", "/a%zz"}) {
    EXPECT_EQ(path(bad).status, 400) << bad;
  }
}

TEST(RequestReader, EnforcesItsLimitsWhileReading) {
  EXPECT_EQ(statusOf("GET /" + std::string(199, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
  EXPECT_EQ(statusOf("GET /" + std::string(200, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n"), 414);
  EXPECT_EQ(statusOf("GET /" + std::string(300, 'a')), 414);  // not even ended
  EXPECT_EQ(statusOf("GET / HTTP/1.1\r\nX: " + std::string(1100, 'a')), 431);
  std::string many = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 300; ++i) many += "a:\r\n";
  EXPECT_EQ(statusOf(many), 431);
  EXPECT_EQ(statusOf(with("Content-Length: 1001\r\n")), 413);
  EXPECT_EQ(statusOf(with("Content-Length: 99999999999999999999999999\r\n")), 413);
  EXPECT_EQ(statusOf(with("Content-Length: 1000\r\n", std::string(1000, 'b'))), 200);
}

TEST(RequestReader, ReadsManyFieldsButNotTooMany) {
  const Limits wide{.headerBytes = 1u << 20};
  for (const auto& [count, state] : {std::pair(250, State::done), std::pair(260, State::refused)}) {
    std::string text = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (int i = 0; i < count; ++i) text += "x-" + std::to_string(i) + ": 1\r\n";
    RequestReader reader(wide);
    reader.feed(text + "\r\n");
    EXPECT_EQ(reader.state(), state) << count;
  }
}

TEST(RequestReader, LeavesTheNextRequestAlone) {
  RequestReader reader(kLimits);
  const std::string two = with("Content-Length: 2\r\n", "hi") + "GET /second HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::size_t used = reader.feed(two);
  ASSERT_EQ(reader.state(), State::done);
  EXPECT_EQ(reader.request().body, "hi");
  reader.next();
  EXPECT_EQ(reader.feed(std::string_view(two).substr(used)), two.size() - used);
  ASSERT_EQ(reader.state(), State::done);
  EXPECT_EQ(reader.request().path, "/second");
  EXPECT_TRUE(reader.request().body.empty());
  EXPECT_EQ(reader.request().headers.size(), 1u);
}

TEST(RequestReader, KnowsWhetherTheConnectionIsKept) {
  EXPECT_TRUE(readWhole("GET / HTTP/1.1\r\nHost: a\r\n\r\n").keepAlive);
  EXPECT_FALSE(readWhole("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n").keepAlive);
  EXPECT_FALSE(readWhole("GET / HTTP/1.0\r\n\r\n").keepAlive);
  EXPECT_TRUE(readWhole("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keepAlive);
}

TEST(RequestReader, ReadsTheSameHoweverTheOctetsAreCut) {
  tidegate::test::forEachSeed(3000, [](std::uint64_t seed) {
    tidegate::test::Random random(seed);
    const std::vector<std::string> lines = {"GET /a?b HTTP/1.1\r\n", "POST /a%20b HTTP/1.0\r\n", "\r\n"};
    const std::vector<std::string> fields = {"Host: a\r\n",
                                             "Content-Length: 5\r\n",
                                             "Transfer-Encoding: chunked\r\n",
                                             "Connection: close\r\n",
                                             "Expect: 100-continue\r\n",
                                             "X:  y \r\n",
                                             " fold\r\n",
                                             "X: a\n"};
    const std::vector<std::string> bodies = {
        "hello", "5\r\nhello\r\n0\r\n\r\n", "5;a\r\nhello\r\n", "0\r\nT: x\r\n\r\n", "", "\r\n"};
    std::string text = random.pick(lines);
    for (std::size_t i = random.index(5); i > 0; --i) text += random.pick(fields);
    if (random.chance(90)) text += "\r\n";
    for (std::size_t i = random.index(3) + 1; i > 0; --i) text += random.pick(bodies);
    if (random.chance(20) && !text.empty()) text[random.index(text.size())] = static_cast<char>(random.below(256));
    EXPECT_EQ(readPieces(text, [&] { return 1 + random.index(5); }), readWhole(text)) << testing::PrintToString(text);
  });
}

}  // namespace
}  // namespace tidegate::http::detail
