#include "gateway/detail/push_scanner.h"

#include <gtest/gtest.h>

#include "support/property.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace {

using test::Random;

bool samePush(const SyncPush& a, const SyncPush& b) {
  return a.clientId == b.clientId && a.deltas == b.deltas && a.lastSeenHlc == b.lastSeenHlc;
}

std::string plainPush() {
  return R"({"clientId":"phone","deltas":[{"op":"INSERT","table":"t","rowId":"1","clientId":"phone","columns":[)"
         R"({"column":"title","value":"Milk and bread, caf\u00e9"},{"column":"n","value":-12},{"column":"d","value":1.5e3},)"
         R"({"column":"b","value":true},{"column":"z","value":null}],"hlc":"42"}],"lastSeenHlc":"7"})";
}

TEST(PushScanner, TakesWhatClientsWriteAndLeavesTheRestToTheTree) {
  std::string text = plainPush();
  EXPECT_FALSE(scanPush(text)) << "an escape";
  text.replace(text.find("\\u00e9"), 6, "\xC3\xA9");
  const auto scanned = scanPush(text);
  ASSERT_TRUE(scanned);
  EXPECT_TRUE(samePush(*scanned, readPushTree(text)));
  EXPECT_TRUE(scanPush(" { \"deltas\" : [ ] , \"clientId\" : \"a\" } \n"));
  for (const char* other :
       {R"({"clientId":"a","deltas":[],"more":1})", R"({"clientId":"a","clientId":"b","deltas":[]})",
        R"({"clientId":"a"})", R"({"clientId":"a","deltas":[]}x)", R"({"clientId":"a","deltas":[],})",
        "{\"clientId\":\"\xFF\",\"deltas\":[]}", ""}) {
    EXPECT_FALSE(scanPush(other)) << other;
  }
}

/// Changes, drops or doubles an octet here and there.
std::string damaged(Random& random, std::string text) {
  static const std::string kOctets = "{}[]\",:\\0123456789.eE+-tfn \t\x01\x80\xC3\xFF";
  for (std::uint64_t times = random.below(3) + 1; times-- > 0;) {
    const std::size_t at = random.index(text.size());
    if (random.chance(40)) {
      text[at] = random.pick(kOctets);
    } else if (random.chance(50)) {
      text.erase(at, 1 + random.index(4));
    } else {
      text.insert(at, 1, random.pick(kOctets));
    }
    if (text.empty()) return "{";
  }
  return text;
}

TEST(PushScanner, NeverTakesWhatTheTreeRefusesAndReadsTheSame) {
  std::string plain = plainPush();
  plain.replace(plain.find("\\u00e9"), 6, "\xC3\xA9");
  std::size_t taken = 0;
  test::forEachSeed(20'000, [&](std::uint64_t seed) {
    Random random(seed);
    const std::string text = damaged(random, plain);
    const auto scanned = scanPush(text);
    if (!scanned) return;
    ++taken;
    try {
      EXPECT_TRUE(samePush(*scanned, readPushTree(text))) << text;
    } catch (const Error& e) {
      ADD_FAILURE() << "the tree refuses it: " << e.what() << "\n" << text;
    }
  });
  EXPECT_GT(taken, test::seedsOf(20'000) / 200) << "the damage is so heavy that nothing is tested";
}

}  // namespace
}  // namespace tidegate::detail
