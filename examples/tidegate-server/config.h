/// What tidegate-server is told by its JSON file. Every mistake of a file is found at once, each with its place.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// One thing that is wrong, where, and what to do.
struct Mistake {
  std::size_t line = 1, column = 1;
  std::string text{};
};

struct TokenConfig {
  std::string token{}, subject{};
  bool admin = false;
};

struct EngineConfig {
  std::string name{}, url{}, slot{}, publication{};
  std::vector<std::string> tables{};
};

struct ServerConfig {
  std::string address = "127.0.0.1", certificate{}, key{};
  std::uint64_t port = 8080, threads = 1;
  std::vector<std::string> origins{};
  std::string logLevel = "info", data = "tidegate-data";
  std::vector<TokenConfig> tokens{};
  std::string jwtSecret{}, jwtPublicKey{}, jwtIssuer{}, jwtAudience{};
  std::vector<std::string> gateways{};
  bool jobs = true;
  std::uint64_t jobWorkers = 2;
  std::vector<EngineConfig> engines{};

  bool hasAuth() const { return !tokens.empty() || !jwtSecret.empty() || !jwtPublicKey.empty(); }
};

/// @param text the file's. Secrets are read where they are named: `env:NAME`, `file:PATH`.
ServerConfig readConfig(const std::string& text, std::vector<Mistake>& mistakes);
