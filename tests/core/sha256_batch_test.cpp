#include "core/detail/sha256_batch.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/property.h"
#include "tidegate/core/delta.h"

namespace tidegate::detail {
namespace {

TEST(Sha256Each, HashesTheExamplesOfFips180) {
  const std::vector<std::string_view> texts{"abc", "", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"};
  std::vector<Sha256> digests(texts.size());
  sha256Each(texts, digests.data());
  EXPECT_EQ(DeltaId{digests[0]}.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(DeltaId{digests[1]}.hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(DeltaId{digests[2]}.hex(), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256Each, AgreesWithOpenSslOnEveryLengthBesideEveryOther) {
  constexpr std::size_t kMost = 260;  // four blocks and the borders of each
  test::Random random(1);
  std::string octets(kMost, '\0');
  for (char& c : octets) c = static_cast<char>(random.bits());
  std::vector<Sha256> expected;
  for (std::size_t length = 0; length <= kMost; ++length) expected.push_back(sha256(octets.substr(0, length)));
  for (std::size_t a = 0; a <= kMost; ++a) {
    for (std::size_t b = 0; b <= kMost; ++b) {
      const std::vector<std::string_view> texts{std::string_view(octets).substr(0, a),
                                                std::string_view(octets).substr(0, b),
                                                std::string_view(octets).substr(0, a)};
      std::vector<Sha256> digests(texts.size());
      sha256Each(texts, digests.data());
      ASSERT_TRUE(digests[0] == expected[a] && digests[1] == expected[b] && digests[2] == expected[a]) << a << ' ' << b;
    }
  }
}

}  // namespace
}  // namespace tidegate::detail
