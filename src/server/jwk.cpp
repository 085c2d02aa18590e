#include <optional>
#include <set>

#include "core/detail/json_tree.h"
#include "core/detail/octet_text.h"
#include "server/detail/jwt_material.h"
#include "tidegate/server/jwt.h"

namespace tidegate::server {
namespace {

constexpr std::size_t kMostKeyId = 256;
constexpr std::size_t kJwkDepth = 8;

using tidegate::detail::JsonKind;
using tidegate::detail::JsonRef;
using tidegate::detail::JsonTree;

std::string textMember(const JsonRef& key, std::string_view name) {
  const auto member = key.find(name);
  if (!member) return {};
  if (member->kind() != JsonKind::string) throw detail::badJwtKey("\"" + std::string(name) + "\" is no text");
  return member->string();
}

std::string octetsMember(const JsonRef& key, std::string_view name) {
  auto octets = tidegate::detail::fromBase64Url(textMember(key, name));
  if (!octets || octets->empty()) {
    throw detail::badJwtKey("\"" + std::string(name) + "\" is missing, or is no base64url without padding");
  }
  return *std::move(octets);
}

void requireUse(const JsonRef& key) {
  const std::string use = textMember(key, "use");
  if (!use.empty() && use != "sig") throw detail::badJwtKey("it is not for signatures (\"use\")");
  const auto operations = key.find("key_ops");
  if (!operations) return;
  for (const JsonRef& operation : operations->items()) {
    if (operation.kind() == JsonKind::string && operation.string() == "verify") return;
  }
  throw detail::badJwtKey("it is not for verifying (\"key_ops\")");
}

/// A key set that publishes a private part is no secret of its issuer any more.
void requirePublic(const JsonRef& key) {
  for (const char* name : {"d", "p", "q", "dp", "dq", "qi", "oth"}) {
    if (key.find(name)) throw detail::badJwtKey("it holds its private part; publish the public one alone");
  }
}

JwtKey keyOfKind(const JsonRef& key, const std::string& kind, std::string id) {
  if (kind == "oct") {
    // Without it, nothing says that it is not for another HMAC, or for encryption.
    if (textMember(key, "alg") != "HS256") throw detail::badJwtKey("an \"oct\" key needs \"alg\": \"HS256\"");
    return JwtKey::secret(octetsMember(key, "k"), std::move(id));
  }
  requirePublic(key);
  if (kind == "RSA") {
    return detail::publicJwtKey(detail::rsaKey(octetsMember(key, "n"), octetsMember(key, "e")), std::move(id));
  }
  const std::string curve = textMember(key, "crv");
  if (kind == "EC" && curve == "P-256") {
    return detail::publicJwtKey(detail::p256Key(octetsMember(key, "x"), octetsMember(key, "y")), std::move(id));
  }
  if (kind == "OKP" && curve == "Ed25519") {
    return detail::publicJwtKey(detail::ed25519Key(octetsMember(key, "x")), std::move(id));
  }
  throw detail::badJwtKey("its kind is not taken; RSA, EC with P-256, OKP with Ed25519 and oct are");
}

JwtKey readJwk(const JsonRef& node) {
  std::set<std::string> names;
  for (const JsonRef& member : node.members()) {
    if (!names.insert(member.key()).second) throw detail::badJwtKey("a member is there twice");
  }
  std::string id = textMember(node, "kid");
  if (id.size() > kMostKeyId) throw detail::badJwtKey("its \"kid\" is over 256 octets");
  requireUse(node);
  JwtKey key = keyOfKind(node, textMember(node, "kty"), std::move(id));
  const std::string algorithm = textMember(node, "alg");
  if (!algorithm.empty() && algorithm != toString(key.algorithm())) {
    throw detail::badJwtKey("its \"alg\" is not one of HS256, RS256, ES256, EdDSA, or does not fit its kind");
  }
  return key;
}

}  // namespace

JwtKey JwtKey::jwk(std::string_view json) {
  try {
    const JsonTree tree(json, kJwkDepth);
    return readJwk(tree.root());
  } catch (const Error& e) {
    if (e.code() == ErrorCode::parseError) throw detail::badJwtKey("it is no JSON object of RFC 7517");
    throw;
  }
}

std::vector<JwtKey> jwtKeySet(std::string_view json, bool secrets, std::vector<std::string>* refused,
                              std::size_t maxKeys) {
  const JsonTree tree(json, kJwkDepth);
  const std::vector<JsonRef> nodes = tree.root().member("keys").items();
  if (nodes.size() > maxKeys) {
    throw Error(ErrorCode::parseError, Retry::afterOperator,
                "keys: more than " + std::to_string(maxKeys) + "; take out those that sign no more");
  }
  std::vector<JwtKey> keys;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    try {
      JwtKey key = readJwk(nodes[i]);
      if (!secrets && key.algorithm() == JwtAlgorithm::hs256)
        throw detail::badJwtKey("a secret is not taken from here");
      keys.push_back(std::move(key));
    } catch (const Error& e) {
      if (refused) refused->push_back("keys[" + std::to_string(i) + "]: " + e.message());
    }
  }
  return keys;
}

}  // namespace tidegate::server
