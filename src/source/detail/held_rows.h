/// Rows of a baseline that were read at some snapshot and wait until the stream has come past it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "source/detail/touch_log.h"
#include "tidegate/source/change_event.h"

namespace tidegate::detail {

class HeldRows {
 public:
  std::vector<std::vector<Value>> rows{};
  std::size_t delivered = 0;  ///< rows passed, dropped ones among them

  /// Applies what the log has of transactions that the snapshot does not see, in their order.
  /// @param table   the rows' full name, and `shape` theirs.
  /// @param begunAt the last transaction that was told before the table's `baselineBegin`. What it touched is not named
  ///                since then, and would be taken for gone at the end: such a row must be read.
  /// @return false if the rows cannot be made true: read them again.
  bool overtake(const TouchLog& log, const std::string& table, const TableShape& shape,
                const std::function<bool(const TransactionName&)>& sees, std::uint64_t begunAt);
  /// Whether the row is still to be delivered.
  bool live(std::size_t row) const { return !rows[row].empty(); }
  std::size_t liveRows() const;
  void forget();

 private:
  void apply(const Touch& touch, const TableShape& shape);

  std::uint64_t overtakenUpTo_ = 0;  ///< number of the last transaction applied
  bool indexed_ = false;             ///< `byKey_` was filled: not before it is needed
  std::unordered_map<std::string, std::size_t> byKey_{};
};

}  // namespace tidegate::detail
