/// A server of its own: gateways, replication jobs, engines and the status page, from one JSON file. See
/// docs/tidegate-server.md.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>

#include "config.h"
#include "service.h"
#include "tidegate/core/error.h"

namespace {

constexpr const char* kUsage =
    "Usage: tidegate-server [--check] CONFIG.json\n"
    "Serves gateways, replication jobs, engines and a status page.\n"
    "  --check    says what is wrong with the file, and ends\n"
    "  --version  --help\n"
    "SIGTERM and SIGINT end it in good order; SIGHUP reads the TLS files again.\n";

std::optional<ServerConfig> load(const std::string& path) {
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file) {
    fmt::print(stderr, "{}: cannot be read: name a JSON file\n", path);
    return std::nullopt;
  }
  std::vector<Mistake> mistakes;
  ServerConfig config = readConfig(text, mistakes);
  for (const Mistake& each : mistakes) fmt::print(stderr, "{}:{}:{}: {}\n", path, each.line, each.column, each.text);
  if (!mistakes.empty()) return std::nullopt;
  return config;
}

int serve(const ServerConfig& config) {
  // Before any thread starts, so that only sigwait takes the signals.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int each : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, each);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  spdlog::set_level(spdlog::level::from_str(config.logLevel));
  Service service(config);
  service.start();
  fmt::print("Listening on {}\n", service.url());
  std::fflush(stdout);
  for (int signal = 0; sigwait(&signals, &signal) == 0;) {
    if (signal != SIGHUP) break;
    try {
      service.reloadTls();
      spdlog::info("the TLS files were read again");
    } catch (const tidegate::Error& e) {
      spdlog::error("the TLS files stay as they were: {}", e.message());
    }
  }
  fmt::print("{}\n", service.stop() ? "Stopped" : "Stopped; what was not done in time was undone or cut");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  bool check = false;
  std::string path;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--help" || option == "-h") return std::fputs(kUsage, stdout), 0;
    if (option == "--version") return fmt::print("tidegate-server {}\n", TIDEGATE_SERVER_VERSION), 0;
    if (option == "--check") {
      check = true;
    } else if (path.empty() && !option.starts_with('-')) {
      path = option;
    } else {
      return std::fputs(kUsage, stderr), 2;
    }
  }
  if (path.empty()) return std::fputs(kUsage, stderr), 2;
  try {
    const auto config = load(path);
    if (!config) return 2;
    if (!check) return serve(*config);
    fmt::print("{}: nothing is wrong\n", path);
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "tidegate-server: {}\n", tidegate::redactSecrets(e.what()));
    return 1;
  }
}
