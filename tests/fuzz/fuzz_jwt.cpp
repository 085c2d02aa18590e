// Tokens and key sets. The first octet says what the rest is: a token as it comes, a header and a payload that are
// signed here with a key that is known (so that what lies behind the signature is reached), a signature of the fuzzer's
// over text of its own, or a key set.
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/detail/octet_text.h"
#include "fuzz/check.h"
#include "tidegate/server/jwt.h"

namespace {

using namespace tidegate;
using namespace tidegate::server;

const std::string kSecret = "a secret of more than thirty-two octets";
constexpr std::string_view kRsa =
    R"({"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"})";
constexpr std::string_view kEc =
    R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})";
constexpr std::string_view kEd = R"({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})";

class FixedTime final : public Clock {
 public:
  Micros wallNow() const override { return std::chrono::seconds(1'700'000'000); }
  Micros steadyNow() const override { return Micros(0); }
};

std::string base64Url(std::string_view octets) {
  std::string out((octets.size() + 2) / 3 * 4 + 1, '\0');
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(octets.data()), static_cast<int>(octets.size()));
  out.resize(static_cast<std::size_t>(size));
  while (out.ends_with('=')) out.pop_back();
  std::replace(out.begin(), out.end(), '+', '-');
  std::replace(out.begin(), out.end(), '/', '_');
  return out;
}

std::string hmac(const std::string& text) {
  std::string out(32, '\0');
  HMAC(EVP_sha256(), kSecret.data(), static_cast<int>(kSecret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), reinterpret_cast<unsigned char*>(out.data()),
       nullptr);
  return out;
}

const JwtVerifier& verifier(bool withSecret) {
  static const FixedTime kTime;
  static const auto make = [](bool secret) {
    std::vector<JwtKey> keys{JwtKey::jwk(kRsa), JwtKey::jwk(kEc), JwtKey::jwk(kEd)};
    if (secret) keys.push_back(JwtKey::secret(kSecret));
    return JwtVerifier({.clock = &kTime}, std::make_shared<FixedJwtKeys>(std::move(keys)));
  };
  static const JwtVerifier kWith = make(true), kWithout = make(false);
  return withSecret ? kWith : kWithout;
}

void signedHere(std::string_view text) {
  const std::size_t half = std::min(text.find('\n'), text.size());
  const std::string header = half == 0 ? R"({"alg":"HS256"})" : std::string(text.substr(0, half));
  const std::string token = base64Url(header) + '.' + base64Url(text.substr(std::min(half + 1, text.size())));
  Identity who;
  if (!fuzz::takes(ErrorCode::authenticationFailed,
                   [&] { who = verifier(true).verify(token + '.' + base64Url(hmac(token))); })) {
    return;
  }
  FUZZ_CHECK(who.until && *who.until > std::chrono::seconds(1'700'000'000));  // it has an end, and that lies ahead
  FUZZ_CHECK(who.role == Role::client || who.role == Role::admin);
  FUZZ_CHECK(who.subject.size() <= 255);
  for (const auto& [name, values] : who.claims) {
    FUZZ_CHECK(!values.empty());  // a claim without values is none
    FUZZ_CHECK(name != "exp" && name != "nbf" && name != "iat" && name != "jti");
  }
}

void keySet(std::string_view text) {
  std::vector<JwtKey> keys;
  if (!fuzz::takes(ErrorCode::parseError, [&] { keys = jwtKeySet(text, true); })) return;
  for (const JwtKey& key : keys) FUZZ_CHECK(!key.verifies("text", "") && key.id().size() <= 256);
  for (const JwtKey& key : jwtKeySet(text, false)) FUZZ_CHECK(key.algorithm() != JwtAlgorithm::hs256);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text = fuzz::textOf(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0:  // nobody can sign without the secret
      FUZZ_CHECK(!fuzz::takes(ErrorCode::authenticationFailed, [&] { verifier(false).verify(text); }));
      break;
    case 1:
      signedHere(text);
      break;
    case 2: {  // one text for each sequence of octets
      const auto octets = tidegate::detail::fromBase64Url(text);
      if (octets) FUZZ_CHECK(base64Url(*octets) == text);
      break;
    }
    default:
      keySet(text);
  }
  return 0;
}
