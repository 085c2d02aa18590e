/// Random deltas for the laws of section 4.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "contract/gateway_model.h"

namespace tidegate::test {

inline constexpr PushContext kTrustedPush{.trusted = true, .ingest = false};

inline std::vector<RowDelta> someDeltas(Random& random, std::size_t count) {
  DeltaMaker maker{random};
  std::vector<RowDelta> deltas;
  for (std::size_t i = 0; i < count; ++i) {
    deltas.push_back(maker.make(random.chance(50) ? "x" : "y"));
    if (random.chance(70)) deltas.back().deltaId = computeDeltaId(deltas.back());
  }
  return deltas;
}

/// In batches of random size.
inline void pushInBatches(Gateway& gateway, Random& random, const std::vector<RowDelta>& deltas) {
  for (std::size_t at = 0; at < deltas.size();) {
    const std::size_t size = std::min<std::size_t>(1 + random.below(7), deltas.size() - at);
    SyncPush push{
        "host",
        {deltas.begin() + static_cast<std::ptrdiff_t>(at), deltas.begin() + static_cast<std::ptrdiff_t>(at + size)},
        {}};
    const PushResult result = gateway.handlePush(push, kTrustedPush);
    ASSERT_EQ(result.status, PushStatus::accepted) << result.message;
    ASSERT_EQ(result.applied + result.duplicates + result.noEffect, size);
    at += size;
  }
}

inline LwwModel modelOf(const std::vector<RowDelta>& deltas) {
  LwwModel model;
  for (const RowDelta& delta : deltas) model.add(delta);
  return model;
}

/// A delta with one fault.
inline RowDelta spoil(Random& random, RowDelta delta) {
  switch (random.below(6)) {
    case 0:
      delta.hlc = Hlc::of(kBaseMs + 6'000);
      break;
    case 1:
      delta.table.clear();
      break;
    case 2:
      delta.rowId = std::string(2'000, 'x');
      break;
    case 3:
      delta.clientId = "somebody else";
      break;
    case 4:
      delta.deltaId.octets[5] ^= 1;
      delta.deltaId.octets[0] |= 1;
      break;
    default:
      delta.op = DeltaOp::update;
      delta.columns = {{"a", 1}, {"a", 2}};
  }
  return delta;
}

}  // namespace tidegate::test
