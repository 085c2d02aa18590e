/// One push of inserts, in slots that are filled again and again: a steady push allocates nothing.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "source/detail/row_shape.h"
#include "tidegate/gateway/messages.h"

namespace tidegate::detail {

class InsertBatch {
 public:
  /// A push ends here even with few deltas, unless one alone is larger.
  static constexpr std::size_t kMostBytes = std::size_t{16} << 20;

  InsertBatch(std::string table, std::string clientId);

  /// Empties the batch. Slots are kept where the shape is the same.
  void begin(const RowShape& shape);
  bool fits(std::size_t bytes) const noexcept { return count_ == 0 || bytes_ + bytes <= kMostBytes; }
  /// Adds an insert of the row; its data values are swapped against old ones, whose capacity the driver can reuse.
  const RowDelta& add(const RowShape& shape, const std::string& rowId, std::vector<Value>& row, std::size_t bytes);
  /// Takes the last one back.
  void takeBack();

  const RowDelta& at(std::size_t delta) const { return push_.deltas[delta]; }
  std::size_t size() const noexcept { return count_; }
  /// The push cut to its deltas, ready to go.
  SyncPush& ready();

 private:
  void prefetch() const;

  const std::string table_;
  SyncPush push_;
  std::uint64_t shape_ = 0;
  std::size_t count_ = 0, bytes_ = 0, lastBytes_ = 0;
};

}  // namespace tidegate::detail
