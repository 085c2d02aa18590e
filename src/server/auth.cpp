#include "tidegate/server/auth.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <utility>

#include "tidegate/core/delta.h"
#include "tidegate/core/error.h"

namespace tidegate::server {
namespace {

constexpr std::size_t kLeastToken = 16, kMostToken = 4096;
/// RFC 6750, section 2.3, and what LakeSync's clients send.
constexpr std::string_view kQueryNames[] = {"access_token=", "token="};

Error notKnown(const std::string& why) { return {ErrorCode::authenticationFailed, Retry::never, why}; }

bool isTokenText(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

bool isBearer(std::string_view scheme) noexcept {
  static constexpr std::string_view kBearer = "bearer";
  return std::equal(scheme.begin(), scheme.end(), kBearer.begin(), kBearer.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b; });
}

/// The token of the one Authorization field; nullopt where there is no such field.
std::optional<std::string_view> fieldToken(const http::Request& request) {
  std::optional<std::string_view> token;
  const std::string* first = request.headers.find("authorization");
  if (!first) return token;
  for (const auto& [name, value] : request.headers) {
    // Two readers could take another one each.
    if (&value != first && name.size() == 13 && http::Headers({{name, ""}}).has("authorization")) {
      throw notKnown("there is more than one Authorization field");
    }
  }
  std::string_view text = *first;
  const std::size_t space = std::min(text.find(' '), text.size());
  if (!isBearer(text.substr(0, space))) throw notKnown("the scheme is not known: Authorization: Bearer …");
  text.remove_prefix(space);
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  if (!isTokenText(text)) throw notKnown("what follows Bearer is no token");
  return text;
}

/// The token in the query. The parameter's name is taken as it stands alone: one with escapes would not be known to
/// whoever takes secrets out of logs.
std::optional<std::string_view> queryToken(const http::Request& request) {
  std::optional<std::string_view> token;
  if (request.method != "GET") return token;
  for (std::string_view rest = request.query; !rest.empty();) {
    const std::size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    for (const std::string_view name : kQueryNames) {
      if (!pair.starts_with(name)) continue;
      if (token) throw notKnown("the query has more than one token");
      token = pair.substr(name.size());
      if (!isTokenText(*token)) throw notKnown("the query's token is no token");
    }
  }
  return token;
}

}  // namespace

TokenAuthenticator::TokenAuthenticator(AuthOptions options)
    : jwt_(std::move(options.jwt)), queryToken_(options.queryToken) {
  const auto bad = [](const char* why) { return Error(ErrorCode::invalidConfig, Retry::never, why); };
  if (options.tokens.empty() && !jwt_) throw bad("AuthOptions: nobody could come in; give tokens or jwt");
  for (StaticToken& given : options.tokens) {
    if (given.token.size() < kLeastToken || given.token.size() > kMostToken || !isTokenText(given.token)) {
      throw bad("StaticToken::token: 16 to 4,096 printable characters without spaces; openssl rand -hex 32 makes one");
    }
    Known known{.digest = sha256(given.token),
                .who = {.role = given.role, .subject = std::move(given.subject), .claims = std::move(given.claims)}};
    // As of a JWT: a rule on jwt:sub would match nothing otherwise.
    if (!known.who.subject.empty()) known.who.claims.try_emplace("sub", std::vector<std::string>{known.who.subject});
    OPENSSL_cleanse(given.token.data(), given.token.size());
    for (const Known& other : known_) {
      if (other.digest == known.digest) throw bad("AuthOptions::tokens: a token is there twice");
    }
    known_.push_back(std::move(known));
  }
}

Identity TokenAuthenticator::identify(const http::Request& request) const {
  const auto inField = fieldToken(request);
  const auto inQuery = queryToken_ ? queryToken(request) : std::nullopt;
  if (inField && inQuery) throw notKnown("the token is there twice: in a field and in the query");
  if (!inField && !inQuery) return {};
  return identifyToken(inField ? *inField : *inQuery);
}

Identity TokenAuthenticator::identifyToken(std::string_view token) const {
  // Digests are compared, so that neither a token's length nor how much of it was right shows in the time taken.
  const std::array<std::uint8_t, 32> digest = sha256(token);
  const Known* found = nullptr;
  for (const Known& known : known_) {
    if (CRYPTO_memcmp(known.digest.data(), digest.data(), digest.size()) == 0) found = &known;
  }
  if (found) return found->who;
  if (jwt_ && token.find('.') != std::string_view::npos) return jwt_->verify(token);
  throw notKnown("the token is not known here");
}

}  // namespace tidegate::server
