#include "config.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "places.h"

namespace {

using nlohmann::json;

/// Reads members, and notes what is wrong instead of ending at it.
class Reader {
 public:
  Reader(const std::string& text, std::vector<Mistake>& mistakes)
      : text_(text), places_(placesOf(text)), mistakes_(mistakes) {}

  void wrong(const std::string& path, const std::string& why) {
    const auto found = places_.find(path);
    const auto [line, column] = lineAndColumn(text_, found == places_.end() ? 0 : found->second);
    mistakes_.push_back({line, column, (path.empty() ? "the file" : path) + ": " + why});
  }
  /// Whether `node` is an object; members beside `known` are mistakes.
  bool object(const json& node, const std::string& path, const std::set<std::string>& known) {
    if (!node.is_object()) return wrong(path, "must be an object, {…}"), false;
    for (const auto& [name, value] : node.items()) {
      if (!known.contains(name)) {
        wrong(path + "/" + name,
              fmt::format("is not known here; take it out, or use one of: {}", fmt::join(known, ", ")));
      }
    }
    return true;
  }
  void text(const json& node, const std::string& path, const char* name, std::string& out) {
    if (!node.contains(name)) return;
    if (!node[name].is_string()) return wrong(path + "/" + name, "must be a text, in quotes");
    out = node[name].get<std::string>();
  }
  void number(const json& node, const std::string& path, const char* name, std::uint64_t low, std::uint64_t high,
              std::uint64_t& out) {
    if (!node.contains(name)) return;
    const json& value = node[name];
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() < low || value.get<std::uint64_t>() > high) {
      return wrong(path + "/" + name, fmt::format("must be a whole number from {} to {}", low, high));
    }
    out = value.get<std::uint64_t>();
  }
  void flag(const json& node, const std::string& path, const char* name, bool& out) {
    if (!node.contains(name)) return;
    if (!node[name].is_boolean()) return wrong(path + "/" + name, "must be true or false");
    out = node[name].get<bool>();
  }
  void texts(const json& node, const std::string& path, const char* name, std::vector<std::string>& out) {
    each(node, path, name, [&](const json& item, const std::string& at) {
      if (!item.is_string() || item.get<std::string>().empty()) return wrong(at, "must be a text that is not empty");
      out.push_back(item.get<std::string>());
    });
  }
  template <class Work>
  void each(const json& node, const std::string& path, const char* name, const Work& work) {
    if (!node.contains(name)) return;
    const std::string at = path + "/" + name;
    if (!node[name].is_array()) return wrong(at, "must be a list, […]");
    for (std::size_t i = 0; i < node[name].size(); ++i) work(node[name][i], fmt::format("{}/{}", at, i));
  }
  /// A secret is never in the file itself.
  void secret(const json& node, const std::string& path, const char* name, std::string& out) {
    std::string named;
    text(node, path, name, named);
    const std::string at = path + "/" + name;
    if (named.empty()) return;
    if (named.starts_with("env:")) {
      const char* value = std::getenv(named.c_str() + 4);
      if (value == nullptr || *value == '\0')
        return wrong(at, "the environment has no " + named.substr(4) + ": set it");
      out = value;
    } else if (named.starts_with("file:")) {
      std::ifstream file(named.substr(5));
      out.assign(std::istreambuf_iterator<char>(file), {});
      while (!out.empty() && (out.back() == '\n' || out.back() == '\r')) out.pop_back();
      if (out.empty()) wrong(at, "the file " + named.substr(5) + " cannot be read, or is empty");
    } else {
      wrong(at, "secrets are not written here: use \"env:NAME\" or \"file:PATH\"");
    }
  }
  void needed(bool there, const std::string& path, const std::string& what) {
    if (!there) wrong(path, what);
  }

 private:
  const std::string& text_;
  std::map<std::string, std::size_t> places_;
  std::vector<Mistake>& mistakes_;
};

bool isName(const std::string& text) {
  return !text.empty() && text.size() <= 64 &&
         text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") ==
             std::string::npos;
}

void readListen(const json& root, Reader& reader, ServerConfig& out) {
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

void readJwt(const json& jwt, Reader& reader, ServerConfig& out) {
  static constexpr const char* kKeys[] = {"secret", "public_key", "jwks_url", "jwks_file"};
  if (!reader.object(jwt, "/auth/jwt", {"secret", "public_key", "jwks_url", "jwks_file", "issuer", "audience"})) return;
  reader.secret(jwt, "/auth/jwt", "secret", out.jwtSecret);
  reader.secret(jwt, "/auth/jwt", "public_key", out.jwtPublicKey);
  reader.text(jwt, "/auth/jwt", "jwks_url", out.jwksUrl);
  reader.text(jwt, "/auth/jwt", "jwks_file", out.jwksFile);
  reader.text(jwt, "/auth/jwt", "issuer", out.jwtIssuer);
  reader.text(jwt, "/auth/jwt", "audience", out.jwtAudience);
  reader.needed(
      std::count_if(std::begin(kKeys), std::end(kKeys), [&](const char* key) { return jwt.contains(key); }) == 1,
      "/auth/jwt", "needs one of: secret (HS256), public_key (PEM: RS256, ES256, EdDSA), jwks_url, jwks_file");
  reader.needed(out.jwtSecret.empty() || out.jwtSecret.size() >= 32, "/auth/jwt/secret",
                "must have at least 32 octets");
  reader.needed(!jwt.contains("jwks_url") || out.jwksUrl.starts_with("https://"), "/auth/jwt/jwks_url",
                "must begin with https://");
  reader.needed(!jwt.contains("jwks_file") || std::ifstream(out.jwksFile), "/auth/jwt/jwks_file",
                "the file " + out.jwksFile + " cannot be read");
}

void readRate(const json& limits, const char* name, Reader& reader, RateConfig& out) {
  if (!limits.contains(name)) return;
  const std::string at = std::string("/limits/") + name;
  if (!reader.object(limits[name], at, {"per_second", "burst"})) return;
  reader.number(limits[name], at, "per_second", 0, 1'000'000, out.perSecond);
  reader.number(limits[name], at, "burst", 1, 1'000'000, out.burst);
}

void readLimits(const json& root, Reader& reader, ServerConfig& out) {
  if (!root.contains("limits")) return;
  const json& node = root["limits"];
  if (!reader.object(node, "/limits", {"per_client", "per_address", "connections", "connections_per_address"})) return;
  readRate(node, "per_client", reader, out.perClient);
  readRate(node, "per_address", reader, out.perAddress);
  reader.number(node, "/limits", "connections", 1, 1'000'000, out.connections);
  reader.number(node, "/limits", "connections_per_address", 0, 1'000'000, out.connectionsPerAddress);
}

void readAuth(const json& root, Reader& reader, ServerConfig& out) {
  if (!root.contains("auth")) return;
  const json& node = root["auth"];
  if (!reader.object(node, "/auth", {"tokens", "jwt"})) return;
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
}

void readEngine(const json& item, const std::string& at, Reader& reader, ServerConfig& out) {
  if (!reader.object(item, at, {"name", "url", "slot", "publication", "tables"})) return;
  EngineConfig engine;
  reader.text(item, at, "name", engine.name);
  reader.secret(item, at, "url", engine.url);
  reader.text(item, at, "slot", engine.slot);
  reader.text(item, at, "publication", engine.publication);
  reader.texts(item, at, "tables", engine.tables);
  reader.needed(isName(engine.name), at, "needs a name of 1 to 64 of A-Z a-z 0-9 _ -");
  for (const EngineConfig& other : out.engines) {
    reader.needed(other.name != engine.name, at + "/name", "is another engine's name: choose another");
  }
  reader.needed(item.contains("url"), at, "needs a url: env:NAME or file:PATH of postgresql://…");
  reader.needed(!engine.tables.empty(), at, "needs tables, such as [\"public.users\"]");
  if (engine.slot.empty()) engine.slot = "tidegate_" + engine.name;
  if (engine.publication.empty()) engine.publication = engine.slot;
  reader.needed(engine.slot.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos, at,
                "its slot \"" + engine.slot + "\" may have a-z 0-9 _ alone: give \"slot\"");
  out.engines.push_back(std::move(engine));
}

void readParts(const json& root, Reader& reader, ServerConfig& out) {
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
  Reader reader(text, mistakes);
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
  const bool triesAuth = root.contains("auth") && !root["auth"].empty();
  reader.needed(loopback || triesAuth, "/listen/address",
                "is not loopback, and nobody would be asked for a token: give \"auth\", or listen on 127.0.0.1");
  return out;
}
