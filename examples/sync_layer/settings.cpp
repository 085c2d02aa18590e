#include "settings.h"

#include <charconv>
#include <cstdlib>
#include <string_view>

#include "tidegate/core/error.h"

namespace {

[[noreturn]] void refuse(const std::string& why) {
  throw tidegate::Error(tidegate::ErrorCode::invalidConfig, tidegate::Retry::never,
                        why +
                            "\nUsage: POSTGRES_URL=postgresql://… [DS_SERVER_URL=…] [ELECTRIC_URL=…] sync_layer "
                            "[--port N] [--data FOLDER] [--demo]");
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  std::string text = value == nullptr ? "" : value;
  while (text.ends_with('/')) text.pop_back();
  return text;
}

}  // namespace

SyncSettings readSettings(int argc, char** argv) {
  SyncSettings settings;
  settings.postgresUrl = environment("POSTGRES_URL");
  settings.streamUrl = environment("DS_SERVER_URL");
  settings.electricUrl = environment("ELECTRIC_URL");
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    const auto value = [&]() -> std::string_view {
      if (i + 1 == argc) refuse(std::string(option) + " needs a value");
      return argv[++i];
    };
    if (option == "--demo") {
      settings.demo = true;
    } else if (option == "--data") {
      settings.data = value();
    } else if (option == "--port") {
      const std::string_view digits = value();
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), settings.port);
      if (error != std::errc() || end != digits.data() + digits.size()) refuse("--port takes a port's number");
    } else {
      refuse("unknown option " + std::string(option));
    }
  }
  if (settings.postgresUrl.empty()) refuse("POSTGRES_URL is not set");
  return settings;
}
