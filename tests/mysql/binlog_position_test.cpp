#include "mysql/detail/binlog_position.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "support/property.h"
#include "tidegate/core/error.h"

namespace tidegate::mysql::detail {
namespace {

constexpr auto kLess = std::partial_ordering::less;
constexpr auto kUnordered = std::partial_ordering::unordered;

Place at(const std::string& text) { return placeOf(positionFromText(text)); }

TEST(BinlogPosition, OneDomainNeedsNoMemoryOfItsOwn) {
  EXPECT_LE(positionFromText("0-1-123456789").octets.size(), 15u);
  EXPECT_LE(positionFromText("0-4000000000-123456789").octets.size(), 15u);
}

TEST(BinlogPosition, IsReadBackFromItsText) {
  for (const char* text : {"none", "0-1-5", "0-1-5,1-2-7", "0-1-5+4294967299@0-1-6", "none+1@0-1-1", "file:1/3/4567",
                           "file:1/3/4567+12", "0-1-5;xa=0-1-4", "0-1-5+7@0-1-6;xa=", "file:1/3/9;xa=file:1/2/4"}) {
    EXPECT_EQ(positionToText(positionFromText(text)), text);
    EXPECT_TRUE(positionOf(at(text)) == positionFromText(text)) << text;
  }
}

TEST(BinlogPosition, WhatIsNoneIsRefused) {
  for (const char* text : {"", "0-1", "0-1-5+3", "0-1-5+0@0-1-6", "file:1/3", "file:1/3/4@0-1-1", "file:1/3/x",
                           "0-1-5,", "0-1-99999999999999999999999", "-1-2-3", "file:1/2/3;xa=0-1-1"}) {
    try {
      const Position read = positionFromText(text);
      if (std::string(text) == "0-1-5,") continue;  // a comma at the end says nothing
      ADD_FAILURE() << text << " was read as " << positionToText(read);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::parseError) << text;
    }
  }
  for (const std::string& octets :
       std::vector<std::string>{"", "G", "X\x01", "F\x01\x02", std::string("G\x01\x80\x00\x01\x05\x00", 7)}) {
    EXPECT_THROW(placeOf(Position{octets}), Error);
  }
}

TEST(BinlogPosition, OfATransactionsChangesAreWrittenOneAfterAnother) {
  for (const char* text : {"0-1-5+1@0-1-6", "none+1@0-1-1", "file:1/3/4567+1", "0-1-5+1@0-1-6;xa=0-1-4"}) {
    Place place = at(text);
    PositionWriter writer(place);
    Position written;
    for (const std::uint64_t ordinal : {std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{127}, std::uint64_t{128},
                                        std::uint64_t{3}, UINT64_MAX, std::uint64_t{1} << 32}) {
      place.ordinal = ordinal;
      writer.write(ordinal, written);
      EXPECT_TRUE(written == positionOf(place)) << positionToText(positionOf(place));
    }
  }
}

TEST(BinlogPosition, GoesFromTheBorderThroughTheTransactionToTheNextBorder) {
  const std::vector<std::string> inOrder{"none",          "none+1@0-1-1", "0-1-1",       "0-1-1+3@0-1-2",
                                         "0-1-1+9@0-1-2", "0-1-2",        "0-1-2,1-1-1", "0-2-3,1-1-1"};
  for (std::size_t i = 0; i < inOrder.size(); ++i) {
    for (std::size_t k = 0; k < inOrder.size(); ++k) {
      EXPECT_EQ(comparePlaces(at(inOrder[i]), at(inOrder[k])), std::partial_ordering(i <=> k))
          << inOrder[i] << " and " << inOrder[k];
    }
  }
  EXPECT_EQ(comparePlaces(at("file:1/9/100"), at("file:1/10/4")), kLess) << "files are ordered by number";
  EXPECT_EQ(comparePlaces(at("file:1/3/4"), at("file:2/3/4")), kUnordered) << "places of two servers";
  EXPECT_EQ(comparePlaces(at("0-1-5,1-1-2"), at("0-1-4,1-1-3")), kUnordered);
  EXPECT_EQ(comparePlaces(at("0-1-5"), at("file:1/3/4")), kUnordered);
}

TEST(BinlogPosition, TheMeetMissesNothingOfEither) {
  EXPECT_EQ(positionToText(positionOf(meetOf(at("0-1-5,1-1-2"), at("0-1-4,1-1-3")))), "0-1-4,1-1-2");
  EXPECT_EQ(positionToText(positionOf(meetOf(at("0-1-5+3@0-1-6"), at("0-1-5+3@1-1-1")))), "0-1-5");
  EXPECT_EQ(positionToText(positionOf(meetOf(at("0-1-5,1-1-2;xa=0-1-1"), at("0-1-4,1-1-3")))), "0-1-4,1-1-2;xa=0-1-1");
  EXPECT_THROW(meetOf(at("file:1/3/4"), at("file:2/3/4")), Error);
}

/// A random state of up to three domains.
Place randomPlace(std::mt19937_64& random) {
  Place place;
  for (std::uint32_t domain = 0; domain < 3; ++domain) {
    if (random() % 3 != 0) place.before.gtids.set({domain, 1, random() % 4 + 1});
  }
  if (random() % 2 == 0) {
    place.ordinal = random() % 3 + 1;
    place.current = {0, 1, place.before.gtids.sequenceOf(0) + 1};
  }
  return place;
}

TEST(BinlogPosition, MeetIsAtOrBeforeBothAndNoBorderBehindItIs) {
  test::forEachSeed(200, [](std::uint64_t seed) {
    std::mt19937_64 random(seed);
    const Place a = randomPlace(random), b = randomPlace(random);
    Place c = randomPlace(random);
    const auto within = [](const Place& x, const Place& y) {
      const auto order = comparePlaces(x, y);
      return order == kLess || order == std::partial_ordering::equivalent;
    };
    const Place met = meetOf(a, b);
    EXPECT_TRUE(within(met, a) && within(met, b));
    EXPECT_TRUE(!(within(a, b) && within(b, c)) || within(a, c));
    c.ordinal = 0;
    c.current = {};
    EXPECT_TRUE(!(within(c, a) && within(c, b)) || within(c, met));
    EXPECT_TRUE(positionOf(placeOf(positionOf(a))) == positionOf(a));
    EXPECT_TRUE(positionFromText(positionToText(positionOf(a))) == positionOf(a));
  });
}

}  // namespace
}  // namespace tidegate::mysql::detail
