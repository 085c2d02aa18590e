/// Gateways over one log that fails, lags and is trimmed: each may be stopped and joined anew at any time.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "contract/gateway_law_deltas.h"
#include "contract/gateway_model.h"
#include "support/faulty_shared_log.h"
#include "support/manual_clock.h"
#include "tidegate/gateway/gateway.h"

namespace tidegate::test {

struct SharedCluster {
  struct Node {
    std::shared_ptr<FaultySharedLog> log;
    std::unique_ptr<Gateway> gateway;
  };

  SharedCluster(Random& random_, const Clock& clock_) : random(random_), clock(clock_) {}

  void join(std::size_t at) {
    nodes.resize(std::max(nodes.size(), at + 1));
    Node& node = nodes[at];
    node.gateway.reset();
    node.log = std::make_shared<FaultySharedLog>(log.another(), [this] { return fault(); });
    GatewayOptions own = options;
    own.clock = &clock;
    own.sharedLog = node.log;
    const bool faultsWere = std::exchange(faults, false);
    node.gateway = std::make_unique<Gateway>(own);
    faults = faultsWere;
  }

  AppendFault fault() {
    if (!faults || !random.chance(12)) return AppendFault::none;
    const AppendFault all[] = {AppendFault::refused, AppendFault::answerLost, AppendFault::lost, AppendFault::late};
    return random.pick(all);
  }

  Node& any() { return nodes[random.index(nodes.size())]; }
  Gateway& anyGateway() { return *any().gateway; }

  /// Wakes, late entries, snapshots, restarts and lags, as they come.
  void trouble() {
    for (Node& node : nodes) {
      if (random.chance(25)) node.log->wake();
      if (random.chance(30)) node.log->land();
    }
    if (random.chance(6)) anyGateway().saveSnapshot();
    if (random.chance(5)) join(random.index(nodes.size()));
    if (nodes.size() < 4 && random.chance(3)) join(nodes.size());
  }

  /// As a sender does that hears "perhaps": again, wherever it gets through. Gateways that lost their place join anew.
  PushResult push(const SyncPush& push, PushContext context) {
    for (;;) {
      const std::size_t at = random.index(nodes.size());
      try {
        return nodes[at].gateway->handlePush(push, context);
      } catch (const Error& error) {
        if (error.code() == ErrorCode::positionLost) {
          join(at);
          continue;
        }
        if (error.code() != ErrorCode::storeUnavailable) throw;
      }
    }
  }

  /// Something that may meet a fault or a trimmed log, on any gateway, until it is done.
  template <class Work>
  void onAny(const Work& work) {
    for (;;) {
      const std::size_t at = random.index(nodes.size());
      try {
        work(*nodes[at].gateway);
        return;
      } catch (const Error& error) {
        if (error.code() == ErrorCode::positionLost) {
          join(at);
          continue;
        }
        if (error.code() != ErrorCode::storeUnavailable) throw;
      }
    }
  }

  /// No more faults; everybody has everything.
  void settle() {
    faults = false;
    for (Node& node : nodes) node.log->land();
    for (std::size_t at = 0; at < nodes.size(); ++at) {
      try {
        nodes[at].gateway->catchUp();
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::positionLost) << error.what();
        join(at);
      }
    }
    for (Node& node : nodes) node.gateway->catchUp();
  }

  Random& random;
  const Clock& clock;
  MemorySharedLog log;
  GatewayOptions options;
  std::vector<Node> nodes;
  bool faults = true;
};

/// The whole log as this gateway gives it: stamps and deltas.
inline std::vector<std::pair<Hlc, RowDelta>> logOf(Gateway& gateway) {
  std::vector<std::pair<Hlc, RowDelta>> entries;
  SyncPull pull{"log reader", {}, 1'000, true};
  for (;;) {
    const PullResult page = gateway.handlePull(pull);
    EXPECT_FALSE(page.mustResync) << page.reason;
    for (std::size_t i = 0; i < page.deltas.size(); ++i) entries.emplace_back(page.stamps[i], page.deltas[i]);
    if (!page.hasMore) return entries;
    pull.sinceHlc = page.serverHlc;
  }
}

}  // namespace tidegate::test
