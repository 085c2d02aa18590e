#include "config.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>

#include "config_reader.h"

namespace {

using nlohmann::json;

void readListen(const json& root, ConfigReader& reader, ServerConfig& out) {
  if (!root.contains("listen")) return;
  const json& node = root["listen"];
  if (!reader.object(node, "/listen", {"address", "port", "threads", "tls", "cors", "metrics"})) return;
  reader.text(node, "/listen", "address", out.address);
  unsigned char octets[sizeof(in6_addr)];
  if (inet_pton(AF_INET, out.address.c_str(), octets) != 1 && inet_pton(AF_INET6, out.address.c_str(), octets) != 1) {
    reader.wrong("/listen/address", "must be a numeric address, such as 127.0.0.1 or ::");
  }
  reader.number(node, "/listen", "port", 0, 65'535, out.port);
  reader.number(node, "/listen", "threads", 1, 64, out.threads);
  reader.texts(node, "/listen", "cors", out.origins);
  reader.flag(node, "/listen", "metrics", out.metrics);
  if (!node.contains("tls") || !reader.object(node["tls"], "/listen/tls", {"certificate", "key"})) return;
  reader.text(node["tls"], "/listen/tls", "certificate", out.certificate);
  reader.text(node["tls"], "/listen/tls", "key", out.key);
  for (const auto& [name, path] : {std::pair("certificate", out.certificate), {"key", out.key}}) {
    if (path.empty()) {
      reader.wrong("/listen/tls", fmt::format("needs a {}: the path of a PEM file", name));
    } else if (!std::ifstream(path)) {
      reader.wrong(fmt::format("/listen/tls/{}", name), "the file " + path + " cannot be read");
    }
  }
}

void readJwt(const json& jwt, ConfigReader& reader, ServerConfig& out) {
  static constexpr const char* kKeys[] = {"secret", "public_key", "jwks_url", "jwks_file"};
  if (!reader.object(
          jwt, "/auth/jwt",
          {"secret", "public_key", "jwks_url", "jwks_file", "jwks_ca_file", "jwks_private", "issuer", "audience"}))
    return;
  reader.secret(jwt, "/auth/jwt", "secret", out.jwtSecret);
  reader.secret(jwt, "/auth/jwt", "public_key", out.jwtPublicKey);
  reader.text(jwt, "/auth/jwt", "jwks_url", out.jwksUrl);
  reader.text(jwt, "/auth/jwt", "jwks_file", out.jwksFile);
  reader.text(jwt, "/auth/jwt", "jwks_ca_file", out.jwksCaFile);
  reader.flag(jwt, "/auth/jwt", "jwks_private", out.jwksPrivate);
  reader.text(jwt, "/auth/jwt", "issuer", out.jwtIssuer);
  reader.text(jwt, "/auth/jwt", "audience", out.jwtAudience);
  reader.needed(
      std::count_if(std::begin(kKeys), std::end(kKeys), [&](const char* key) { return jwt.contains(key); }) == 1,
      "/auth/jwt", "needs one of: secret (HS256), public_key (PEM: RS256, ES256, EdDSA), jwks_url, jwks_file");
  reader.needed(out.jwtSecret.empty() || out.jwtSecret.size() >= 32, "/auth/jwt/secret",
                "must have at least 32 octets");
  reader.needed(!jwt.contains("jwks_url") || out.jwksUrl.starts_with("https://"), "/auth/jwt/jwks_url",
                "must begin with https://");
  for (const char* name : {"jwks_ca_file", "jwks_private"}) {
    reader.needed(!jwt.contains(name) || jwt.contains("jwks_url"), std::string("/auth/jwt/") + name,
                  "says how jwks_url is asked: give jwks_url too, or take it out");
  }
  reader.needed(!jwt.contains("jwks_ca_file") || std::ifstream(out.jwksCaFile), "/auth/jwt/jwks_ca_file",
                "the file " + out.jwksCaFile + " cannot be read");
  reader.needed(!jwt.contains("jwks_file") || std::ifstream(out.jwksFile), "/auth/jwt/jwks_file",
                "the file " + out.jwksFile + " cannot be read");
}

void readRate(const json& limits, const char* name, ConfigReader& reader, RateConfig& out) {
  if (!limits.contains(name)) return;
  const std::string at = std::string("/limits/") + name;
  if (!reader.object(limits[name], at, {"per_second", "burst"})) return;
  reader.number(limits[name], at, "per_second", 0, 1'000'000, out.perSecond);
  reader.number(limits[name], at, "burst", 1, 1'000'000, out.burst);
}

void readLimits(const json& root, ConfigReader& reader, ServerConfig& out) {
  if (!root.contains("limits")) return;
  const json& node = root["limits"];
  if (!reader.object(node, "/limits", {"per_client", "per_address", "connections", "connections_per_address"})) return;
  readRate(node, "per_client", reader, out.perClient);
  readRate(node, "per_address", reader, out.perAddress);
  reader.number(node, "/limits", "connections", 1, 1'000'000, out.connections);
  reader.number(node, "/limits", "connections_per_address", 0, 1'000'000, out.connectionsPerAddress);
}

void readAuth(const json& root, ConfigReader& reader, ServerConfig& out) {
  if (!root.contains("auth")) return;
  const json& node = root["auth"];
  if (!reader.object(node, "/auth", {"tokens", "jwt", "query_token"})) return;
  reader.flag(node, "/auth", "query_token", out.queryToken);
  const std::size_t before = reader.mistakes();
  std::set<std::string> seen;
  reader.each(node, "/auth", "tokens", [&](const json& item, const std::string& at) {
    if (!reader.object(item, at, {"token", "role", "subject"})) return;
    TokenConfig token;
    std::string role;
    reader.secret(item, at, "token", token.token);
    reader.text(item, at, "role", role);
    reader.text(item, at, "subject", token.subject);
    reader.needed(item.contains("token"), at, "needs a token, such as \"env:ADMIN_TOKEN\"");
    reader.needed(role == "admin" || role == "client", at, "needs a role: \"admin\" or \"client\"");
    const bool usable = token.token.size() >= 16 && token.token.find_first_of(" \t\r\n") == std::string::npos;
    if (!token.token.empty()) {
      reader.needed(usable, at + "/token",
                    "must have at least 16 characters, and no spaces: `openssl rand -hex 32` makes one");
      reader.needed(seen.insert(token.token).second, at + "/token", "is the same as another one: use another");
    }
    token.admin = role == "admin";
    reader.needed(token.admin || !token.subject.empty(), at,
                  "needs a subject: the id that the client pushes and pulls as");
    out.tokens.push_back(std::move(token));
  });
  if (node.contains("jwt")) readJwt(node["jwt"], reader, out);
  reader.needed(out.hasAuth() || reader.mistakes() > before, "/auth",
                "names nobody: give tokens or jwt. Without \"auth\" everybody is admin, on loopback alone");
}

void readParts(const json& root, ConfigReader& reader, ServerConfig& out) {
  std::set<std::string> gateways;
  reader.each(root, "", "gateways", [&](const json& item, const std::string& at) {
    if (!item.is_string() || !isName(item.get<std::string>()))
      return reader.wrong(at, "must be a name of A-Z a-z 0-9 _ -");
    if (!gateways.insert(item.get<std::string>()).second) return reader.wrong(at, "is there twice");
    out.gateways.push_back(item.get<std::string>());
  });
  if (root.contains("jobs")) {
    if (root["jobs"].is_boolean()) {
      out.jobs = root["jobs"].get<bool>();
    } else if (reader.object(root["jobs"], "/jobs", {"workers"})) {
      reader.number(root["jobs"], "/jobs", "workers", 1, 64, out.jobWorkers);
    }
  }
  reader.each(root, "", "engines", [&](const json& item, const std::string& at) { readEngine(item, at, reader, out); });
}

}  // namespace

ServerConfig readConfig(const std::string& text, std::vector<Mistake>& mistakes) {
  ServerConfig out;
  json root;
  try {
    root = json::parse(text);
  } catch (const json::parse_error& e) {
    const auto [line, column] = lineAndColumn(text, e.byte == 0 ? 0 : e.byte - 1);
    mistakes.push_back(
        {line, column, "this is not JSON: look for a missing comma, quote or bracket here or just before"});
    return out;
  }
  ConfigReader reader(text, mistakes);
  if (!reader.object(root, "", {"listen", "log_level", "data", "auth", "limits", "gateways", "jobs", "engines"}))
    return out;
  readListen(root, reader, out);
  reader.text(root, "", "log_level", out.logLevel);
  static const std::set<std::string> kLevels{"trace", "debug", "info", "warn", "error", "off"};
  reader.needed(kLevels.contains(out.logLevel), "/log_level",
                fmt::format("must be one of: {}", fmt::join(kLevels, ", ")));
  reader.text(root, "", "data", out.data);
  reader.needed(!out.data.empty(), "/data", "must be a folder's path");
  readAuth(root, reader, out);
  readLimits(root, reader, out);
  readParts(root, reader, out);
  const bool loopback = out.address.starts_with("127.") || out.address == "::1";
  reader.needed(loopback || root.contains("auth"), "/listen/address",
                "is not loopback, and nobody would be asked for a token: give \"auth\", or listen on 127.0.0.1");
  tryOut(root, reader, out);
  return out;
}
