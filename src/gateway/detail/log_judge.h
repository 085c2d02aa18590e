/// What of a log entry a view sees: decided from the record alone (decision 2).
#pragma once

#include <deque>
#include <vector>

#include "gateway/detail/log_record.h"
#include "tidegate/gateway/sync_rules.h"

namespace tidegate::detail {

/// Judges records for one view; keeps scratch between records.
/// @thread One at a time.
class LogJudge {
 public:
  LogJudge(const ClientView& view, const NameTable& names) : view_(view), names_(names) {}

  /// Appends the entry as the view sees it. @return whether it sees anything of it.
  bool append(const RecordView& record, std::vector<RowDelta>& out);
  /// Whether a row with these rule columns is in the view.
  bool matches(std::string_view table, const std::vector<std::optional<std::string_view>>& cells);

 private:
  bool matchesSide(const RecordView& record, bool after);

  const ClientView& view_;
  const NameTable& names_;
  std::vector<std::optional<std::string_view>> cells_;
  std::vector<Value> values_;
  std::vector<const Value*> pointers_;
};

}  // namespace tidegate::detail
