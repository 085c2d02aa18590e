// One client of the cluster: pulls, pushes notes, and goes to another gateway when its own is gone, or just so.
#pragma once

#include <cstdint>
#include <random>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "replica.h"
#include "tidegate/core/hlc.h"
#include "tidegate/http/client.h"

/// @thread One.
class Client {
 public:
  Client(std::vector<std::string> gateways, std::string region, std::string name, std::uint64_t seed);

  /// Pushes a note, again and again until a gateway has acknowledged it, and remembers that.
  void push(std::stop_token stop);
  /// Pulls to the log's end, as the gateway knows it. @return false: it did not answer; the next one is asked next.
  bool pull(std::stop_token stop);
  /// Goes to a gateway at random.
  void move();

  const std::string& region() const noexcept { return region_; }
  const std::string& name() const noexcept { return name_; }
  const Replica& replica() const noexcept { return replica_; }
  const std::set<std::string>& acknowledged() const noexcept { return acknowledged_; }
  std::size_t moves() const noexcept { return moves_; }
  std::size_t resyncs() const noexcept { return resyncs_; }
  const std::string& lastFailure() const noexcept { return failure_; }

 private:
  bool pullPage(std::stop_token stop, bool& more);
  bool resync(std::stop_token stop);
  /// An answer of status 200; else the client moves.
  bool ask(tidegate::http::ClientRequest request, std::stop_token stop, tidegate::http::Response& answer);

  const std::vector<std::string> gateways_;
  const std::string region_, name_;
  std::mt19937_64 random_;
  tidegate::http::Client http_;
  tidegate::HlcClock clock_;
  std::size_t at_ = 0, moves_ = 0, resyncs_ = 0, notes_ = 0;
  std::string since_ = "0", failure_;
  Replica replica_;
  std::set<std::string> acknowledged_;
};
