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
  test::forEachSeed(3'000, [](std::uint64_t seed) {
    test::Random random(seed);
    std::vector<std::string> held(random.index(6));
    for (std::string& text : held) {
      text.resize(random.index(300));
      for (char& c : text) c = static_cast<char>(random.bits());
    }
    const std::vector<std::string_view> texts(held.begin(), held.end());
    std::vector<Sha256> digests(texts.size());
    sha256Each(texts, digests.data());
    for (std::size_t i = 0; i < texts.size(); ++i) {
      EXPECT_TRUE(digests[i] == sha256(texts[i])) << "text " << i << " of " << texts[i].size() << " octets";
    }
  });
}

}  // namespace
}  // namespace tidegate::detail
