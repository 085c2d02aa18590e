/// One thing that a shape has to tell, with its place.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "electric/detail/source_place.h"
#include "tidegate/source/change_event.h"

namespace tidegate::electric::reading {

/// What will be a ChangeEvent once it is known in which transaction it stands.
struct ReadItem {
  ChangeOp op = ChangeOp::progress;
  Shape shape{};
  std::vector<Value> before{};
  std::vector<Value> after{};
  std::vector<std::uint32_t> unchanged{};
  std::vector<std::uint32_t> beforeAbsent{};
  std::shared_ptr<const SchemaChange> schemaChange{};
  ShapePlace place{};
  std::int64_t lsn = -1;       ///< of its transaction; -1: it stands alone (baselines, rows whose place is not told)
  std::uint64_t position = 0;  ///< in the transaction, across all tables
  bool last = false;           ///< the last of the transaction in this shape
  std::uint64_t transactionId = 0;

  std::size_t bytes() const noexcept {
    std::size_t sum = sizeof(ReadItem) + (before.size() + after.size()) * sizeof(Value) + place.handle.size();
    for (const Value& value : before) sum += valueBytes(value);
    for (const Value& value : after) sum += valueBytes(value);
    return sum;
  }
};

}  // namespace tidegate::electric::reading
