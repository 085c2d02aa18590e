// What a client knows: rows, column by column, as pages of the log and checkpoints tell them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tidegate/core/delta.h"

class Replica {
 public:
  using Columns = std::map<std::string, std::string>;  ///< values as JSON
  using Rows = std::map<std::string, Columns>;

  void apply(const std::vector<tidegate::RowDelta>& deltas);
  /// Begins anew: a checkpoint follows.
  void clear() { tables_.clear(); }
  const Rows& rows(const std::string& table) const;
  const std::map<std::string, Rows>& tables() const noexcept { return tables_; }
  /// How often rows came into being that were there: 0, where nothing is told twice.
  std::size_t repeated() const noexcept { return repeated_; }

 private:
  std::map<std::string, Rows> tables_;
  std::size_t repeated_ = 0;
};
