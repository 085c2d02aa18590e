/// What the example is told: by its environment, and by a few options.
#pragma once

#include <cstdint>
#include <string>

struct SyncSettings {
  std::string postgresUrl;               ///< POSTGRES_URL
  std::string streamUrl;                 ///< DS_SERVER_URL; empty: a server of our own
  std::string electricUrl;               ///< ELECTRIC_URL; empty: logical replication
  std::string data = "sync-layer-data";  ///< --data: where our own server keeps its streams
  std::uint16_t port = 4437;             ///< --port: of the page, and of our own server
  bool demo = false;                     ///< --demo: write a little both ways, check, and end
};

/// Where streams live below the server's URL, as in the reference service.
inline constexpr const char* kStreamBase = "/v1/stream";
inline constexpr const char* kItemsStream = "pg-items";
inline constexpr const char* kEventsStream = "session-events";
/// The mark of what we write to Postgres, which our own replication leaves out.
inline constexpr const char* kEventsOrigin = "sync_layer_events";

/// @throws tidegate::Error{invalidConfig} saying what is missing.
SyncSettings readSettings(int argc, char** argv);
