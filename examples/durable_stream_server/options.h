/// What the command line says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

struct ServerSettings {
  std::string address = "127.0.0.1";
  std::uint16_t port = 4437;
  std::string folder = "./streams";
  bool memory = false;
  std::string token{};
  std::string tokenFile{};
  std::string publicUrl{};
  std::string basePath = "/v1/stream";
  std::string certificate{};
  std::string key{};
  std::vector<std::string> origins{};
  unsigned threads = 1;
  std::size_t maxBodyBytes = 8u << 20;
  unsigned longPollSeconds = 15;
  bool localWebhooks = false;
  bool accessLog = false;
};

/// @return an exit code where the program is to end at once.
std::optional<int> parseSettings(ServerSettings& settings, int argc, char** argv);
