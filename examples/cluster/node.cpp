// One of several gateways over one log in NATS JetStream, with the sync API for its clients.
//
//   cluster_node --name north --nats nats://n1:4222,nats://n2:4222,nats://n3:4222 --port 8080 --postgres postgresql://…
//
// Any number of them may run; run.sh starts three. Ends with SIGTERM or Ctrl-C.
#include <fmt/core.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "ingest.h"
#include "tidegate/core/error.h"
#include "tidegate/nats/gateway_store.h"
#include "tidegate/server/sync_api.h"

using namespace std::chrono_literals;
using namespace tidegate;

namespace {

/// Orders of the client's region, and everybody's notes.
constexpr const char* kRules = R"({"version": 1, "buckets": [
  {"name": "orders", "tables": ["orders"], "filters": [{"column": "region", "op": "eq", "value": "jwt:region"}]},
  {"name": "notes", "tables": ["notes"], "filters": []}]})";

struct Settings {
  std::string name, postgresUrl;
  std::vector<std::string> nats;
  std::uint16_t port = 0;
  std::uint64_t snapshotSeconds = 10;
};

/// For the demonstration only: a token is "region,region:client". A host shows JWTs (docs/auth.md).
class TokenNamesTheRegion final : public server::Authenticator {
 public:
  server::Identity identify(const http::Request& request) const override {
    std::string token(request.headers.get("authorization"));
    if (!token.starts_with("Bearer ")) return {};
    token.erase(0, 7);
    const std::size_t colon = token.find(':');
    if (colon == std::string::npos) return {};
    return {.role = server::Role::client,
            .subject = token.substr(colon + 1),
            .claims = {{"sub", {token.substr(colon + 1)}}, {"region", words(token.substr(0, colon))}}};
  }

 private:
  static std::vector<std::string> words(const std::string& list) {
    std::vector<std::string> all;
    std::istringstream in(list);
    for (std::string word; std::getline(in, word, ',');) all.push_back(word);
    return all;
  }
};

/// Looks after the gateway until a signal comes.
/// @return whether to begin anew: it was away for longer than the log keeps what it missed, or was told another
/// history.
bool attend(Gateway& gateway, const Ingest& ingest, const Settings& settings, const sigset_t& ends) {
  const timespec second{1, 0};
  for (std::uint64_t seconds = 1; sigtimedwait(&ends, nullptr, &second) < 0; ++seconds) {
    try {
      gateway.catchUp();
      if (ingest.feeds() && seconds % settings.snapshotSeconds == 0) gateway.saveSnapshot();
    } catch (const Error& failure) {
      spdlog::warn("{}: {}", settings.name, failure.what());
      if (failure.code() == ErrorCode::positionLost || failure.code() == ErrorCode::logDiverged) return true;
    }
  }
  return false;
}

/// @return as `attend`.
bool serve(Settings& settings, const sigset_t& ends) {
  const nats::ConnectOptions cluster{.servers = settings.nats, .name = settings.name};
  Gateway gateway({.rules = SyncRules::parse(kRules),
                   .sharedLog = nats::gatewayStore({.connect = cluster, .log = "SHOP", .stream = {.replicas = 3}})});
  Ingest ingest(gateway, cluster, settings.name, settings.postgresUrl);
  server::SyncApi sync({{.name = "shop", .gateway = &gateway}});
  server::Api api({.title = settings.name});
  sync.addTo(api);
  http::Server server({.port = settings.port}, api.handler(std::make_shared<TokenNamesTheRegion>()));
  server.onStopping([&] { sync.stop(); });
  server.start();
  settings.port = server.port();
  fmt::print("Listening on {}\n", server.url());
  std::fflush(stdout);
  const bool again = attend(gateway, ingest, settings, ends);
  server.stop(2s);
  return again;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app{"A gateway over a log that it shares with others, and the sync API for its clients.", "cluster_node"};
  app.add_option("--name", settings.name, "Its name, in logs and leases")->required();
  app.add_option("--nats", settings.nats, "The NATS servers")->required()->delimiter(',');
  app.add_option("--postgres", settings.postgresUrl, "Whose table orders is followed; needs wal_level = logical")
      ->required();
  app.add_option("--port", settings.port, "On 127.0.0.1; 0: any free one")->capture_default_str();
  app.add_option("--snapshot-every", settings.snapshotSeconds, "Seconds between snapshots of the log")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);  // before any thread is, so that none of them takes it
  spdlog::set_default_logger(spdlog::stderr_logger_mt("cluster"));
  try {
    while (serve(settings, ends)) spdlog::warn("{}: begins anew, from a snapshot", settings.name);
    return 0;
  } catch (const std::exception& failure) {
    spdlog::error("{}: {}", settings.name, failure.what());
    return 1;
  }
}
