#include "http/detail/websocket_frames.h"

#include <gtest/gtest.h>

#include <vector>

namespace tidegate::http::detail {
namespace {

std::string masked(WsOpcode opcode, std::string_view payload, bool final = true) {
  std::string out;
  appendMaskedFrame(opcode, payload, 0xA1B2C3D4, out, final);
  return out;
}

/// What a reader makes of octets, as one line for each frame.
std::vector<std::string> readAll(std::string_view octets, std::size_t piece, std::size_t most = 100'000) {
  WsReader reader(true, most);
  std::vector<std::string> out;
  while (!octets.empty()) {
    std::string_view part = octets.substr(0, piece);
    octets.remove_prefix(part.size());
    while (true) {
      part.remove_prefix(reader.feed(part));
      if (reader.state() == WsReader::State::more) break;
      if (reader.state() == WsReader::State::failed) {
        out.push_back("failed " + std::to_string(reader.failureCode()));
        return out;
      }
      static constexpr const char* kNames[] = {"", "message ", "ping ", "pong ", "close "};
      out.push_back(kNames[static_cast<std::size_t>(reader.state())] + reader.payload());
      if (reader.state() == WsReader::State::close) return out;
      reader.next();
    }
  }
  return out;
}

TEST(WsReader, ReadsTheSameFramesHoweverTheOctetsAreCut) {
  const std::string octets = masked(WsOpcode::text, "Hello") + masked(WsOpcode::text, "frag", false) +
                             masked(WsOpcode::ping, "p") + masked(WsOpcode::continuation, "ment", false) +
                             masked(WsOpcode::continuation, "ed") + masked(WsOpcode::binary, std::string(300, 'b')) +
                             masked(WsOpcode::binary, std::string(70'000, 'c')) + masked(WsOpcode::pong, "") +
                             masked(WsOpcode::text, "") + masked(WsOpcode::close, wsClosePayload(1000, "bye"));
  const std::vector<std::string> expected{"message Hello",
                                          "ping p",
                                          "message fragmented",
                                          "message " + std::string(300, 'b'),
                                          "message " + std::string(70'000, 'c'),
                                          "pong ",
                                          "message ",
                                          std::string("close \x03\xE8") + "bye"};
  for (const std::size_t piece : {1u, 2u, 3u, 7u, 125u, 4096u, 1'000'000u}) {
    EXPECT_TRUE(readAll(octets, piece) == expected) << piece;
  }
}

TEST(WsReader, RefusesWhatTheProtocolForbids) {
  const auto with = [](std::string frame, std::size_t at, int octet) {
    frame[at] = static_cast<char>(octet);
    return frame;
  };
  const std::string hello = masked(WsOpcode::text, "Hello");
  const std::string closeOf1005 = std::string("\x03\xED", 2);
  const std::vector<std::pair<std::string, std::string>> cases{
      {with(hello, 1, 5), "failed 1002"},                                   // not masked
      {with(hello, 0, 0x81 | 0x40), "failed 1002"},                         // a reserved bit
      {with(hello, 0, 0x83), "failed 1002"},                                // opcode 3
      {with(hello, 0, 0x8B), "failed 1002"},                                // opcode 11
      {masked(WsOpcode::continuation, "x"), "failed 1002"},                 // of nothing
      {masked(WsOpcode::ping, "x", false), "failed 1002"},                  // a cut ping
      {std::string("\x89\xFE\x00\x7E", 4), "failed 1002"},                  // a long ping
      {std::string("\x81\xFE\x00\x05\x01\x02\x03\x04", 8), "failed 1002"},  // a length not as short
      {std::string("\x82\xFF\x80\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04", 14), "failed 1002"},  // 2^63
      {std::string("\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x02\x03\x04", 14), "failed 1009"},
      {masked(WsOpcode::text, "\xC3\x28"), "failed 1007"},
      {masked(WsOpcode::close, "x"), "failed 1002"},
      {masked(WsOpcode::close, closeOf1005), "failed 1002"},
      {masked(WsOpcode::close, wsClosePayload(1000, "") + "\xFF"), "failed 1007"},
      {masked(WsOpcode::binary, std::string(100'001, 'x')), "failed 1009"},
      {masked(WsOpcode::binary, std::string(60'000, 'x'), false) +
           masked(WsOpcode::continuation, std::string(60'000, 'x')),
       "failed 1009"}};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const auto read = readAll(cases[i].first, 5);
    ASSERT_FALSE(read.empty()) << i;
    EXPECT_EQ(read.back(), cases[i].second) << i;
  }
  EXPECT_EQ(readAll(masked(WsOpcode::text, "a", false) + hello, 3).back(), "failed 1002") << "a message in a message";
}

TEST(WsReader, ATextCutWithinACharacterIsWhole) {
  EXPECT_EQ(readAll(masked(WsOpcode::text, "\xE2\x82", false) + masked(WsOpcode::continuation, "\xAC"), 1).at(0),
            "message \xE2\x82\xAC");
}

TEST(WsFrames, AnswersTheExampleOfRfc6455) {
  EXPECT_EQ(wsAccept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(WsFrames, AReasonIsCutAtAWholeCharacter) {
  std::string reason(122, 'x');
  reason += "\xE2\x82\xAC";
  EXPECT_EQ(wsClosePayload(1000, reason).size(), 124u);
  EXPECT_EQ(wsClosePayload(1005, "x"), "") << "1005 is never sent";
}

}  // namespace
}  // namespace tidegate::http::detail
