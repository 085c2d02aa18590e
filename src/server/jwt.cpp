#include "tidegate/server/jwt.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>

#include "core/detail/json_tree.h"
#include "core/detail/octet_text.h"
#include "tidegate/core/error.h"

namespace tidegate::server {
namespace {

using tidegate::detail::JsonKind;
using tidegate::detail::JsonRef;
using tidegate::detail::JsonTree;

constexpr std::size_t kTokenDepth = 16;
constexpr std::size_t kMostTried = 4;
constexpr std::size_t kMostSubject = 255;  ///< as client ids
constexpr std::array<std::pair<JwtAlgorithm, std::string_view>, 4> kAlgorithms{{{JwtAlgorithm::hs256, "HS256"},
                                                                                {JwtAlgorithm::rs256, "RS256"},
                                                                                {JwtAlgorithm::es256, "ES256"},
                                                                                {JwtAlgorithm::edDsa, "EdDSA"}}};

Error notHeld(std::string_view why) {
  return {ErrorCode::authenticationFailed, Retry::never, "the token " + std::string(why)};
}

struct TokenParts {
  std::string_view header;
  std::string_view payload;
  std::string_view signature;
  std::string_view signedText;
};

TokenParts splitToken(std::string_view token) {
  const std::size_t first = token.find('.');
  const std::size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos) {
    throw notHeld("is not three parts with points between them");
  }
  return {token.substr(0, first), token.substr(first + 1, second - first - 1), token.substr(second + 1),
          token.substr(0, second)};
}

/// A part's JSON object. What two readers could read differently is refused: members that are there twice, anything
/// that RFC 8259 does not allow.
class TokenObject {
 public:
  TokenObject(std::string_view part, std::string_view name) : name_(name) {
    auto octets = tidegate::detail::fromBase64Url(part);
    if (!octets) throw notHeld(name_ + " is no base64url");
    text_ = *std::move(octets);
    tree_ = JsonTree::tryParse(text_, kTokenDepth);
    if (!tree_ || tree_->root().kind() != JsonKind::object) throw notHeld(name_ + " is no JSON object");
    std::set<std::string> names;
    for (const JsonRef& member : tree_->root().members()) {
      if (!names.insert(member.key()).second) throw notHeld(name_ + " has a member twice");
    }
  }
  TokenObject(const TokenObject&) = delete;
  TokenObject& operator=(const TokenObject&) = delete;

  std::vector<JsonRef> members() const { return tree_->root().members(); }
  std::optional<JsonRef> find(std::string_view name) const { return tree_->root().find(name); }
  /// nullopt where it is missing. @throws where it is no text.
  std::optional<std::string> text(std::string_view name) const {
    const auto member = find(name);
    if (!member) return std::nullopt;
    if (member->kind() != JsonKind::string) throw notHeld(name_ + " has \"" + std::string(name) + "\", but no text");
    return member->string();
  }
  /// A NumericDate. @throws where it is no number, or beyond any clock.
  std::optional<Clock::Micros> date(std::string_view name) const {
    const auto member = find(name);
    if (!member) return std::nullopt;
    const double seconds = member->kind() == JsonKind::number ? secondsOf(member->value()) : NAN;
    if (!(seconds >= 0 && seconds < 1e11)) {
      throw notHeld(name_ + " has \"" + std::string(name) + "\", but no time in seconds");
    }
    return Clock::Micros(static_cast<std::int64_t>(seconds * 1e6));
  }

 private:
  static double secondsOf(const Value& value) {
    if (value.kind() == ValueKind::int64) return static_cast<double>(value.as<std::int64_t>());
    if (value.kind() == ValueKind::real) return value.as<double>();
    return NAN;
  }

  std::string name_;
  std::string text_{};
  std::optional<JsonTree> tree_{};
};

/// @return the algorithm that the header claims, and its key's name.
std::pair<JwtAlgorithm, std::string> readHeader(const TokenObject& header) {
  if (header.find("crit")) throw notHeld("asks for extensions (\"crit\") that are not known here");
  const auto algorithm = jwtAlgorithm(header.text("alg").value_or(""));
  if (!algorithm) throw notHeld("is not signed with HS256, RS256, ES256 or EdDSA");
  return {*algorithm, header.text("kid").value_or("")};
}

std::optional<std::string> claimText(const JsonRef& node) {
  switch (node.kind()) {
    case JsonKind::string:
      return node.string();
    case JsonKind::boolean:
      return node.boolean() ? "true" : "false";
    case JsonKind::number: {
      const Value value = node.value();
      if (value.kind() == ValueKind::decimal) return value.as<Decimal>().text;
      return toJson(value);
    }
    default:
      return std::nullopt;
  }
}

/// The texts of a claim; none where any part of it has none.
std::vector<std::string> claimTexts(const JsonRef& node) {
  std::vector<std::string> texts;
  const auto take = [&texts](const JsonRef& part) {
    auto text = claimText(part);
    if (text) texts.push_back(*std::move(text));
    return text.has_value();
  };
  if (node.kind() != JsonKind::array) {
    take(node);
    return texts;
  }
  for (const JsonRef& part : node.items()) {
    if (!take(part)) return {};
  }
  return texts;
}

Claims claimsOf(const TokenObject& payload) {
  static constexpr std::array<std::string_view, 4> kOfTheToken{"exp", "nbf", "iat", "jti"};
  Claims claims;
  for (const JsonRef& member : payload.members()) {
    std::string name = member.key();
    if (std::find(kOfTheToken.begin(), kOfTheToken.end(), name) != kOfTheToken.end()) continue;
    std::vector<std::string> texts = claimTexts(member);
    if (!texts.empty()) claims.emplace(std::move(name), std::move(texts));
  }
  return claims;
}

const std::vector<std::string>& claimNamed(const Claims& claims, const std::string& name) {
  static const std::vector<std::string> kNone;
  const auto at = claims.find(name);
  return at == claims.end() ? kNone : at->second;
}

bool shareOne(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  return std::any_of(a.begin(), a.end(),
                     [&](const auto& one) { return std::find(b.begin(), b.end(), one) != b.end(); });
}

/// @return when the token ends.
Clock::Micros requireTime(const TokenObject& payload, const JwtOptions& options, Clock::Micros now) {
  const auto end = payload.date("exp");
  if (!end) throw notHeld("has no end (\"exp\")");
  if (now >= *end + options.tolerance) throw notHeld("has expired");
  const auto begin = payload.date("nbf");
  if (begin && now + options.tolerance < *begin) throw notHeld("does not hold yet (\"nbf\")");
  payload.date("iat");
  return *end + options.tolerance;
}

void requireParties(const TokenObject& payload, const Claims& claims, const JwtOptions& options) {
  if (!options.issuer.empty() && payload.text("iss") != options.issuer) {
    throw notHeld("is of another issuer (\"iss\")");
  }
  const auto audience = payload.find("aud");
  if (!audience && options.audiences.empty()) return;
  if (!shareOne(claimNamed(claims, "aud"), options.audiences)) throw notHeld("is for another audience (\"aud\")");
}

}  // namespace

std::string_view toString(JwtAlgorithm algorithm) noexcept {
  return kAlgorithms[static_cast<std::size_t>(algorithm)].second;
}

std::optional<JwtAlgorithm> jwtAlgorithm(std::string_view name) noexcept {
  for (const auto& [algorithm, itsName] : kAlgorithms) {
    if (itsName == name) return algorithm;
  }
  return std::nullopt;
}

std::vector<JwtKey> FixedJwtKeys::find(JwtAlgorithm algorithm, std::string_view id) const {
  std::vector<JwtKey> found;
  for (const JwtKey& key : keys_) {
    const bool named = id.empty() || key.id().empty() || key.id() == id;
    if (key.algorithm() == algorithm && named && found.size() < kMostTried) found.push_back(key);
  }
  return found;
}

JwtVerifier::JwtVerifier(JwtOptions options, std::shared_ptr<const JwtKeys> keys)
    : options_(std::move(options)), keys_(std::move(keys)) {
  const auto bad = [](const char* why) { return Error(ErrorCode::invalidConfig, Retry::never, why); };
  if (!keys_) throw bad("JwtVerifier: it needs keys");
  if (options_.tolerance.count() < 0 || options_.tolerance.count() > 600) {
    throw bad("JwtOptions::tolerance: 0 to 600 seconds");
  }
  if (options_.maxTokenBytes < 64 || options_.maxTokenBytes > (1u << 20)) {
    throw bad("JwtOptions::maxTokenBytes: 64 to 1 MiB");
  }
  if (options_.roleClaim.empty()) throw bad("JwtOptions::roleClaim: name a claim");
}

Identity JwtVerifier::verify(std::string_view token) const {
  if (token.size() > options_.maxTokenBytes) throw notHeld("is too long");
  const TokenParts parts = splitToken(token);
  // Not two bound names: clang 14 captures none.
  const auto header = readHeader(TokenObject(parts.header, "header"));
  const JwtAlgorithm algorithm = header.first;
  const auto signature = tidegate::detail::fromBase64Url(parts.signature);
  if (!signature) throw notHeld("signature is no base64url");
  const std::vector<JwtKey> keys = keys_->find(algorithm, header.second);
  const bool holds = std::any_of(keys.begin(), keys.end(), [&](const JwtKey& key) {
    return key.algorithm() == algorithm && key.verifies(parts.signedText, *signature);
  });
  if (!holds) throw notHeld("is not signed with a key that is known here");

  // Only now is anything that it says believed.
  const TokenObject payload(parts.payload, "payload");
  const Clock::Micros now = (options_.clock ? *options_.clock : systemClock()).wallNow();
  Identity who{.role = Role::client};
  who.until = requireTime(payload, options_, now);
  who.claims = claimsOf(payload);
  requireParties(payload, who.claims, options_);
  who.subject = payload.text("sub").value_or("");
  if (who.subject.size() > kMostSubject) throw notHeld("names a subject of over 255 octets");
  if (shareOne(claimNamed(who.claims, options_.roleClaim), options_.adminRoles)) who.role = Role::admin;
  return who;
}

}  // namespace tidegate::server
