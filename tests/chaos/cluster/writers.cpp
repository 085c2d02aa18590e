#include "chaos/cluster/writers.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>

#include "support/property.h"
#include "tidegate/postgres/query_fn.h"

namespace tidegate::chaos {
namespace {

using test::Random;
using namespace std::chrono_literals;

constexpr std::int64_t kOrders = 300;

/// One transaction: some orders change their amount, some their region too, some come, some go.
std::string orderChange(Random& random) {
  const std::int64_t id = random.between(1, kOrders);
  switch (random.below(5)) {
    case 0:
      return fmt::format("DELETE FROM orders WHERE id = {}", id);
    case 1:
      return fmt::format("UPDATE orders SET amount = amount + 1 WHERE id BETWEEN {} AND {}", id, id + 10);
    case 2:
      return fmt::format(
          "UPDATE orders SET amount = amount + 1, region = CASE region WHEN 'north' THEN 'south' ELSE 'north' END "
          "WHERE id BETWEEN {} AND {}",
          id, id + 3);
    default:
      return fmt::format(
          "INSERT INTO orders SELECT i, CASE WHEN i % 2 = 0 THEN 'north' ELSE 'south' END, 1 FROM "
          "generate_series({}, {}) i ON CONFLICT (id) DO UPDATE SET amount = orders.amount + 1",
          id, id + random.between(0, 20));
  }
}

/// Pulls all the time, pushes often, and goes elsewhere now and then.
void useGateways(Client& client, Random random, const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    if (random.chance(30)) client.push(stop);
    if (random.chance(4)) client.move();
    client.pull(stop);
    std::this_thread::sleep_for(std::chrono::milliseconds(random.below(40)));
  }
}

}  // namespace

QueryFn ordersDatabase() { return postgres::queryFn({.url = std::getenv("POSTGRES_URL"), .readOnly = false}); }

void prepareOrders() {
  const QueryFn query = ordersDatabase();
  query({.sql = "CREATE TABLE orders(id bigint PRIMARY KEY, region text NOT NULL, amount bigint NOT NULL)"});
  query({.sql = fmt::format("INSERT INTO orders SELECT i, 'north', 1 FROM generate_series(1, {}) i", kOrders / 2)});
}

Writers::Writers(const std::vector<std::string>& gateways, std::size_t clients, std::uint64_t seed) {
  for (std::size_t i = 0; i < clients; ++i) {
    clients_.push_back(
        std::make_unique<Client>(gateways, i % 2 == 0 ? "north" : "south", fmt::format("client-{}", i), seed + i));
  }
}

void Writers::start(std::uint64_t seed) {
  threads_.emplace_back([this, seed](const std::stop_token& stop) { writeOrders(seed, stop); });
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    threads_.emplace_back([client = clients_[i].get(), random = Random(seed * 1'000 + i)](const std::stop_token& stop) {
      useGateways(*client, random, stop);
    });
  }
}

void Writers::stop() {
  for (std::jthread& thread : threads_) thread.request_stop();
  threads_.clear();
}

std::size_t Writers::pushes() const {
  std::size_t all = 0;
  for (const auto& client : clients_) all += client->acknowledged().size();
  return all;
}

void Writers::writeOrders(std::uint64_t seed, const std::stop_token& stop) {
  Random random(seed);
  const QueryFn query = ordersDatabase();
  while (!stop.stop_requested()) {
    query({.sql = orderChange(random)});
    ++commits_;
    std::this_thread::sleep_for(std::chrono::milliseconds(random.below(20)));
  }
}

}  // namespace tidegate::chaos
