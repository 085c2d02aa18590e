#include "tidegate/server/jwt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/detail/octet_text.h"
#include "server/expect_error.h"
#include "server/jwt_signer.h"
#include "support/manual_clock.h"
#include "tidegate/core/error.h"

namespace tidegate::server {
namespace {

using test::makeToken;
using test::signers;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

// 2023-11-14T22:13:20Z, where ManualClock begins.
const std::string kLater = R"("exp":1700003600)";

std::shared_ptr<const JwtKeys> allKeys() {
  return std::make_shared<FixedJwtKeys>(
      std::vector{JwtKey::secret(signers().secret), JwtKey::pem(signers().rsa.publicPem()),
                  JwtKey::jwk(signers().ec.publicJwk()), JwtKey::jwk(signers().ed.publicJwk())});
}

struct VerifiedJwt : ::testing::Test {
  Identity verify(const std::string& payload, JwtOptions options = {}) {
    return verifyToken(makeToken("HS256", payload), std::move(options));
  }
  Identity verifyToken(const std::string& token, JwtOptions options = {}) {
    options.clock = &clock;
    return JwtVerifier(std::move(options), allKeys()).verify(token);
  }
  /// Why it does not hold; "" where it does.
  std::string fault(const std::string& payload, JwtOptions options = {}) {
    try {
      verify(payload, std::move(options));
      return {};
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::authenticationFailed);
      return e.message();
    }
  }
  tidegate::test::ManualClock clock{};
};

TEST_F(VerifiedJwt, HoldsForEachAlgorithmWithItsOwnKey) {
  for (const std::string algorithm : {"HS256", "RS256", "ES256", "EdDSA"}) {
    const Identity who = verifyToken(makeToken(algorithm, R"({"sub":"u7",)" + kLater + "}"));
    EXPECT_EQ(who.role, Role::client) << algorithm;
    EXPECT_EQ(who.subject, "u7");
    EXPECT_EQ(who.until, Clock::Micros(1'700'003'630s));  // its end, and the tolerance
  }
}

TEST_F(VerifiedJwt, BringsItsClaimsAsTexts) {
  const Identity who = verify(R"({"sub":"u7","gw":"g1","iss":"me","teams":["a","b"],"level":3,"ratio":2.5,"on":true,
      "mixed":["a",1,false],"big":9007199254740993,"nothing":null,"deep":{"a":1},"half":["a",null],"none":[],
      "iat":1700000000,"nbf":1699999999,"jti":"x","__proto__":"p",)" +
                              kLater + "}");
  const Claims expected{{"sub", {"u7"}},
                        {"gw", {"g1"}},
                        {"iss", {"me"}},
                        {"teams", {"a", "b"}},
                        {"level", {"3"}},
                        {"ratio", {"2.5"}},
                        {"on", {"true"}},
                        {"mixed", {"a", "1", "false"}},
                        {"big", {"9007199254740993"}},
                        {"__proto__", {"p"}}};
  EXPECT_EQ(who.claims, expected);
}

TEST_F(VerifiedJwt, TakesTheRoleFromTheClaimThatIsNamed) {
  EXPECT_EQ(verify(R"({"role":"admin",)" + kLater + "}").role, Role::admin);
  EXPECT_EQ(verify(R"({"role":["x","admin"],)" + kLater + "}").role, Role::admin);
  for (const std::string role :
       {R"("Admin")", R"("client")", R"("root")", "null", "{}", "1", "true", R"([{},"admin"])"}) {
    EXPECT_EQ(verify(R"({"role":)" + role + "," + kLater + "}").role, Role::client) << role;
  }
  const JwtOptions other{.roleClaim = "groups", .adminRoles = {"operators", "owners"}};
  EXPECT_EQ(verify(R"({"role":"admin",)" + kLater + "}", other).role, Role::client);
  EXPECT_EQ(verify(R"({"groups":["owners"],)" + kLater + "}", other).role, Role::admin);
}

TEST_F(VerifiedJwt, HoldsFromItsBeginToItsEndWithinTheTolerance) {
  const std::string payload = R"({"nbf":1700000100,"exp":1700000200})";
  const auto at = [&](std::int64_t seconds) {
    clock.setWall(std::chrono::seconds(seconds));
    return fault(payload, {.tolerance = 10s});
  };
  EXPECT_THAT(at(1'700'000'089), HasSubstr("does not hold yet"));
  EXPECT_EQ(at(1'700'000'090), "");
  EXPECT_EQ(at(1'700'000'209), "");
  EXPECT_THAT(at(1'700'000'210), HasSubstr("has expired"));
}

TEST_F(VerifiedJwt, NeedsAnEndThatIsATime) {
  EXPECT_THAT(fault("{}"), HasSubstr("no end"));
  for (const std::string exp :
       {"\"1700003600\"", "null", "true", "-1", "1e300", "99999999999999999999999", "[1700003600]", "{}"}) {
    EXPECT_THAT(fault(R"({"exp":)" + exp + "}"), HasSubstr("no time in seconds")) << exp;
  }
  EXPECT_EQ(fault(R"({"exp":1700003600.5})"), "");
  EXPECT_THAT(fault(R"({"nbf":"x",)" + kLater + "}"), HasSubstr("no time"));
  EXPECT_THAT(fault(R"({"iat":"x",)" + kLater + "}"), HasSubstr("no time"));
}

TEST_F(VerifiedJwt, IsOfItsIssuerAndForItsAudience) {
  const JwtOptions options{.issuer = "https://a.example", .audiences = {"sync", "other"}};
  const auto with = [&](const std::string& members) { return fault("{" + members + kLater + "}", options); };
  EXPECT_EQ(with(R"("iss":"https://a.example","aud":"sync",)"), "");
  EXPECT_EQ(with(R"("iss":"https://a.example","aud":["x","other"],)"), "");
  EXPECT_THAT(with(R"("iss":"https://a.example/","aud":"sync",)"), HasSubstr("another issuer"));
  EXPECT_THAT(with(R"("iss":["https://a.example"],"aud":"sync",)"), HasSubstr("no text"));
  EXPECT_THAT(with(R"("aud":"sync",)"), HasSubstr("another issuer"));
  EXPECT_THAT(with(R"("iss":"https://a.example",)"), HasSubstr("another audience"));
  EXPECT_THAT(with(R"("iss":"https://a.example","aud":"Sync",)"), HasSubstr("another audience"));
  EXPECT_THAT(with(R"("iss":"https://a.example","aud":[],)"), HasSubstr("another audience"));
  // RFC 7519, section 4.1.3: whoever has no name of its own is not meant.
  EXPECT_THAT(fault(R"({"aud":"sync",)" + kLater + "}"), HasSubstr("another audience"));
}

TEST_F(VerifiedJwt, TriesTheOldSecretBesideTheNewOne) {
  const auto keys = std::make_shared<FixedJwtKeys>(
      std::vector{JwtKey::secret("the new secret of at least 32 octets"), JwtKey::secret(signers().secret)});
  const JwtVerifier verifier({.clock = &clock}, keys);
  EXPECT_EQ(verifier.verify(makeToken("HS256", R"({"sub":"u",)" + kLater + "}")).subject, "u");
}

TEST_F(VerifiedJwt, FindsItsKeyByName) {
  const JwtKey right = JwtKey::secret(signers().secret, "k1");
  const auto keys =
      std::make_shared<FixedJwtKeys>(std::vector{right, JwtKey::secret("another secret of 32 octets or more", "k2")});
  const JwtVerifier verifier({.clock = &clock}, keys);
  const auto holds = [&](const std::string& header) {
    try {
      verifier.verify(makeToken("HS256", "{" + kLater + "}", header));
      return true;
    } catch (const Error&) {
      return false;
    }
  };
  EXPECT_TRUE(holds(R"({"alg":"HS256","kid":"k1"})"));
  EXPECT_TRUE(holds(R"({"alg":"HS256"})"));
  EXPECT_FALSE(holds(R"({"alg":"HS256","kid":"k2"})"));
  EXPECT_FALSE(holds(R"({"alg":"HS256","kid":"K1"})"));
  EXPECT_FALSE(holds(R"({"alg":"HS256","kid":1})"));
}

// RFC 7515, appendices A.1 to A.3, and RFC 8037, appendix A.4.
TEST(JwtKey, VerifiesThePublishedExamples) {
  const std::string payload =
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
  struct Example {
    std::string jwk, header, signature;
  };
  const std::vector<Example> examples{
      {R"({"kty":"oct","alg":"HS256","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"})",
       "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
      {R"({"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"})",
       "eyJhbGciOiJSUzI1NiJ9",
       "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
       "O8W2Fp5jujGbds9uJdbF9CUAr7t"
       "1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--"
       "xi12j"
       "zDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_"
       "IoypGlUPQ"
       "Ge77Rw"},
      {R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})",
       "eyJhbGciOiJFUzI1NiJ9",
       "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
  };
  tidegate::test::ManualClock clock(1'300'819'000s);
  for (const Example& example : examples) {
    const auto keys = std::make_shared<FixedJwtKeys>(std::vector{JwtKey::jwk(example.jwk)});
    const JwtVerifier verifier({.issuer = "joe", .clock = &clock}, keys);
    const Identity who = verifier.verify(example.header + "." + payload + "." + example.signature);
    EXPECT_THAT(who.claims.at("http://example.com/is_root"), ElementsAre("true"));
  }
  const auto ed = JwtKey::jwk(R"({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})");
  const auto signature = tidegate::detail::fromBase64Url(
      "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
  ASSERT_TRUE(signature);
  EXPECT_TRUE(ed.verifies("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc", *signature));
  EXPECT_FALSE(ed.verifies("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmd", *signature));
}

TEST(JwtKey, RefusesKeysThatAreWeakPrivateOrOfAnotherKind) {
  const auto refused = [](const auto& make, std::string_view why) {
    EXPECT_ERROR(make(), ErrorCode::invalidConfig, why);
  };
  refused([] { return JwtKey::secret("short"); }, "32 octets");
  refused([] { return JwtKey::secret(signers().rsa.publicPem()); }, "no secret");
  refused([] { return JwtKey::pem(test::Signer::rsa(1024).publicPem()); }, "2048");
  refused([] { return JwtKey::pem(test::Signer::ec("P-384").publicPem()); }, "P-256");
  refused([] { return JwtKey::pem(signers().rsa.privatePem()); }, "private key");
  refused([] { return JwtKey::pem("nonsense"); }, "no public key");
  refused([] { return JwtKey::jwk("[]"); }, "RFC 7517");
  refused([] { return JwtKey::jwk("{"); }, "RFC 7517");
  refused([] { return JwtKey::jwk(R"({"kty":"oct","k":"AAAA"})"); }, "alg");
  refused([] { return JwtKey::jwk(test::Signer::rsa(1024).publicJwk()); }, "2048");
  refused([] { return JwtKey::jwk(signers().rsa.publicJwk(R"(,"d":"AQAB")")); }, "private part");
  refused([] { return JwtKey::jwk(signers().rsa.publicJwk(R"(,"alg":"HS256")")); }, "alg");
  refused([] { return JwtKey::jwk(signers().rsa.publicJwk(R"(,"alg":"RS512")")); }, "alg");
  refused([] { return JwtKey::jwk(signers().rsa.publicJwk(R"(,"use":"enc")")); }, "use");
  refused([] { return JwtKey::jwk(signers().rsa.publicJwk(R"(,"key_ops":["encrypt"])")); }, "key_ops");
  refused([] { return JwtKey::jwk(signers().rsa.publicJwk(R"(,"kty":"oct")")); }, "twice");
  refused([] { return JwtKey::jwk(R"({"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"})"); }, "no public key");
  const std::string off = test::base64Url(std::string(32, '\1'));
  refused([&] { return JwtKey::jwk(R"({"kty":"EC","crv":"P-256","x":")" + off + R"(","y":")" + off + R"("})"); },
          "no public key");
  refused([&] { return JwtKey::jwk(R"({"kty":"OKP","crv":"X25519","x":")" + off + R"("})"); }, "kind");
}

TEST(JwtKeySet, LeavesOutWhatItDoesNotTake) {
  const std::string set = R"({"keys":[)" + signers().rsa.publicJwk(R"(,"kid":"r","use":"sig","alg":"RS256")") + "," +
                          signers().ec.publicJwk(R"(,"kid":"e","key_ops":["verify"])") +
                          R"(,{"kty":"new"},5,{"kty":"oct","alg":"HS256","kid":"s","k":")" +
                          test::base64Url(signers().secret) + R"("}]})";
  std::vector<std::string> refused;
  const auto keys = jwtKeySet(set, false, &refused);
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ(keys[0].id(), "r");
  EXPECT_EQ(keys[1].algorithm(), JwtAlgorithm::es256);
  EXPECT_THAT(refused, ElementsAre(HasSubstr("keys[2]"), HasSubstr("keys[3]"), HasSubstr("keys[4]")));
  EXPECT_EQ(jwtKeySet(set, true).size(), 3u);
  for (const auto& reason : refused) EXPECT_EQ(reason.find(test::base64Url(signers().secret)), std::string::npos);
  EXPECT_ERROR(jwtKeySet("{}", true), ErrorCode::parseError, "keys");
  EXPECT_ERROR(jwtKeySet(set, true, nullptr, 4), ErrorCode::parseError, "more than 4");
}

TEST(JwtVerifier, RefusesOptionsThatCannotWork) {
  const auto keys = allKeys();
  EXPECT_ERROR(JwtVerifier({}, nullptr), ErrorCode::invalidConfig, "keys");
  EXPECT_ERROR(JwtVerifier({.tolerance = 601s}, keys), ErrorCode::invalidConfig, "tolerance");
  EXPECT_ERROR(JwtVerifier({.roleClaim = ""}, keys), ErrorCode::invalidConfig, "roleClaim");
  EXPECT_ERROR(JwtVerifier({.maxTokenBytes = 1}, keys), ErrorCode::invalidConfig, "maxTokenBytes");
}

}  // namespace
}  // namespace tidegate::server
