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
  enum class Kind { unknown, postgres, mysql, sqlite };
  struct Place {
    Kind kind = Kind::unknown;
    std::string url{};
  };
  struct Table {
    std::string name{}, cursor{};    ///< without a cursor the whole table is compared
    std::vector<std::string> key{};  ///< of one that is polled
  };

  std::string name{}, slot{}, publication{};
  Place from{}, into{};  ///< into nothing named: replica.db
  std::vector<Table> tables{};
  std::uint64_t intervalSeconds = 10;
  bool deadLetters = false;  ///< rows that its target refuses are put aside, and the others go on

  /// The tables that it writes: their names without the schema.
  std::vector<std::string> targets() const {
    std::vector<std::string> names;
    for (const Table& table : tables) names.push_back(table.name.substr(table.name.rfind('.') + 1));
    return names;
  }
  /// PostgreSQL is followed by logical replication.
  bool polled() const { return from.kind == Kind::mysql || from.kind == Kind::sqlite; }
};

/// A bucket: requests a second, and how many at once. perSecond 0: no limit.
struct RateConfig {
  std::uint64_t perSecond = 0, burst = 1;
};

struct ServerConfig {
  std::string address = "127.0.0.1", certificate{}, key{};
  std::uint64_t port = 8080, threads = 1;
  std::vector<std::string> origins{};
  std::string logLevel = "info", data = "tidegate-data";
  std::vector<TokenConfig> tokens{};
  std::string jwtSecret{}, jwtPublicKey{}, jwtIssuer{}, jwtAudience{}, jwksUrl{}, jwksFile{}, jwksCaFile{};
  bool jwksPrivate = false;  ///< its host may have a private address
  bool queryToken = false;   ///< a GET may show its token in the query, as browsers' sockets must
  RateConfig perClient{50, 200}, perAddress{200, 800};
  std::uint64_t connections = 20'000, connectionsPerAddress = 0;  ///< 0: no bound but `connections`
  bool metrics = false;
  std::vector<std::string> gateways{};
  bool jobs = true;
  std::uint64_t jobWorkers = 2;
  std::vector<EngineConfig> engines{};

  bool hasJwks() const { return !jwksUrl.empty() || !jwksFile.empty(); }
  bool hasJwt() const { return hasJwks() || !jwtSecret.empty() || !jwtPublicKey.empty(); }
  bool hasAuth() const { return !tokens.empty() || hasJwt(); }
};

/// @param text the file's. Secrets are read where they are named: `env:NAME`, `file:PATH`.
ServerConfig readConfig(const std::string& text, std::vector<Mistake>& mistakes);
