/// The pushes of one page, in slots that are filled again and again: a steady page allocates nothing.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "source/detail/row_shape.h"
#include "tidegate/gateway/messages.h"

namespace tidegate::detail {

/// Where a delta stands.
struct DeltaPlace {
  std::uint32_t push = 0, delta = 0;
};

class InsertBatch {
 public:
  struct Options {
    std::string table;
    std::string clientId;
    std::size_t pushDeltas = 5'000;
    std::size_t pushBytes = std::size_t{16} << 20;  ///< a push ends here even with fewer deltas
  };
  explicit InsertBatch(Options options) : options_(std::move(options)) {}

  /// Empties the batch. Slots are kept where the shape is the same.
  void begin(const RowShape& shape);
  /// Adds an insert of the row; its data values are swapped against old ones, whose capacity the driver can reuse.
  DeltaPlace add(const RowShape& shape, const std::string& rowId, std::vector<Value>& row, std::size_t bytes);
  /// Takes the last one back.
  void takeBack();

  const RowDelta& at(DeltaPlace place) const { return pushes_[place.push].deltas[place.delta]; }
  /// Pushes that hold deltas.
  std::size_t pushes() const noexcept { return count_ == 0 ? full_ : full_ + 1; }
  /// A push cut to its deltas, ready to go.
  SyncPush& ready(std::size_t push);

 private:
  SyncPush& open();
  void prefetch(const SyncPush& push) const;

  const Options options_;
  std::vector<SyncPush> pushes_;
  std::vector<std::size_t> sizes_;  ///< of the full ones
  std::uint64_t shape_ = 0;
  std::size_t full_ = 0;               ///< pushes that are full; the next one is open
  std::size_t count_ = 0, bytes_ = 0;  ///< of the open one
  std::size_t lastBytes_ = 0;
};

}  // namespace tidegate::detail
