// Octets as text, beside OpenSSL's.
#include "core/detail/octet_text.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <algorithm>

#include "support/property.h"

namespace tidegate::detail {
namespace {

std::string anyOctets(test::Random& random) {
  std::string octets(random.index(200), '\0');
  for (char& c : octets) c = static_cast<char>(random.below(256));
  return octets;
}

std::string opensslBase64(std::string_view octets) {
  std::string out((octets.size() + 2) / 3 * 4 + 1, '\0');
  out.resize(static_cast<std::size_t>(EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                                      reinterpret_cast<const unsigned char*>(octets.data()),
                                                      static_cast<int>(octets.size()))));
  return out;
}

TEST(OctetText, IsWhatOthersWriteAndReadsBack) {
  test::forEachSeed(500, [](std::uint64_t seed) {
    test::Random random(seed);
    const std::string octets = anyOctets(random), text = base64Of(octets);
    EXPECT_EQ(text, opensslBase64(octets));
    EXPECT_EQ(fromBase64(text), octets);
    std::string url = text;
    std::erase(url, '=');
    std::replace(url.begin(), url.end(), '+', '-');
    std::replace(url.begin(), url.end(), '/', '_');
    EXPECT_EQ(base64UrlOf(octets), url);
    EXPECT_EQ(fromBase64Url(url), octets);
    EXPECT_EQ(fromHex(hexOf(octets)), octets);
  });
}

TEST(OctetText, OctetsHaveOneText) {
  test::forEachSeed(2'000, [](std::uint64_t seed) {
    test::Random random(seed);
    std::string text = base64Of(anyOctets(random));
    if (text.empty()) return;
    const std::string before = text;
    text[random.index(text.size())] = static_cast<char>(random.below(256));
    const auto octets = fromBase64(text);
    if (octets) {
      EXPECT_EQ(base64Of(*octets), text);
    }
    std::string url = text;
    std::erase(url, '=');
    const auto fromUrl = fromBase64Url(url);
    if (fromUrl) {
      EXPECT_EQ(base64UrlOf(*fromUrl), url);
    }
  });
}

TEST(OctetText, NothingElseIsRead) {
  for (const char* text :
       {"A", "AA", "AAA", "A===", "AA=A", "AAAA=", "AAA=AAAA", "AB==", "AAB=", "AA AA", "AAA\n", "AA-_", "===="}) {
    EXPECT_FALSE(fromBase64(text)) << text;
  }
  for (const char* text : {"A", "AA==", "AB", "AAB", "AAAAA", "A+", "A/", "AA A"})
    EXPECT_FALSE(fromBase64Url(text)) << text;
  for (const char* text : {"0", "0g", "0G", "AB", " 0", "0x"}) EXPECT_FALSE(fromHex(text)) << text;
}

TEST(OctetText, WhatIsAppendedToIsAsItWasWhereTheTextIsNone) {
  std::string out = "before";
  EXPECT_FALSE(appendFromBase64("AAAAAAA*", out));
  EXPECT_FALSE(appendFromHex("00112g", out));
  EXPECT_EQ(out, "before");
  EXPECT_TRUE(appendFromBase64("YWZ0ZXI=", out));
  EXPECT_TRUE(appendFromHex("21", out));
  EXPECT_EQ(out, "beforeafter!");
}

}  // namespace
}  // namespace tidegate::detail
