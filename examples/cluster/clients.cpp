// Clients spread over the gateways of a cluster. They pull, push notes and move, until SIGTERM; then they have to end
// with what PostgreSQL holds, each with its own region, and with every note that was acknowledged.
//
//   cluster_clients --gateways http://127.0.0.1:8081,http://127.0.0.1:8082 --postgres postgresql://…
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "client.h"
#include "tidegate/core/json.h"
#include "tidegate/postgres/query_fn.h"

using namespace std::chrono_literals;
using namespace tidegate;

namespace {

struct Settings {
  std::vector<std::string> gateways;
  std::string postgresUrl;
  std::size_t clients = 12;
  std::chrono::seconds patience{90};
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

std::map<std::string, Replica::Rows> ordersByRegion(const QueryFn& query) {
  std::map<std::string, Replica::Rows> regions;
  ResultSet orders = query({.sql = "SELECT id, region, amount FROM orders"});
  for (std::vector<Value> row; orders.next(row);) {
    regions[row[1].as<std::string>()][toJson(row[0])] = {
        {"id", toJson(row[0])}, {"region", toJson(row[1])}, {"amount", toJson(row[2])}};
  }
  return regions;
}

/// What is wrong with a client, or nothing.
std::string fault(const Client& client, const Replica::Rows& orders, const std::set<std::string>& notes) {
  const Replica::Rows& held = client.replica().rows("public.orders");
  if (held.size() != orders.size()) return fmt::format("{} orders of {}", held.size(), orders.size());
  for (const auto& [id, columns] : orders) {
    const auto found = held.find(id);
    if (found == held.end()) return "order " + id + " is missing";
    if (found->second != columns) return "order " + id + " differs";
  }
  const Replica::Rows& noted = client.replica().rows("notes");
  for (const std::string& note : notes) {
    if (!noted.contains(note)) return "note " + note + " was acknowledged and is missing";
  }
  return client.replica().repeated() == 0 ? "" : fmt::format("{} rows were told twice", client.replica().repeated());
}

/// Pulls until all are in order, or for as long as there is patience. @return the first fault that is left.
std::string settle(std::vector<std::unique_ptr<Client>>& clients, const QueryFn& query, const Settings& settings) {
  const auto orders = ordersByRegion(query);
  std::set<std::string> notes;
  for (const auto& client : clients) notes.insert(client->acknowledged().begin(), client->acknowledged().end());
  std::string left;
  for (const auto deadline = std::chrono::steady_clock::now() + settings.patience;;) {
    left.clear();
    for (auto& client : clients) {
      const bool pulled = client->pull({});
      const auto own = orders.find(client->region());
      const std::string found = fault(*client, own == orders.end() ? Replica::Rows{} : own->second, notes);
      if (!found.empty())
        left = fmt::format("{}: {}{}", client->name(), found, pulled ? "" : "; " + client->lastFailure());
    }
    if (left.empty() || std::chrono::steady_clock::now() > deadline) break;
    std::this_thread::sleep_for(200ms);
  }
  std::size_t rows = 0, moves = 0, resyncs = 0;
  for (const auto& [region, of] : orders) rows += of.size();
  for (const auto& client : clients) moves += client->moves(), resyncs += client->resyncs();
  fmt::print("{} orders, {} notes acknowledged; {} clients moved {} times and took {} checkpoints\n", rows,
             notes.size(), clients.size(), moves, resyncs);
  return left;
}

int follow(const Settings& settings) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  std::vector<std::unique_ptr<Client>> clients;
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
    // A push under way is repeated until it is acknowledged or its thread is told to end: then nothing is claimed.
  }
  const std::string left = settle(clients, postgres::queryFn({.url = settings.postgresUrl}), settings);
  if (left.empty()) {
    fmt::print("OK: every client holds its region's orders and every acknowledged note, each told once\n");
    return 0;
  }
  fmt::print("FAILED: {}\n", left);
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app{"Clients spread over the gateways of a cluster, and a check of what they end with.", "cluster_clients"};
  app.add_option("--gateways", settings.gateways, "URLs of at least two gateways")
      ->required()
      ->delimiter(',')
      ->expected(2, 100);
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
