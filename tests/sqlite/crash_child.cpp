/// Pushes to a gateway with the SQLite store until it is killed, and prints each push once it is acknowledged.
///
///     crash_child <database> <round>
///
/// A line is the push's JSON, a tab, and its serverHlc; the first line is the log's last stamp at start. Two threads
/// push, so that commits carry groups. Every push writes rows of its own, each saying how many they are, and one row
/// all pushes share.
#include <unistd.h>

#include <iostream>
#include <mutex>
#include <random>
#include <string>
#include <thread>

#include "tidegate/core/delta.h"
#include "tidegate/core/error.h"
#include "tidegate/gateway/gateway.h"
#include "tidegate/sqlite/gateway_store.h"

namespace {

using namespace tidegate;

std::mutex outputMutex;

/// Straight to the pipe: what a buffer held would be lost with the process, and look as if never acknowledged.
void print(std::string line) {
  line.push_back('\n');
  const std::lock_guard lock(outputMutex);
  for (std::size_t at = 0; at < line.size();) {
    const ssize_t n = ::write(STDOUT_FILENO, line.data() + at, line.size() - at);
    if (n <= 0) ::_exit(3);
    at += static_cast<std::size_t>(n);
  }
}

RowDelta delta(Gateway& gateway, DeltaOp op, const std::string& rowId, std::vector<ColumnValue> columns) {
  RowDelta d{.op = op,
             .table = "t",
             .rowId = rowId,
             .clientId = "crash",
             .columns = std::move(columns),
             .hlc = gateway.clock().now()};
  d.deltaId = computeDeltaId(d);
  return d;
}

SyncPush batch(Gateway& gateway, const std::string& name, std::mt19937_64& random) {
  SyncPush push{.clientId = "crash"};
  const auto size = static_cast<std::int64_t>(random() % 8 + 1);
  for (std::int64_t i = 0; i < size; ++i) {
    push.deltas.push_back(delta(gateway, DeltaOp::insert, name + "/" + std::to_string(i),
                                {{"of", size}, {"filling", std::string(random() % 600, 'f')}}));
  }
  push.deltas.push_back(
      delta(gateway, DeltaOp::update, "shared", {{"by", name}, {"n", static_cast<std::int64_t>(random() >> 1)}}));
  return push;
}

void pushUntilKilled(Gateway& gateway, const std::string& prefix, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  for (std::uint64_t n = 0;; ++n) {
    const SyncPush push = batch(gateway, prefix + "." + std::to_string(n), random);
    const PushResult result = gateway.handlePush(push);
    if (result.status != PushStatus::accepted) {
      std::cerr << "refused: " << result.message << std::endl;
      ::_exit(4);
    }
    print(toJson(push) + "\t" + result.serverHlc.text());
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: crash_child <database> <round>\n";
    return 2;
  }
  try {
    Gateway gateway({.retention = {.maxLogBytes = 1u << 20}, .store = sqlite::gatewayStore({.path = argv[1]})});
    print(gateway.stats().lastHlc.text());
    const std::string round = argv[2];
    const std::uint64_t seed = std::stoull(round);
    std::jthread second([&] { pushUntilKilled(gateway, round + ".b", 2 * seed + 1); });
    pushUntilKilled(gateway, round + ".a", 2 * seed);
  } catch (const std::exception& e) {
    std::cerr << e.what() << std::endl;
    ::_exit(5);
  }
}
