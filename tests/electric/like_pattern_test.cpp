#include "electric/detail/like_pattern.h"

#include <gtest/gtest.h>

#include <string>

#include "support/property.h"

namespace tidegate::electric::detail {
namespace {

bool like(std::string_view text, std::string_view pattern, std::string_view escape = "\\", bool fold = false) {
  return isLike(text, likePattern(pattern, escape, fold).value(), fold);
}

TEST(LikePattern, PercentIsAnyRunAndUnderscoreOneCharacter) {
  EXPECT_TRUE(like("", ""));
  EXPECT_TRUE(like("", "%"));
  EXPECT_FALSE(like("", "_"));
  EXPECT_TRUE(like("abc", "a%"));
  EXPECT_TRUE(like("abc", "%c"));
  EXPECT_TRUE(like("abc", "%b%"));
  EXPECT_FALSE(like("abc", "%b"));
  EXPECT_TRUE(like("abcabc", "%b_"));
  EXPECT_FALSE(like("abc", "ab"));
  EXPECT_FALSE(like("ab", "abc"));
}

TEST(LikePattern, UnderscoreTakesACharacterNotAnOctet) {
  EXPECT_TRUE(like("é", "_"));
  EXPECT_TRUE(like("aéb", "a_b"));
  EXPECT_FALSE(like("é", "__"));
  EXPECT_TRUE(like("日本語", "_本%"));
}

TEST(LikePattern, AnEscapedCharacterStandsForItself) {
  EXPECT_TRUE(like("50%", "50\\%"));
  EXPECT_FALSE(like("505", "50\\%"));
  EXPECT_TRUE(like("a_b", "a!_b", "!"));
  EXPECT_TRUE(like("a\\", "a\\", ""));
  EXPECT_TRUE(like("é%", "éé%", "é"));
  EXPECT_FALSE(likePattern("a\\", "\\", false));
}

TEST(LikePattern, FoldsAsciiLettersWhereAsked) {
  EXPECT_TRUE(like("HeLLo", "hEl%", "\\", true));
  EXPECT_FALSE(like("HeLLo", "hEl%"));
  EXPECT_FALSE(like("É", "é", "\\", true));
}

/// The definition itself, without a thought for time.
bool slow(std::string_view text, std::string_view pattern) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '%') return slow(text, pattern.substr(1)) || (!text.empty() && slow(text.substr(1), pattern));
  return !text.empty() && (pattern[0] == '_' || pattern[0] == text[0]) && slow(text.substr(1), pattern.substr(1));
}

TEST(LikePattern, AgreesWithItsDefinitionOnRandomTexts) {
  test::forEachSeed(200, [](std::uint64_t seed) {
    test::Random random(seed);
    for (int i = 0; i < 200; ++i) {
      std::string text, pattern;
      for (std::uint64_t n = random.below(9); n > 0; --n) text += static_cast<char>('a' + random.below(2));
      for (std::uint64_t n = random.below(7); n > 0; --n) pattern += "ab%_"[random.below(4)];
      ASSERT_EQ(like(text, pattern), slow(text, pattern)) << text << " LIKE " << pattern;
    }
  });
}

TEST(LikePattern, ManyRunsTakeNoMoreThanTheProductOfTheLengths) {
  const std::string text(20'000, 'a');
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += "%a";
  EXPECT_FALSE(like(text, pattern + "%b"));  // backtracking into every run would never end
}

}  // namespace
}  // namespace tidegate::electric::detail
