// Feeds a gateway from PostgreSQL while this node holds the lease; the others wait for it.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "tidegate/gateway/gateway.h"
#include "tidegate/nats/connect_options.h"
#include "tidegate/nats/lease.h"

/// The place in PostgreSQL's log is kept in the gateways' log, in one entry with the rows: whoever takes over goes on
/// from there, and what a predecessor still writes is refused.
class Ingest {
 public:
  Ingest(tidegate::Gateway& gateway, tidegate::nats::ConnectOptions nats, std::string node, std::string postgresUrl);
  ~Ingest();

  /// Whether this node holds the lease, as far as it knows.
  bool feeds() const noexcept { return feeds_; }

 private:
  void run(std::stop_token stop);
  void follow(tidegate::nats::Lease& lease, std::stop_token stop);
  void pause(std::stop_token stop, std::chrono::milliseconds time);

  tidegate::Gateway& gateway_;
  const tidegate::nats::ConnectOptions nats_;
  const std::string node_, postgresUrl_;
  std::atomic<bool> feeds_{false};
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;
};
