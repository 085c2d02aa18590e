/// The events that the benches of sinks apply: a table of five columns, in batches as a source delivers them.
#pragma once

#include <string>
#include <vector>

#include "bench/data.h"
#include "tidegate/sink/sink.h"

namespace tidegate::bench {

inline const Shape& orderShape() {
  static const Shape shape = makeShape({.table = "orders",
                                        .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                                                    {.name = "name", .kind = ValueKind::text},
                                                    {.name = "email", .kind = ValueKind::text},
                                                    {.name = "score", .kind = ValueKind::int64},
                                                    {.name = "updated_at", .kind = ValueKind::int64}},
                                        .primaryKey = {"id"}});
  return shape;
}

/// `count` events of rows 0..count-1 in batches of `size`.
inline std::vector<ChangeBatch> orderBatches(ChangeOp op, std::size_t count, std::size_t size) {
  std::vector<ChangeBatch> batches((count + size - 1) / size);
  for (std::size_t i = 0; i < count; ++i) {
    ChangeEvent& event = batches[i / size].add(op, orderShape());
    event.transactionBegin = event.transactionEnd = true;
    event.position.octets = std::to_string(i);
    event.commitMicros = static_cast<std::int64_t>(kFirstMillis + i) * 1'000;
    event.after = {static_cast<std::int64_t>(i), fmt::format("user-{}", i), fmt::format("user-{}@example.com", i),
                   static_cast<std::int64_t>(i % 1'000), static_cast<std::int64_t>(kFirstMillis + i)};
  }
  return batches;
}

/// One event without a row, as a batch.
inline ChangeBatch orderEvent(ChangeOp op) {
  ChangeBatch batch;
  batch.add(op, orderShape()).position.octets = "p";
  return batch;
}

}  // namespace tidegate::bench
