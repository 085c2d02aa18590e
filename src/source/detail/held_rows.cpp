#include "source/detail/held_rows.h"

#include <utility>

namespace tidegate::detail {

void HeldRows::forget() {
  rows.clear();
  byKey_.clear();
  delivered = 0;
  overtakenUpTo_ = 0;
  indexed_ = false;
}

bool HeldRows::overtake(const TouchLog& log, const std::string& table, const TableShape& shape,
                        const std::function<bool(const TransactionName&)>& sees, std::uint64_t begunAt) {
  for (const TouchingTransaction& transaction : log.transactions()) {
    if (transaction.number <= overtakenUpTo_ || sees(transaction.name)) continue;
    for (const Touch& touch : transaction.touches) {
      if (touch.table != table) continue;
      if (touch.kind == Touch::Kind::unknown || transaction.number <= begunAt) return false;
      apply(touch, shape);
    }
  }
  overtakenUpTo_ = log.lastNumber();
  return true;
}

void HeldRows::apply(const Touch& touch, const TableShape& shape) {
  if (touch.kind == Touch::Kind::everyRow) {
    for (auto& row : rows) row.clear();
    return;
  }
  if (!std::exchange(indexed_, true)) {
    std::string key;
    for (std::size_t i = delivered; i < rows.size(); ++i) {
      if (!live(i)) continue;
      packKey(rows[i], shape.key, key);
      byKey_.emplace(key, i);
    }
  }
  const auto found = byKey_.find(touch.key);
  if (found == byKey_.end() || found->second < delivered || !live(found->second)) return;
  std::vector<Value>& row = rows[found->second];
  if (touch.kind == Touch::Kind::drop) return row.clear();
  for (const auto& [column, value] : touch.changed) {
    if (column < row.size()) row[column] = value;
  }
}

std::size_t HeldRows::liveRows() const {
  std::size_t count = 0;
  for (std::size_t i = delivered; i < rows.size(); ++i) count += live(i) ? 1 : 0;
  return count;
}

}  // namespace tidegate::detail
