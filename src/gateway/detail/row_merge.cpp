#include "gateway/detail/row_merge.h"

#include <algorithm>

#include "core/detail/packed.h"
#include "gateway/detail/tie_break.h"

namespace tidegate::detail {
namespace {

void remember(ColumnImage& column, NameId sender, std::string_view value, MergeOutcome& outcome) {
  if (column.hasMemory && column.memorySender == sender && column.memory == value) return;
  column.hasMemory = true;
  column.memorySender = sender;
  column.memory = value;
  outcome.stateChanged = true;
}

void forget(ColumnImage& column) {
  column.hasMemory = false;
  column.memorySender = kNoName;
  column.memory = {};
}

/// An erase takes the register; what another ingest sender had brought stays as its memory.
void hide(ColumnImage& column, NameId eraser) {
  if (column.ingest && column.stamp.client != eraser) {
    column.hasMemory = true;
    column.memorySender = column.stamp.client;
    column.memory = column.value;
  }
  column.hasRegister = column.ingest = false;
  column.stamp = {};
  column.value = {};
}

bool sayTheSame(std::string_view a, std::string_view b) { return a == b || samePacked(a, b); }

}  // namespace

PackedStamp greatestStamp(const RowImage& row, const NameTable& names) noexcept {
  PackedStamp greatest = earlier(row.erased, row.inserted, names) ? row.inserted : PackedStamp{};
  for (const ColumnImage& column : row.columns) {
    if (column.hasRegister && earlier(greatest, column.stamp, names)) greatest = column.stamp;
  }
  return greatest;
}

ColumnImage* RowMerger::find(RowImage& row, std::size_t count, NameId name) noexcept {
  for (std::size_t i = 0, at = hint_; i < count; ++i, ++at) {
    if (at >= count) at = 0;
    if (row.columns[at].name != name) continue;
    hint_ = at + 1;
    return &row.columns[at];
  }
  return nullptr;
}

bool RowMerger::wins(const PackedStamp& stamp, std::string_view value, const ColumnImage& over) const {
  if (stamp != over.stamp) return earlier(over.stamp, stamp, names_);
  if (value == over.value) return false;
  return tieBreak(over.value, value) < 0;
}

void RowMerger::dropRepetitions(RowImage& row, const Incoming& delta, MergeOutcome& outcome) {
  const NameId sender = delta.stamp.client;
  hint_ = 0;
  for (const IncomingColumn& incoming : delta.columns) {
    ColumnImage* column = find(row, row.columns.size(), incoming.name);
    if (column == nullptr) {
      kept_.push_back(incoming);
      continue;
    }
    const bool own = column->hasRegister && column->stamp.client == sender;
    const bool remembered = !own && column->hasMemory && column->memorySender == sender;
    if (!own && !remembered && !column->hasRegister) {
      kept_.push_back(incoming);
      continue;
    }
    if (!sayTheSame(remembered ? column->memory : column->value, incoming.value)) {
      kept_.push_back(incoming);
    } else if (!own && !remembered) {
      // The first time this sender says what somebody else wrote already: noted, so that its repetition stays silent
      // when the other edits on.
      remember(*column, sender, incoming.value, outcome);
    }
  }
}

bool RowMerger::repeatsInsert(const RowImage& row, const Incoming& delta) const noexcept {
  if (!kept_.empty()) return false;
  if (!delta.columns.empty()) return true;
  return row.insertedByIngest && row.inserted.client == delta.stamp.client;
}

void RowMerger::applyErase(RowImage& row, const Incoming& delta, MergeOutcome& outcome, bool& hidSome) {
  const NameId eraser = delta.stamp.client;
  const bool later = earlier(row.erased, delta.stamp, names_);
  if (later) {
    row.erased = delta.stamp;
    outcome.stateChanged = true;
  }
  for (ColumnImage& column : row.columns) {
    if (later && column.hasRegister && !earlier(row.erased, column.stamp, names_)) {
      hide(column, eraser);
      hidSome = true;
    }
    if (column.hasMemory && column.memorySender == eraser) {
      forget(column);
      outcome.stateChanged = true;
    }
  }
  if (row.insertedByIngest && row.inserted.client == eraser) {
    row.insertedByIngest = false;
    outcome.stateChanged = true;
  }
  std::erase_if(row.columns, [](const ColumnImage& c) { return !c.hasRegister && !c.hasMemory; });
}

void RowMerger::applyColumn(RowImage& row, ColumnImage& column, const Incoming& delta, const IncomingColumn& incoming,
                            MergeOutcome& outcome) {
  const PackedStamp& stamp = delta.stamp;
  if (!earlier(row.erased, stamp, names_)) {
    if (delta.ingest && row.erased.client != stamp.client) remember(column, stamp.client, incoming.value, outcome);
    return;
  }
  if (column.hasRegister && !wins(stamp, incoming.value, column)) {
    if (delta.ingest && column.stamp.client != stamp.client) remember(column, stamp.client, incoming.value, outcome);
    return;
  }
  const bool differs = !column.hasRegister || !sayTheSame(column.value, incoming.value);
  if (column.hasRegister && column.ingest && column.stamp.client != stamp.client) {
    remember(column, column.stamp.client, column.value, outcome);
  } else if (delta.ingest && column.hasMemory && column.memorySender == stamp.client) {
    forget(column);
  }
  column.hasRegister = true;
  column.ingest = delta.ingest;
  column.stamp = stamp;
  column.value = incoming.value;
  outcome.stateChanged = true;
  if (differs) outcome.changed.push_back(incoming);
}

void RowMerger::applyColumns(RowImage& row, const Incoming& delta, std::span<const IncomingColumn> columns,
                             MergeOutcome& outcome) {
  const std::size_t known = row.columns.size();  // a delta names no column twice, so new ones need no search
  hint_ = 0;
  for (const IncomingColumn& incoming : columns) {
    ColumnImage* column = known == 0 ? nullptr : find(row, known, incoming.name);
    if (column != nullptr) {
      applyColumn(row, *column, delta, incoming, outcome);
      continue;
    }
    ColumnImage fresh;
    fresh.name = incoming.name;
    applyColumn(row, fresh, delta, incoming, outcome);
    if (fresh.hasRegister || fresh.hasMemory) row.columns.push_back(fresh);
  }
}

void RowMerger::merge(RowImage& row, const Incoming& delta, MergeOutcome& outcome) {
  using Effect = MergeOutcome::Effect;
  outcome.clear();
  const bool before = row.visible(names_);
  bool hidSome = false;
  if (delta.op == DeltaOp::erase) {
    applyErase(row, delta, outcome, hidSome);
  } else {
    std::span<const IncomingColumn> columns = delta.columns;
    bool inserts = delta.op == DeltaOp::insert;
    if (delta.ingest) {
      kept_.clear();
      dropRepetitions(row, delta, outcome);
      columns = kept_;
      inserts = inserts && !before && !repeatsInsert(row, delta);
    }
    if (inserts && earlier(row.inserted, delta.stamp, names_)) {
      row.inserted = delta.stamp;
      row.insertedByIngest = delta.ingest;
      outcome.stateChanged = true;
    }
    applyColumns(row, delta, columns, outcome);
  }
  const bool after = row.visible(names_);
  if (before && after) {
    outcome.effect = hidSome ? Effect::eraseThenInsert : outcome.changed.empty() ? Effect::none : Effect::update;
  } else if (before != after) {
    outcome.effect = after ? Effect::insert : Effect::erase;
  }
}

}  // namespace tidegate::detail
