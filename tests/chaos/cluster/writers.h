/// Who writes: a program on PostgreSQL, and clients of the gateways.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "cluster/check.h"
#include "tidegate/core/query.h"

namespace tidegate::chaos {

QueryFn ordersDatabase();
/// The table, with some rows. Each change of a row raises its amount by one.
void prepareOrders();

/// @thread One, for its members.
class Writers {
 public:
  Writers(const std::vector<std::string>& gateways, std::size_t clients, std::uint64_t seed);
  void start(std::uint64_t seed);
  /// Ends them. Pushes under way end unacknowledged.
  void stop();

  const Clients& clients() const { return clients_; }
  std::uint64_t commits() const { return commits_; }
  /// Acknowledged ones.
  std::size_t pushes() const;

 private:
  void writeOrders(std::uint64_t seed, const std::stop_token& stop);

  Clients clients_;
  std::atomic<std::uint64_t> commits_{0};
  std::vector<std::jthread> threads_;
};

}  // namespace tidegate::chaos
