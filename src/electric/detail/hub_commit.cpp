#include <algorithm>
#include <optional>
#include <utility>

#include "electric/detail/shape_hub.h"
#include "sink/detail/memory_state.h"
#include "tidegate/core/error.h"

namespace tidegate::electric::detail {
namespace {

/// Whether an event begins another transaction than the one before it belongs to. The rows of a baseline have none:
/// those that follow each other are taken for one.
bool beginsTransaction(const ChangeEvent& before, const ChangeEvent& event) {
  const auto ofBaseline = [](const ChangeEvent& e) {
    return e.op == ChangeOp::read || e.op == ChangeOp::baselineBegin || e.op == ChangeOp::baselineEnd;
  };
  if (ofBaseline(before) && ofBaseline(event)) return false;
  return event.transactionBegin || before.transactionEnd || event.transactionId != before.transactionId;
}

/// For each column of a table its place in an event's shape.
std::vector<std::optional<std::uint32_t>> placesIn(const TableShape& table, const TableShape& event) {
  std::vector<std::optional<std::uint32_t>> places;
  for (const std::string& name : table.columns->names()) {
    const auto at = event.columns->find(name);
    places.push_back(at ? std::optional(static_cast<std::uint32_t>(*at)) : std::nullopt);
  }
  return places;
}

}  // namespace

/// One call of `commit`, under the hub's lock.
class ShapeHub::Commit {
 public:
  Commit(ShapeHub& hub, Waiters& woken) : hub_(hub), woken_(woken) {}

  /// @param lsns  of each event, or none.
  void run(const std::vector<ChangeEvent>& events, const std::vector<std::uint64_t>& lsns) {
    for (std::size_t begin = 0, end = 0; begin < events.size(); begin = end) {
      std::uint64_t lsn = 0;
      for (end = begin; end < events.size(); ++end) {
        if (end > begin && beginsTransaction(events[end - 1], events[end])) break;
        if (!lsns.empty()) lsn = std::max(lsn, lsns[end]);
      }
      place_ = {{std::max(lsn, hub_.last_.tx + 1), 0}, events[begin].transactionId};
      for (std::size_t i = begin; i < end; ++i) apply(events[i]);
      endTransaction();
    }
    std::sort(changed_.begin(), changed_.end());
    changed_.erase(std::unique(changed_.begin(), changed_.end()), changed_.end());
    std::erase_if(changed_, [](const LiveShape* shape) { return shape->gone; });
    for (LiveShape* shape : changed_) hub_.takeWaiters(*shape, woken_);
    hub_.boundLogs(changed_);
  }

 private:
  void apply(const ChangeEvent& event) {
    if (event.op == ChangeOp::progress) return;
    Table& table = hub_.tableOf(event.shape);
    switch (event.op) {
      case ChangeOp::insert:
      case ChangeOp::update:
      case ChangeOp::read:
        return put(table, event);
      case ChangeOp::erase:
        return erase(table, event);
      case ChangeOp::truncate:
        table.rows.clear();
        return endShapes(table);
      case ChangeOp::schemaChange:
        return reshape(table, event);
      case ChangeOp::baselineBegin:
        return table.rows.beginBaseline();
      case ChangeOp::baselineEnd:
        return endBaseline(table);
      default:
        return;
    }
  }

  const std::vector<std::optional<std::uint32_t>>& places(const Table& table, const ChangeEvent& event) {
    if (table.rows.shape() != tableShape_ || event.shape != eventShape_) {
      tableShape_ = table.rows.shape();
      eventShape_ = event.shape;
      places_ = placesIn(*tableShape_, *eventShape_);
    }
    return places_;
  }

  std::string keyIn(Table& table, const ChangeEvent& event, const std::vector<Value>& values) {
    const auto& from = places(table, event);
    key_.resize(from.size());
    for (const std::uint32_t column : table.rows.shape()->key) key_[column] = values[from[column].value()];
    return keyOf(*table.rows.shape(), key_);
  }

  void put(Table& table, const ChangeEvent& event) {
    const std::string key = keyIn(table, event, event.after);
    const bool known = table.rows.find(key, before_);
    if (!known && !event.unchanged.empty() && event.op == ChangeOp::update) return;
    const auto& from = places(table, event);
    if (known) {
      after_ = before_;
    } else {
      after_.assign(from.size(), Value());
    }
    for (std::size_t i = 0; i < from.size(); ++i) {
      if (!from[i]) continue;
      if (std::binary_search(event.unchanged.begin(), event.unchanged.end(), *from[i])) continue;
      after_[i] = event.after[*from[i]];
    }
    if (!table.rows.inBaseline()) table.ready = true;
    if (known && before_ == after_) {
      table.rows.name(key);
      return;
    }
    table.rows.set(key, &after_);
    tell(table, key, {known ? &before_ : nullptr, &after_});
  }

  void erase(Table& table, const ChangeEvent& event) {
    if (!table.rows.inBaseline()) table.ready = true;
    remove(table, keyIn(table, event, event.before));
  }

  void remove(Table& table, const std::string& key) {
    if (!table.rows.find(key, before_)) return;
    table.rows.set(key, nullptr);
    tell(table, key, {&before_, nullptr});
  }

  void endBaseline(Table& table) {
    table.ready = true;
    if (!table.rows.inBaseline()) return;
    for (const std::string& key : table.rows.endBaseline()) remove(table, key);
  }

  void reshape(Table& table, const ChangeEvent& event) {
    const SchemaChange* change = event.schemaChange.get();
    const Shape next = tidegate::detail::followedShape(*table.rows.shape(), event.shape, change);
    if (next == nullptr || next->schema == table.rows.shape()->schema) return;
    table.rows.reshape(next, change != nullptr ? change->renamed : std::vector<std::pair<std::string, std::string>>{});
    endShapes(table);
  }

  void endShapes(Table& table) {
    std::erase_if(touched_, [&](const LiveShape* s) {
      return s->definition.table->schema.table == table.rows.shape()->schema.table;
    });
    for (const auto& [identity, shape] : hub_.shapes_) {
      if (shape->definition.table->schema.table == table.rows.shape()->schema.table) ended_.push_back(shape);
    }
    hub_.endShapesOf(table, woken_);
  }

  void tell(Table& table, const std::string& key, const RowImages& images) {
    if (table.groups.empty()) return;
    ++place_.at.op;
    for (WhereGroup* group : table.groups.candidates(images)) {
      hub_.counts_.judged += (images.before != nullptr ? 1 : 0) + (images.after != nullptr ? 1 : 0);
      const bool before = images.before != nullptr && group->where.matches(*images.before);
      const bool after = images.after != nullptr && group->where.matches(*images.after);
      if (!before && !after) continue;
      for (LiveShape* shape : group->shapes) write(*shape, key, images, before, after);
    }
  }

  void write(LiveShape& shape, const std::string& key, const RowImages& images, bool before, bool after) {
    const ShapeDefinition& what = shape.definition;
    if (before && after) {
      const bool seen = std::any_of(what.columns.begin(), what.columns.end(), [&](std::uint32_t column) {
        return !((*images.before)[column] == (*images.after)[column]);
      });
      if (!seen) return;
    }
    text_.clear();
    if (before && after) {
      writeUpdate(what, shape.texts, key, *images.before, *images.after, place_, text_);
    } else if (after) {
      writeInsert(what, shape.texts, key, *images.after, place_, text_);
    } else {
      writeDelete(what, shape.texts, key, *images.before, place_, text_);
    }
    if (shape.pending.empty()) {
      touched_.push_back(&shape);
    } else {
      flush(shape, false);
    }
    shape.pending = text_;
    shape.pendingAt = place_.at;
  }

  void flush(LiveShape& shape, bool last) {
    endMessage(last, shape.pending);
    hub_.logBytes_ -= shape.log.bytes();
    shape.log.append(shape.pendingAt, std::move(shape.pending), last);
    hub_.logBytes_ += shape.log.bytes();
    shape.pending.clear();
    ++hub_.counts_.messages;
  }

  void endTransaction() {
    for (LiveShape* shape : touched_) flush(*shape, true);
    changed_.insert(changed_.end(), touched_.begin(), touched_.end());
    touched_.clear();
    hub_.last_ = {place_.at.tx, place_.at.op};
    ++hub_.counts_.transactions;
  }

  ShapeHub& hub_;
  Waiters& woken_;
  MessagePlace place_{};
  std::vector<LiveShape*> touched_;                ///< by this transaction
  std::vector<LiveShape*> changed_;                ///< by any
  std::vector<std::shared_ptr<LiveShape>> ended_;  ///< kept, as `changed_` may name them
  Shape tableShape_, eventShape_;
  std::vector<std::optional<std::uint32_t>> places_;
  std::vector<Value> key_, before_, after_;
  std::string text_;
};

void ShapeHub::commit(const std::vector<ChangeEvent>& events) {
  if (events.empty()) return;
  Waiters woken;
  std::vector<std::uint64_t> lsns;
  if (options_.lsnOf) {
    lsns.reserve(events.size());
    for (const ChangeEvent& event : events) lsns.push_back(options_.lsnOf(event.position));
  }
  {
    const std::lock_guard lock(mutex_);
    Commit(*this, woken).run(events, lsns);
  }
  wakeAll(woken);
}

}  // namespace tidegate::electric::detail
