#include "gateway/detail/log_judge.h"

namespace tidegate::detail {

bool LogJudge::matches(std::string_view table, const std::vector<std::optional<std::string_view>>& cells) {
  if (values_.size() < cells.size()) values_.resize(cells.size());
  pointers_.clear();
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (cells[i]) PackedReader(*cells[i]).value(values_[i]);
    pointers_.push_back(cells[i] ? &values_[i] : nullptr);
  }
  return view_.matchesRuleColumns(table, pointers_.data(), pointers_.size());
}

bool LogJudge::matchesSide(const RecordView& record, bool after) {
  cells_.clear();
  for (const RuleCell& cell : record.rules.cells) cells_.push_back(after ? cell.after : cell.before);
  return matches(names_.at(record.table), cells_);
}

bool LogJudge::append(const RecordView& record, std::vector<RowDelta>& out) {
  if (view_.seesEverything()) {
    toDelta(record, names_, out.emplace_back());
    return true;
  }
  if (view_.excludesTable(names_.at(record.table))) return false;
  const bool before = record.op != DeltaOp::insert && matchesSide(record, false);
  const bool after = record.op != DeltaOp::erase && matchesSide(record, true);
  if (!before && !after) return false;
  RowDelta& delta = out.emplace_back();
  if (before && !after && record.op == DeltaOp::update)
    toErase(record, names_, delta);
  else if (after && !before && record.op == DeltaOp::update)
    toInsert(record, names_, delta);
  else
    toDelta(record, names_, delta);
  return true;
}

}  // namespace tidegate::detail
