// Clients spread over the gateways of a cluster. They pull, push notes and move, until SIGTERM; then they have to end
// with what PostgreSQL holds, each with its own region, and with every note that was acknowledged.
//
//   cluster_clients --gateways http://127.0.0.1:8081,http://127.0.0.1:8082 --postgres postgresql://…
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "tidegate/postgres/query_fn.h"

using namespace std::chrono_literals;
using namespace tidegate;

namespace {

constexpr auto kPatience = 60s;

struct Settings {
  std::vector<std::string> gateways;
  std::string postgresUrl;
  std::size_t clients = 12;
};

/// Pulls twenty times a second, pushes a note each half second, and goes elsewhere every now and then.
void work(Client& client, std::stop_token stop) {
  for (std::uint64_t turn = 0; !stop.stop_requested(); ++turn) {
    if (turn % 10 == 0) client.push(stop);
    if (turn % 37 == 36) client.move();
    client.pull(stop);
    std::this_thread::sleep_for(50ms);
  }
}

/// @return the first fault that is there now; empty: none.
std::string faultNow(const Clients& clients, const Truth& truth, const Settings& settings) {
  for (const auto& client : clients) {
    if (!client->pull({})) return client->name() + ": " + client->lastFailure();
    if (const std::string fault = faultOf(*client, truth); !fault.empty()) return client->name() + ": " + fault;
  }
  return gatewaysDiffer(settings.gateways, truth);
}

/// Pulls until all is in order, or for as long as there is patience. @return the fault that is left.
std::string settle(const Clients& clients, const Settings& settings) {
  const Truth truth = truthOf(postgres::queryFn({.url = settings.postgresUrl}), clients);
  std::size_t moves = 0, checkpoints = 0;
  for (const auto& client : clients) moves += client->moves(), checkpoints += client->resyncs();
  fmt::print("{} orders and {} acknowledged notes; {} clients, which moved {} times and took {} checkpoints\n",
             truth.orderCount, truth.notes.size(), clients.size(), moves, checkpoints);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    std::string fault = faultNow(clients, truth, settings);
    if (fault.empty() || std::chrono::steady_clock::now() > deadline) return fault;
    std::this_thread::sleep_for(100ms);
  }
}

int follow(const Settings& settings) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  Clients clients;
  for (std::size_t i = 0; i < settings.clients; ++i) {
    clients.push_back(
        std::make_unique<Client>(settings.gateways, i % 2 == 0 ? "north" : "south", fmt::format("client-{}", i), i));
  }
  {
    std::vector<std::jthread> threads;
    for (const auto& client : clients)
      threads.emplace_back([&](std::stop_token stop) { work(*client, std::move(stop)); });
    int signal = 0;
    sigwait(&ends, &signal);
    // A push under way ends unacknowledged: nothing is claimed of it.
  }
  const std::string fault = settle(clients, settings);
  if (!fault.empty()) {
    fmt::print("FAILED: {}\n", fault);
    return 1;
  }
  fmt::print(
      "OK: every client holds its region's orders and every acknowledged note, none told twice; all {} gateways tell "
      "the same\n",
      settings.gateways.size());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app{"Clients spread over the gateways of a cluster, and a check of what they end with.", "cluster_clients"};
  app.add_option("--gateways", settings.gateways, "URLs of the gateways")->required()->delimiter(',');
  app.add_option("--postgres", settings.postgresUrl, "Whose table orders the clients are compared with")->required();
  app.add_option("--clients", settings.clients, "How many")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    return follow(settings);
  } catch (const std::exception& failure) {
    fmt::print(stderr, "cluster_clients: {}\n", failure.what());
    return 1;
  }
}
