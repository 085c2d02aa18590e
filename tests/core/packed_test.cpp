#include "core/detail/packed.h"

#include <gtest/gtest.h>

#include <limits>

#include "support/random_value.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace {

std::string packed(const Value& v) {
  std::string out;
  packValue(v, out);
  return out;
}

TEST(Packed, IsTheDocumentedFormat) {
  using namespace std::string_literals;
  EXPECT_EQ(packed(Null{}), "\x00"s);
  EXPECT_EQ(packed(true), "\x01\x01"s);
  EXPECT_EQ(packed(-1), "\x02\x01"s);
  EXPECT_EQ(packed(64), "\x02\x80\x01"s);
  EXPECT_EQ(packed(UINT64_MAX), "\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s);
  EXPECT_EQ(packed(1.0), "\x04\0\0\0\0\0\0\xf0\x3f"s);
  EXPECT_EQ(packed(Decimal{"1.5"}),
            "\x05\x03"
            "1.5"s);
  EXPECT_EQ(packed("ab"),
            "\x06\x02"
            "ab"s);
  EXPECT_EQ(packed(Bytes{"\0"s}), "\x07\x01\0"s);
  EXPECT_EQ(packed(Date{1}), "\x08\x02"s);
  EXPECT_EQ(packed(Time{-1}), "\x09\x01"s);
  EXPECT_EQ(packed(Timestamp::utc(1)), "\x0a\x01\x01\0\0\0\0\0\0\0"s);
  EXPECT_EQ(packed(Uuid{}), "\x0b"s + std::string(16, '\0'));
  EXPECT_EQ(packed(Json{"{}"}), "\x0c\x02{}"s);
}

TEST(Packer, WritesValuesBehindEachOtherAsPackValueDoes) {
  std::string memory;
  test::forEachSeed(500, [&](std::uint64_t seed) {
    test::Random random(seed);
    if (random.chance(50)) memory = std::string(random.below(64), 'm');  // so that its end is met in all places
    memory.shrink_to_fit();
    Packer packer(memory);
    std::string expected;
    for (std::uint64_t i = random.below(20); i > 0; --i) {
      Value value = test::randomValue(random);
      if (random.chance(2)) value = std::string(random.below(5'000), 'x');
      packer.add(value);
      packValue(value, expected);
    }
    EXPECT_EQ(packer.packed(), expected);
    EXPECT_EQ(packer.size(), expected.size());
  });
}

TEST(Packed, ReadsWhatItWroteAndIsEqualExactlyWhenValuesAre) {
  test::forEachSeed(2000, [](std::uint64_t seed) {
    test::Random random(seed);
    const Value a = test::randomValue(random);
    const Value b = random.chance(20) ? a : test::randomValue(random);
    const std::string both = packed(a) + packed(b);
    PackedReader reader(both);
    Value read = test::randomValue(random);
    reader.value(read);
    EXPECT_TRUE(read == a) << describe(a);
    reader.value(read);
    EXPECT_TRUE(read == b) << describe(b);
    EXPECT_TRUE(reader.done());
    PackedReader skipper(both);
    EXPECT_EQ(skipper.packedValue(), packed(a));
    EXPECT_EQ(skipper.packedValue(), packed(b));
    EXPECT_EQ(packed(a) == packed(b), a == b);
    EXPECT_EQ(samePacked(packed(a), packed(b)), sameValue(a, b)) << describe(a) << " " << describe(b);
  });
}

TEST(Packed, KnowsTheSpellingsOfOneValue) {
  EXPECT_TRUE(samePacked(packed(1), packed(1.0)));
  EXPECT_TRUE(samePacked(packed(Decimal{"1.50"}), packed(Decimal{"1.5"})));
  EXPECT_TRUE(samePacked(packed(Json{"{ }"}), packed(Json{"{}"})));
  EXPECT_TRUE(
      samePacked(packed(std::numeric_limits<double>::quiet_NaN()), packed(-std::numeric_limits<double>::quiet_NaN())));
  EXPECT_FALSE(samePacked(packed(0.0), packed(-0.0)));
  EXPECT_FALSE(samePacked(packed(1), packed("1")));
  EXPECT_FALSE(samePacked(packed(Json{"1"}), packed(1)));
}

TEST(Packed, RefusesDamagedOctetsWithoutReadingPastThem) {
  test::forEachSeed(3000, [](std::uint64_t seed) {
    test::Random random(seed);
    std::string octets = packed(test::randomValue(random));
    if (random.chance(50)) octets.resize(random.index(octets.size() + 1));
    if (!octets.empty()) octets[random.index(octets.size())] = static_cast<char>(random.below(256));
    const std::string exact(octets);  // its own allocation, so that a sanitizer sees a read past the end
    for (const bool skip : {false, true}) {
      PackedReader reader(exact);
      try {
        if (skip)
          reader.packedValue();
        else
          reader.value();
      } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::storeCorrupt);
      }
    }
  });
  EXPECT_THROW(PackedReader("").value(), Error);
  EXPECT_THROW(PackedReader("\x0d").value(), Error);
  EXPECT_THROW(PackedReader("\x01\x02").value(), Error);
  EXPECT_THROW(PackedReader(std::string("\x06\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11)).value(), Error);
  EXPECT_THROW(PackedReader(std::string("\x02") + std::string(10, '\xff')).value(), Error);
}

TEST(Packed, ReadsANumberInItsOneSpellingOnly) {
  const std::string nine(9, '\xff');
  EXPECT_EQ(PackedReader(nine + "\x01").varint(), UINT64_MAX);
  EXPECT_THROW(PackedReader(nine + "\x02").varint(), Error) << "over 64 bits";
  EXPECT_THROW(PackedReader(std::string("\x81\x00", 2)).varint(), Error) << "1, with a needless octet";
  EXPECT_EQ(PackedReader(std::string("\x00", 1)).varint(), 0u);
}

}  // namespace
}  // namespace tidegate::detail
