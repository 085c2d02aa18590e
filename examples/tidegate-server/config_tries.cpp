// What can only be known by trying: files that must hold keys, a folder that must be there to be made, tables that two
// engines would write.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "config_reader.h"
#include "tidegate/core/error.h"
#include "tidegate/http/server.h"
#include "tidegate/server/jwt.h"

namespace {

using nlohmann::json;

/// Notes what `attempt` throws.
template <class Attempt>
void attempt(ConfigReader& reader, const std::string& path, Attempt&& work) {
  try {
    work();
  } catch (const tidegate::Error& e) {
    reader.wrong(path, e.message());
  }
}

void tryServer(const json& root, ConfigReader& reader, const ServerConfig& out) {
  const auto serve = [](tidegate::http::ServerOptions options) {
    tidegate::http::Server(std::move(options), [](tidegate::http::Request&&, tidegate::http::Responder) {});
  };
  if (!out.certificate.empty() && !out.key.empty()) {
    attempt(reader, "/listen/tls", [&] { serve({.tls = {.certificate = out.certificate, .key = out.key}}); });
  }
  if (!root.contains("listen") || !root["listen"].contains("cors")) return;
  for (std::size_t i = 0; i < out.origins.size(); ++i) {
    attempt(reader, fmt::format("/listen/cors/{}", i), [&] { serve({.cors = {.origins = {out.origins[i]}}}); });
  }
}

void tryKeys(ConfigReader& reader, const ServerConfig& out) {
  using tidegate::server::JwtKey;
  if (!out.jwtPublicKey.empty()) attempt(reader, "/auth/jwt/public_key", [&] { JwtKey::pem(out.jwtPublicKey); });
  if (out.jwtSecret.size() >= 32) attempt(reader, "/auth/jwt/secret", [&] { JwtKey::secret(out.jwtSecret); });
  std::ifstream file(out.jwksFile);
  if (out.jwksFile.empty() || !file) return;
  attempt(reader, "/auth/jwt/jwks_file", [&] {
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    std::vector<std::string> refused;
    if (!tidegate::server::jwtKeySet(text, true, &refused).empty()) return;
    reader.wrong("/auth/jwt/jwks_file", fmt::format("{} holds no key that can be used here{}{}", out.jwksFile,
                                                    refused.empty() ? "" : ": ", fmt::join(refused, "; ")));
  });
}

/// The folder, or the nearest one above it that is there, must be one that this process may write.
void tryFolder(ConfigReader& reader, const ServerConfig& out) {
  if (out.data.empty()) return;
  std::filesystem::path there = std::filesystem::absolute(out.data).lexically_normal();
  std::error_code error;
  while (!std::filesystem::exists(there, error) && there.has_parent_path() && there != there.parent_path()) {
    there = there.parent_path();
  }
  if (!std::filesystem::is_directory(there, error)) {
    reader.wrong("/data", there.string() + " is no folder: name another, or take it away");
  } else if (access(there.c_str(), W_OK | X_OK) != 0) {
    reader.wrong("/data",
                 there.string() + " may not be written by this user: name another folder, or change its owner");
  }
}

void tryTargets(ConfigReader& reader, const ServerConfig& out) {
  std::map<std::pair<std::string, std::string>, std::string> writers;
  for (std::size_t i = 0; i < out.engines.size(); ++i) {
    for (const std::string& target : out.engines[i].targets()) {
      const auto [at, fresh] = writers.try_emplace({out.engines[i].into.url, target}, out.engines[i].name);
      if (fresh) continue;
      reader.wrong(fmt::format("/engines/{}/tables", i),
                   fmt::format("the table {} is written by engine {} too: give one of them another \"into\"", target,
                               at->second));
    }
  }
}

}  // namespace

void tryOut(const nlohmann::json& root, ConfigReader& reader, const ServerConfig& out) {
  tryServer(root, reader, out);
  tryKeys(reader, out);
  tryFolder(reader, out);
  tryTargets(reader, out);
}
