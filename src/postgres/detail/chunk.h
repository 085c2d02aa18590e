/// One range of keys of a table, read at one snapshot and held until the stream has come past it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "postgres/detail/catalogue.h"
#include "postgres/detail/lsn.h"
#include "postgres/detail/snapshot.h"
#include "postgres/detail/touch_log.h"

namespace tidegate::postgres::detail {

/// A table's facts as read under a lock, and what tells that they still hold.
struct KnownTable {
  TableFacts facts;
  Shape shape;
  std::string fingerprint;
};

struct Chunk {
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
  std::vector<std::vector<Value>> rows{};
  std::chrono::steady_clock::time_point readAt{};

  // While it is delivered:
  std::size_t delivered = 0;  ///< rows passed, dropped ones among them

  bool last() const { return bounded && upTo.empty(); }
  /// Back to `wanted`: to be read from the same key on, at a new snapshot.
  void again();
  /// Applies what the log has of transactions that the snapshot does not see, in their order.
  /// @param begunAt the last transaction that was told before the table's `baselineBegin`. What it touched is not named
  ///                since then, and would be taken for gone at the end: such a row must be read.
  /// @return false if the rows cannot be made true: read it again.
  bool overtake(const TouchLog& log, std::uint64_t begunAt = 0);
  /// Whether the row is still to be delivered.
  bool live(std::size_t row) const { return !rows[row].empty(); }
  std::size_t liveRows() const;

 private:
  void apply(const Touch& touch);

  std::uint64_t overtakenUpTo_ = 0;  ///< number of the last transaction applied
  bool indexed_ = false;             ///< `byKey_` was filled: not before it is needed
  std::unordered_map<std::string, std::size_t> byKey_{};
};

}  // namespace tidegate::postgres::detail
