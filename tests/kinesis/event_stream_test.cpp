#include "kinesis/detail/event_stream.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <optional>
#include <string>

#include "kinesis/event_octets.h"
#include "support/property.h"
#include "tidegate/core/error.h"

namespace tidegate::kinesis {
namespace {

using detail::EventMessage;
using detail::EventStreamDecoder;
using testing::bigEndian;
using testing::eventHeader;
using testing::eventMessage;
using testing::eventOctets;
using testing::plainCrc32;

/// The message of an error; "" where there was none.
std::string faultOf(const std::string& octets) {
  EventStreamDecoder decoder;
  decoder.push(octets);
  try {
    while (decoder.next()) {
    }
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::parseError);
    EXPECT_EQ(e.retry(), Retry::later);
    return e.message();
  }
  return "";
}

/// A message of the lengths given, with checksums that are right.
std::string lyingMessage(std::uint32_t total, std::uint32_t headers, const std::string& rest) {
  std::string out = bigEndian(total, 4) + bigEndian(headers, 4);
  out += bigEndian(plainCrc32(out), 4) + rest;
  return out + bigEndian(plainCrc32(out), 4);
}

TEST(EventStream, ReadsTheSmallestMessageOctetByOctet) {
  // Written down from the format: no headers, no payload. Both checksums by an independent implementation.
  static constexpr unsigned char kOctets[] = {0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00,
                                              0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff};
  EventStreamDecoder decoder;
  for (std::size_t i = 0; i < sizeof kOctets; ++i) {
    EXPECT_FALSE(decoder.next()) << "after " << i << " octets";
    decoder.push({reinterpret_cast<const char*>(kOctets) + i, 1});
  }
  const auto message = decoder.next();
  ASSERT_TRUE(message);
  EXPECT_TRUE(message->headers.empty());
  EXPECT_EQ(message->payload, "");
  EXPECT_FALSE(decoder.withinMessage());
}

TEST(EventStream, ReadsHeadersOfEveryTypeAndKeepsTheTexts) {
  const auto valued = [](std::string_view name, char type, const std::string& value) {
    return bigEndian(name.size(), 1) + std::string(name) + type + value;
  };
  const std::string headers = valued("true", 0, "") + valued("false", 1, "") + valued("byte", 2, "a") +
                              valued("short", 3, "ab") + valued("int", 4, "abcd") + valued("long", 5, "abcdefgh") +
                              valued("octets", 6, bigEndian(3, 2) + std::string("\xFF\xFE\x00", 3)) +
                              eventHeader(":event-type", "SubscribeToShardEvent") + valued("time", 8, "abcdefgh") +
                              valued("uuid", 9, "abcdefghabcdefgh") + eventHeader("empty", "");
  EventStreamDecoder decoder;
  decoder.push(eventOctets(headers, "{\"a\":1}"));
  const auto message = decoder.next();
  ASSERT_TRUE(message);
  EXPECT_EQ(message->header(":event-type"), "SubscribeToShardEvent");
  EXPECT_EQ(message->header("long"), "") << "not a text";
  EXPECT_EQ(message->headers.size(), 2u);
  EXPECT_EQ(message->payload, "{\"a\":1}");
}

TEST(EventStream, ReadsMessagesCutAnywhere) {
  const std::string stream = eventMessage("first", "1") + eventMessage("second", std::string(100'000, 'x')) +
                             eventOctets("", "") + eventMessage("last", "{}");
  test::forEachSeed(50, [&](std::uint64_t seed) {
    test::Random random(seed);
    EventStreamDecoder decoder;
    std::vector<std::string> types;
    for (std::size_t at = 0; at < stream.size();) {
      const std::size_t piece = 1 + random.index(random.chance(50) ? 20 : 60'000);
      decoder.push(std::string_view(stream).substr(at, piece));
      at += piece;
      while (const auto message = decoder.next()) types.emplace_back(message->header(":event-type"));
    }
    EXPECT_EQ(types, (std::vector<std::string>{"first", "second", "", "last"}));
    EXPECT_EQ(decoder.buffered(), 0u);
  });
}

TEST(EventStream, NoticesEveryOctetThatIsAnother) {
  const std::string whole = eventMessage("SubscribeToShardEvent", R"({"Records":[]})");
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const int bit : {0, 3, 7}) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      EXPECT_NE(faultOf(damaged), "") << "octet " << i << ", bit " << bit;
    }
  }
}

TEST(EventStream, RefusesLengthsBeforeItWaitsForThem) {
  const std::string noHeaders;
  EXPECT_NE(faultOf(lyingMessage(15, 0, "")).find("a message of 15 octets"), std::string::npos);
  EXPECT_NE(faultOf(lyingMessage(0xFFFFFFFF, 0, "")).find("a message of 4294967295"), std::string::npos);
  EXPECT_NE(faultOf(lyingMessage((24u << 20) + 1, 0, "")).find("a message of"), std::string::npos);
  EXPECT_NE(faultOf(lyingMessage(20, 5, "abcd")).find("headers of 5 octets"), std::string::npos);
  EXPECT_NE(faultOf(lyingMessage(1u << 20, (128u << 10) + 1, "")).find("headers of"), std::string::npos);
  EXPECT_EQ(faultOf(lyingMessage(24u << 20, 0, "")), "") << "as great as may be: the rest is waited for";
}

TEST(EventStream, RefusesHeadersThatAreNone) {
  const auto fault = [](const std::string& headers) { return faultOf(eventOctets(headers, "{}")); };
  EXPECT_NE(fault(std::string("\x05name", 5)).find("cut short"), std::string::npos);
  EXPECT_NE(fault(std::string("\x01n", 2)).find("cut short"), std::string::npos);
  EXPECT_NE(fault(std::string("\x01n\x05\x00\x00", 5)).find("cut short"), std::string::npos);
  EXPECT_NE(fault(std::string("\x01n\x07\x00\x05"
                              "abc",
                              8))
                .find("cut short"),
            std::string::npos);
  EXPECT_NE(fault(std::string("\x00\x00", 2)).find("no text"), std::string::npos);
  EXPECT_NE(fault(std::string("\x01n\x0a", 3)).find("unknown type 10"), std::string::npos);
  EXPECT_NE(fault(eventHeader("n", "a") + eventHeader("n", "b")).find("twice"), std::string::npos);
  EXPECT_NE(fault(eventHeader("n", "\xFF")).find("no text"), std::string::npos);
  EXPECT_NE(fault(eventHeader("n", std::string(40'000, 'x'))).find("too long"), std::string::npos);
}

TEST(EventStream, StaysDamagedOnceItIs) {
  EventStreamDecoder decoder;
  std::string damaged = eventMessage("a", "1");
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  decoder.push(damaged);
  EXPECT_THROW(decoder.next(), Error);
  decoder.push(eventMessage("b", "2"));
  EXPECT_THROW(decoder.next(), Error) << "where the next message begins is not known";
}

}  // namespace
}  // namespace tidegate::kinesis
