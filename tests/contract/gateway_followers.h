/// Clients under rules by owner, and what each must hold.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "contract/gateway_model.h"

namespace tidegate::test {

/// "users" of the claimed owners; "orders" that have an owner of at least 1.
inline SyncRules ownersRules() {
  return SyncRules::of(1, {{"mine", {"users"}, {{"owner", RuleOp::in, {}, "sub"}}},
                           {"big", {"orders"}, {{"owner", RuleOp::gte, {Value(1)}, ""}}}});
}

inline ModelView filtered(const ModelView& all, const std::vector<std::int64_t>& owners) {
  ModelView seen;
  for (const auto& [key, row] : all) {
    const auto at = row.find("owner");
    const std::int64_t* owner = at == row.end() ? nullptr : at->second.getIf<std::int64_t>();
    if (owner == nullptr) continue;
    const bool mine = key.first == "users" && std::find(owners.begin(), owners.end(), *owner) != owners.end();
    if (mine || (key.first == "orders" && *owner >= 1)) seen[key] = row;
  }
  return seen;
}

inline Claims claimsOf(const std::vector<std::int64_t>& owners) {
  Claims claims;
  for (const std::int64_t owner : owners) claims["sub"].push_back(std::to_string(owner));
  return claims;
}

/// A client that does what it is told: pulls, and takes a snapshot when it must.
struct Follower {
  std::string id;
  std::vector<std::int64_t> owners;
  Hlc since;
  ModelView replica;
  int resyncs = 0;

  /// One page. @return whether there may be more.
  bool pull(Gateway& gateway, std::size_t page) {
    const PullResult result = gateway.handlePull({id, since, page}, claimsOf(owners));
    if (result.mustResync) {
      EXPECT_FALSE(result.reason.empty());
      EXPECT_TRUE(result.deltas.empty());
      resync(gateway);
      return true;
    }
    for (const RowDelta& delta : result.deltas) EXPECT_EQ(delta.deltaId, computeDeltaId(delta)) << toJson(delta);
    applyTo(replica, result.deltas);
    since = result.serverHlc;
    return result.hasMore;
  }

  void resync(Gateway& gateway) {
    ++resyncs;
    replica.clear();
    GatewaySnapshot snapshot = gateway.snapshot(claimsOf(owners), id);
    RowDelta row;
    while (snapshot.next(row)) applyTo(replica, row);
    since = snapshot.serverHlc();
  }
};

}  // namespace tidegate::test
