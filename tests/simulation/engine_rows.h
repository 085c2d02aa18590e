/// Rows that were read at once.
#pragma once

#include <utility>
#include <vector>

#include "tidegate/core/query.h"

namespace tidegate::sim {

class SimRows final : public RowStream {
 public:
  SimRows(Columns columns, std::vector<std::vector<Value>> rows)
      : columns_(std::move(columns)), rows_(std::move(rows)) {}
  const Columns& columns() const override { return columns_; }
  bool next(std::vector<Value>& values) override {
    if (at_ == rows_.size()) return false;
    values = std::move(rows_[at_++]);
    return true;
  }

 private:
  Columns columns_;
  std::vector<std::vector<Value>> rows_;
  std::size_t at_ = 0;
};

}  // namespace tidegate::sim
