/// A Durable Streams server as a program of its own: tidegate::durable_streams behind tidegate::http.
#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <fstream>
#include <string>

#include "options.h"
#include "tidegate/durable_streams/file_store.h"
#include "tidegate/durable_streams/server.h"
#include "tidegate/http/server.h"

namespace {

using namespace tidegate;
using durable_streams::FileStreamStore;
using durable_streams::StreamStore;

constexpr auto kStopWithin = std::chrono::seconds(5);

std::shared_ptr<StreamStore> openStore(const ServerSettings& settings) {
  if (settings.memory) return durable_streams::memoryStreamStore();
  auto store = durable_streams::fileStreamStore({.folder = settings.folder});
  const durable_streams::RecoveryReport& found = store->recovery();
  fmt::print("{}: {} streams in {} segments\n", settings.folder, found.streams, found.segments);
  if (found.truncatedOctets > 0) {
    fmt::print("{}: cut off {} octets of a last commit that was not whole; nobody had been told of it\n",
               found.truncatedFile, found.truncatedOctets);
  }
  return store;
}

std::string tokenOf(const ServerSettings& settings) {
  if (settings.tokenFile.empty()) return settings.token;
  std::ifstream file(settings.tokenFile);
  std::string token;
  std::getline(file, token);
  return token;
}

int serve(const ServerSettings& settings) {
  // Before the threads start, so that they inherit it and only sigwait takes the signals.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const std::string token = tokenOf(settings);
  durable_streams::DurableStreamServer streams({
      .store = openStore(settings),
      .basePath = settings.basePath,
      .publicUrl = settings.publicUrl,
      .authorise = token.empty() ? nullptr : durable_streams::bearerToken(token),
      .longPollTimeout = std::chrono::seconds(settings.longPollSeconds),
      .subscriptions = {.localWebhooks = settings.localWebhooks},
  });
  http::ServerOptions options{.address = settings.address,
                              .port = settings.port,
                              .threads = settings.threads,
                              .limits = {.bodyBytes = settings.maxBodyBytes},
                              .tls = {.certificate = settings.certificate, .key = settings.key},
                              .accessLog = settings.accessLog,
                              .healthPath = "/healthz"};
  if (!settings.origins.empty()) options.cors = durable_streams::streamCors(settings.origins);
  http::Server server(std::move(options), streams.handler());
  server.onStopping([&streams] { streams.stop(); });
  server.start();
  fmt::print("Listening on {}{}\n", server.url(), settings.basePath);
  std::fflush(stdout);
  int signal = 0;
  sigwait(&signals, &signal);
  const bool whole = server.stop(kStopWithin);
  const auto stats = streams.stats();
  fmt::print("Stopped{}: {} appends, {} reads\n", whole ? "" : ", with some connections cut", stats.appends,
             stats.reads);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  ServerSettings settings;
  if (const auto code = parseSettings(settings, argc, argv)) return *code;
  try {
    return serve(settings);
  } catch (const std::exception& error) {
    fmt::print(stderr, "durable_stream_server: {}\n", error.what());
    return 1;
  }
}
