// Tokens as attackers write them. Each one differs from one that holds by the attack alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "server/jwt_signer.h"
#include "support/manual_clock.h"
#include "support/property.h"
#include "tidegate/core/error.h"
#include "tidegate/server/jwt.h"

namespace tidegate::server {
namespace {

using test::base64Url;
using test::hmacSha256;
using test::makeToken;
using test::signers;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kHolds = R"({"sub":"u7","exp":1700003600})";

/// One key of each kind, with names, as a key set would give them.
class RecordingKeys final : public JwtKeys {
 public:
  std::vector<JwtKey> find(JwtAlgorithm algorithm, std::string_view id) const override {
    asked.emplace_back(id);
    return keys.find(algorithm, id);
  }
  FixedJwtKeys keys{{JwtKey::secret(signers().secret, "hs"), JwtKey::pem(signers().rsa.publicPem(), "rs"),
                     JwtKey::jwk(signers().ec.publicJwk(R"(,"kid":"es")")),
                     JwtKey::jwk(signers().ed.publicJwk(R"(,"kid":"ed")"))}};
  mutable std::vector<std::string> asked{};
};

struct AttackedJwt : ::testing::Test {
  AttackedJwt() : verifier({.clock = &clock}, keys) {}
  /// Why it does not hold; "" where it does.
  std::string fault(const std::string& token) {
    try {
      verifier.verify(token);
      return {};
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::authenticationFailed) << e.what();
      return e.message();
    }
  }
  tidegate::test::ManualClock clock{};
  std::shared_ptr<RecordingKeys> keys = std::make_shared<RecordingKeys>();
  JwtVerifier verifier;
};

std::string unsignedToken(const std::string& header, const std::string& payload = kHolds) {
  return base64Url(header) + '.' + base64Url(payload) + '.';
}

std::string signedWith(const std::string& secret, const std::string& header) {
  const std::string text = base64Url(header) + '.' + base64Url(kHolds);
  return text + '.' + base64Url(hmacSha256(secret, text));
}

TEST_F(AttackedJwt, IsNeverUnsigned) {
  ASSERT_EQ(fault(makeToken("HS256", kHolds)), "");
  for (const std::string none :
       {"none", "None", "NONE", "nOnE", "", "HS", "hs256", "HS256 ", "HS384", "PS256", "ES256K"}) {
    EXPECT_THAT(fault(unsignedToken(R"({"alg":")" + none + R"("})")), HasSubstr("is not signed with")) << none;
  }
  for (const std::string header :
       {"{}", R"({"alg":null})", R"({"alg":["none"]})", R"({"alg":5})", R"({"Alg":"HS256"})"}) {
    EXPECT_NE(fault(unsignedToken(header)), "") << header;
  }
  for (const std::string algorithm : {"HS256", "RS256", "ES256", "EdDSA"}) {
    EXPECT_THAT(fault(unsignedToken(R"({"alg":")" + algorithm + R"("})")), HasSubstr("not signed with a key"));
  }
}

TEST_F(AttackedJwt, TakesNoPublicKeyForASecret) {
  const std::string pem = signers().rsa.publicPem();
  for (const std::string& secret :
       {pem, pem.substr(0, pem.size() - 1), signers().rsa.publicJwk(), signers().ec.publicPem(), std::string()}) {
    for (const std::string header :
         {R"({"alg":"HS256"})", R"({"alg":"HS256","kid":"rs"})", R"({"alg":"HS256","kid":"es"})"}) {
      EXPECT_THAT(fault(signedWith(secret, header)), HasSubstr("not signed with a key")) << header;
    }
  }
  // And no signature of one algorithm holds as another's.
  for (const std::string real : {"HS256", "RS256", "ES256", "EdDSA"}) {
    for (const std::string said : {"HS256", "RS256", "ES256", "EdDSA"}) {
      EXPECT_EQ(fault(makeToken(real, kHolds, R"({"alg":")" + said + R"("})")) == "", real == said) << real << said;
    }
  }
}

TEST_F(AttackedJwt, ReadsNoKeyFromTheToken) {
  const auto mine = test::Signer::rsa();
  for (const std::string& more :
       {R"("jwk":)" + mine.publicJwk(), std::string(R"("jku":"https://evil.example/keys")"),
        std::string(R"("x5u":"https://evil.example/cert")"), R"("x5c":[")" + base64Url(mine.publicPem()) + R"("])"}) {
    const std::string text = base64Url(R"({"alg":"RS256",)" + more + "}") + '.' + base64Url(kHolds);
    EXPECT_THAT(fault(text + '.' + base64Url(mine.sign(text))), HasSubstr("not signed with a key")) << more;
    // They are not read at all: a token that is signed rightly holds whatever they say.
    EXPECT_EQ(fault(makeToken("RS256", kHolds, R"({"alg":"RS256",)" + more + "}")), "") << more;
  }
}

TEST_F(AttackedJwt, OnlyComparesTheNameOfAKey) {
  for (const std::string kid :
       {"../../../../dev/null", "/dev/null", "file:///etc/passwd", "x' OR '1'='1", "x'; DROP TABLE keys; --", "| id",
        "$(id)", "rs\\u0000", "https://evil.example/k", "hs ", "HS", "%68%73", "\\u0000"}) {
    // "/dev/null" as a secret is the empty one.
    EXPECT_THAT(fault(signedWith("", R"({"alg":"HS256","kid":")" + kid + R"("})")), HasSubstr("not signed with a key"))
        << kid;
    EXPECT_THAT(fault(makeToken("HS256", kHolds, R"({"alg":"HS256","kid":")" + kid + R"("})")),
                HasSubstr("not signed with a key"))
        << kid;
  }
  for (const std::string kid : {"5", "null", "[\"hs\"]", "{}"}) {
    EXPECT_NE(fault(makeToken("HS256", kHolds, R"({"alg":"HS256","kid":)" + kid + "}")), "") << kid;
  }
  EXPECT_EQ(fault(makeToken("HS256", kHolds, R"({"alg":"HS256","kid":"hs"})")), "");
}

TEST_F(AttackedJwt, RefusesExtensionsThatItDoesNotKnow) {
  for (const std::string crit : {R"(["b64"],"b64":false)", R"(["exp"],"exp":1)", "[]", "null", "5", R"("exp")"}) {
    EXPECT_THAT(fault(makeToken("HS256", kHolds, R"({"alg":"HS256","crit":)" + crit + "}")), HasSubstr("crit")) << crit;
  }
}

TEST_F(AttackedJwt, RefusesMembersThatAreThereTwice) {
  EXPECT_THAT(fault(makeToken("HS256", kHolds, R"({"alg":"HS256","alg":"HS256"})")), HasSubstr("twice"));
  EXPECT_THAT(fault(unsignedToken(R"({"alg":"none","alg":"HS256"})")), HasSubstr("twice"));
  EXPECT_THAT(fault(makeToken("HS256", R"({"exp":1,"exp":1700003600})")), HasSubstr("twice"));
  EXPECT_THAT(fault(makeToken("HS256", R"({"sub":"a","s\u0075b":"b","exp":1700003600})")), HasSubstr("twice"));
}

TEST_F(AttackedJwt, RefusesSignaturesOfAnotherShape) {
  const auto with = [](const std::string& algorithm, const std::string& signature) {
    return unsignedToken(R"({"alg":")" + algorithm + R"("})") + base64Url(signature);
  };
  for (const std::string algorithm : {"HS256", "RS256", "ES256", "EdDSA"}) {
    for (const std::size_t size :
         std::initializer_list<std::size_t>{0, 1, 31, 32, 33, 63, 64, 65, 70, 72, 128, 255, 256, 257, 1024}) {
      for (const char octet : {'\0', '\x01', '\xff'}) {
        EXPECT_THAT(fault(with(algorithm, std::string(size, octet))), HasSubstr("not signed with a key"))
            << algorithm << size;
      }
    }
    // What holds, cut, and with something behind it.
    const std::string token = makeToken(algorithm, kHolds);
    EXPECT_NE(fault(token.substr(0, token.size() - 4)), "");
    EXPECT_NE(fault(token + "AAAA"), "");
    EXPECT_NE(fault(token + "A"), "");
  }
  // The order of P-256, and numbers near it: r and s must lie below.
  const std::string order = "\xFF\xFF\xFF\xFF" + std::string(4, '\0') + std::string(8, '\xFF') +
                            std::string("\xBC\xE6\xFA\xAD\xA7\x17\x9E\x84\xF3\xB9\xCA\xC2\xFC\x63\x25\x51", 16);
  for (const auto& [r, s] : {std::pair(order, order), {std::string(32, '\0'), order}, {order, std::string(32, '\1')}}) {
    EXPECT_THAT(fault(with("ES256", r + s)), HasSubstr("not signed with a key"));
  }
  // DER, as other libraries write it, is not JOSE's form.
  EXPECT_THAT(fault(with("ES256", std::string("\x30\x06\x02\x01\x01\x02\x01\x01", 8))), HasSubstr("not signed"));
}

TEST_F(AttackedJwt, RefusesWhatIsMalformed) {
  const std::string good = makeToken("HS256", kHolds);
  const std::size_t first = good.find('.'), second = good.find('.', first + 1);
  const std::string header = good.substr(0, first), payload = good.substr(first + 1, second - first - 1),
                    signature = good.substr(second + 1);
  for (const std::string& token : {std::string(),
                                   std::string("."),
                                   std::string(".."),
                                   std::string("..."),
                                   std::string("a.b"),
                                   header,
                                   header + '.' + payload,
                                   good + '.',
                                   '.' + good,
                                   good + ".x.y",
                                   header + ".." + signature,
                                   header + '.' + payload + "=." + signature,
                                   header + '=' + good.substr(first),
                                   good + '=',
                                   good + ' ',
                                   ' ' + good,
                                   good + '\n',
                                   header + '+' + good.substr(first),
                                   base64Url("{") + good.substr(first),
                                   base64Url("[]") + good.substr(first),
                                   base64Url("\"HS256\"") + good.substr(first),
                                   base64Url("null") + good.substr(first),
                                   base64Url("{\"alg\":\"HS256\"} x") + good.substr(first),
                                   base64Url("\xEF\xBB\xBF{\"alg\":\"HS256\"}") + good.substr(first),
                                   base64Url("{'alg':'HS256'}") + good.substr(first),
                                   base64Url("{\"alg\":\"HS256\",}") + good.substr(first),
                                   base64Url("{\"alg\":\"HS256\"/**/}") + good.substr(first),
                                   base64Url("{\"alg\":\"HS256\",\"x\":\"\xFF\"}") + good.substr(first),
                                   base64Url("{\"alg\":\"HS256\",\"x\":\"\xC0\xAE\"}") + good.substr(first)}) {
    EXPECT_NE(fault(token), "") << token;
  }
  for (const std::string body :
       {"", "{", "[]", "5", "null", "\"x\"", "{\"exp\":1700003600}x", "{\"exp\":01700003600}", "{\"exp\":1700003600,}",
        "{\"exp\":NaN}", "{\"exp\":Infinity}", "{\"sub\":\"\\ud800\",\"exp\":1700003600}"}) {
    EXPECT_NE(fault(makeToken("HS256", body)), "") << body;
  }
}

TEST_F(AttackedJwt, HasOneTextForEachSetOfOctets) {
  const std::string good = makeToken("HS256", kHolds);
  ASSERT_EQ(fault(good), "");
  // 32 octets leave two bits over in the last letter: other letters would decode to the same octets.
  static constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  unsigned holding = 0;
  for (const char last : kLetters) holding += fault(good.substr(0, good.size() - 1) + last).empty() ? 1 : 0;
  EXPECT_EQ(holding, 1u);
}

TEST_F(AttackedJwt, IsRefusedUnreadWhereItIsTooLong) {
  const std::string huge = makeToken("HS256", R"({"exp":1700003600,"x":")" + std::string(9000, 'x') + R"("})");
  EXPECT_THAT(fault(huge), HasSubstr("too long"));
  EXPECT_THAT(fault(std::string(1 << 20, '.')), HasSubstr("too long"));
  EXPECT_TRUE(keys->asked.empty());
  std::string deep = R"({"exp":1700003600,"x":)" + std::string(2000, '[') + std::string(2000, ']') + '}';
  EXPECT_NE(fault(makeToken("HS256", deep)), "");
}

TEST_F(AttackedJwt, SaysNothingOfWhatWasShown) {
  const std::string marked = R"({"sub":"marked-subject","role":"marked-role","exp":1})";
  for (const std::string& token : {makeToken("HS256", marked), makeToken("HS256", marked, R"({"alg":"marked-alg"})"),
                                   makeToken("HS256", marked, R"({"alg":"HS256","kid":"marked-kid"})")}) {
    EXPECT_THAT(fault(token), Not(HasSubstr("marked")));
    EXPECT_THAT(fault(token), Not(HasSubstr(token.substr(0, 12))));
  }
}

// Whatever is changed in a token that holds, by one character or by several, it holds no longer.
TEST(AttackedJwtProperty, HoldsOnlyAsItWasSigned) {
  tidegate::test::ManualClock clock;
  const JwtVerifier verifier({.clock = &clock}, std::make_shared<RecordingKeys>());
  const std::vector<std::string> tokens{makeToken("HS256", kHolds), makeToken("RS256", kHolds),
                                        makeToken("ES256", kHolds), makeToken("EdDSA", kHolds)};
  tidegate::test::forEachSeed(300, [&](std::uint64_t seed) {
    tidegate::test::Random random(seed);
    const std::string& good = random.pick(tokens);
    std::string changed = good;
    for (std::uint64_t n = 1 + random.below(3); n > 0; --n) {
      const std::size_t at = random.index(changed.size());
      switch (random.below(3)) {
        case 0:
          changed[at] = static_cast<char>(random.between('-', 'z'));
          break;
        case 1:
          changed.erase(at, 1);
          break;
        default:
          changed.insert(at, 1, static_cast<char>(random.between('-', 'z')));
      }
    }
    if (changed == good) return;
    EXPECT_THROW(verifier.verify(changed), Error) << changed;
  });
}

}  // namespace
}  // namespace tidegate::server
