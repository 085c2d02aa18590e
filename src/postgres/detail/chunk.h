/// One range of keys of a table, read at one snapshot and held until the stream has come past it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "postgres/detail/catalogue.h"
#include "postgres/detail/lsn.h"
#include "postgres/detail/snapshot.h"
#include "source/detail/held_rows.h"

namespace tidegate::postgres::detail {

/// A table's facts as read under a lock, and what tells that they still hold.
struct KnownTable {
  TableFacts facts;
  Shape shape;
  std::string fingerprint;
};

struct Chunk : tidegate::detail::HeldRows {
  enum class Stage { wanted, reading, read };

  std::string table{};               ///< the full name
  std::vector<std::string> after{};  ///< keys beyond this; empty: from the beginning
  std::vector<std::string> upTo{};   ///< and up to this one; empty with `bounded`: to the end
  bool bounded = false;              ///< `upTo` is known
  Stage stage = Stage::wanted;

  // Once read:
  std::shared_ptr<const KnownTable> known{};
  Snapshot snapshot{};
  Lsn highWater = 0;            ///< all that the snapshot sees committed before it
  std::uint64_t shapeTime = 0;  ///< of the owner's count of shapes seen, when it was read
  std::chrono::steady_clock::time_point readAt{};

  bool last() const { return bounded && upTo.empty(); }
  /// Back to `wanted`: to be read from the same key on, at a new snapshot.
  void again() {
    stage = Stage::wanted;
    forget();
    known.reset();
  }
  /// As `HeldRows::overtake`, for what the snapshot sees.
  bool overtake(const tidegate::detail::TouchLog& log, std::uint64_t begunAt = 0) {
    return HeldRows::overtake(
        log, table, *known->shape,
        [this](const tidegate::detail::TransactionName& name) {
          return snapshot.seesShort(static_cast<std::uint32_t>(name.low));
        },
        begunAt);
  }
};

}  // namespace tidegate::postgres::detail
