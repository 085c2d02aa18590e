#include "engine/detail/row_router.h"

#include <algorithm>

namespace tidegate::detail {
namespace {

/// One change under way to the sink.
class RowRoute {
 public:
  RowRoute(const TablePlan& plan, const ChangeEvent& event, std::int64_t now, ChangeBatch& out)
      : plan_(plan), event_(event), now_(now), out_(out) {}

  RoutedRow run() {
    switch (event_.op) {
      case ChangeOp::erase:
        if (plan_.filter.judge(before()) == Verdict::no) return {.filtered = true};
        erase();
        return {};
      case ChangeOp::update:
        return update();
      default:
        if (plan_.wants(after(), now_) == Verdict::no) return {.filtered = true};
        emit(event_.op, &after_, true);
        return {};
    }
  }

 private:
  struct Image {
    const std::vector<Value>* values;
    const std::vector<std::uint32_t>* missing;
    EventRow row() const { return {*values, *missing}; }
  };

  EventRow before() const { return {event_.before, event_.beforeAbsent}; }
  EventRow after() const { return after_.row(); }
  RoutedRow update();
  Verdict wantedBefore() const;
  void fillUnchanged();
  void erase();
  ChangeEvent& emit(ChangeOp op, const Image* after, bool withBefore);

  const TablePlan& plan_;
  const ChangeEvent& event_;
  const std::int64_t now_;
  ChangeBatch& out_;
  Image after_{&event_.after, &event_.unchanged};
  std::vector<Value> filled_;
  std::vector<std::uint32_t> stillMissing_;
};

/// A full image of the past knows what the source left out of the new one.
void RowRoute::fillUnchanged() {
  if (event_.unchanged.empty() || event_.before.empty()) return;
  filled_ = event_.after;
  for (const std::uint32_t column : event_.unchanged) {
    if (before().has(column))
      filled_[column] = event_.before[column];
    else
      stillMissing_.push_back(column);
  }
  after_ = {&filled_, &stillMissing_};
}

Verdict RowRoute::wantedBefore() const {
  if (event_.before.empty())
    return plan_.filter.matchesEverything() && !plan_.ttlColumn ? Verdict::yes : Verdict::unknown;
  const Verdict verdict = plan_.filter.judge(before());
  // A row that aged may have been swept already.
  return plan_.ttlColumn ? std::min(verdict, Verdict::unknown) : verdict;
}

RoutedRow RowRoute::update() {
  fillUnchanged();
  const bool complete = after_.missing->empty();
  const Verdict wanted = plan_.wants(after(), now_);
  const Verdict was = wantedBefore();
  if (wanted == Verdict::no) {
    if (was == Verdict::no) return {.filtered = true};
    // Also where nobody knows whether the row was there: an erase of an absent row does no harm.
    erase();
    return {};
  }
  if (keyChanged(event_)) {
    if (was != Verdict::no) erase();
    if (!complete) return {.filtered = was == Verdict::no, .needsReload = true};
    emit(ChangeOp::insert, &after_, false);
    return {};
  }
  if (was == Verdict::no) {
    if (!complete) return {.filtered = true, .needsReload = true};
    emit(ChangeOp::insert, &after_, false);
    return {};
  }
  emit(ChangeOp::update, &after_, true);
  return {.mayBeMissed = !complete && was == Verdict::unknown};
}

/// Names the row by what it was, or where the source does not say that, by its key, which did not change.
void RowRoute::erase() {
  if (!event_.before.empty()) {
    emit(ChangeOp::erase, nullptr, true);
    return;
  }
  ChangeEvent& made = out_.add(ChangeOp::erase, plan_.target);
  std::vector<std::uint32_t> notKey;
  const auto& key = plan_.source->key;
  for (std::uint32_t i = 0; i < plan_.source->columns->size(); ++i) {
    // Without a key the whole row is what names it, as it is now: the best that is known.
    if (!key.empty() && std::find(key.begin(), key.end(), i) == key.end()) notKey.push_back(i);
  }
  plan_.transform.apply({event_.after, notKey}, std::nullopt, made.before, made.beforeAbsent);
  made.position = event_.position;
  made.commitMicros = event_.commitMicros;
  made.transactionId = event_.transactionId;
}

ChangeEvent& RowRoute::emit(ChangeOp op, const Image* after, bool withBefore) {
  ChangeEvent& made = out_.add(op, plan_.target);
  made.position = event_.position;
  made.commitMicros = event_.commitMicros;
  made.transactionId = event_.transactionId;
  if (withBefore && !event_.before.empty()) {
    if (plan_.transforms) {
      plan_.transform.apply(before(), std::nullopt, made.before, made.beforeAbsent);
    } else {
      made.before = event_.before;
      made.beforeAbsent = event_.beforeAbsent;
    }
  }
  if (after == nullptr) return made;
  if (plan_.transforms) {
    plan_.transform.apply(after->row(), now_, made.after, made.unchanged);
  } else {
    made.after = *after->values;
    made.unchanged = *after->missing;
  }
  return made;
}

}  // namespace

bool keyChanged(const ChangeEvent& update) noexcept {
  if (update.before.empty()) return false;
  const EventRow before{update.before, update.beforeAbsent};
  const EventRow after{update.after, update.unchanged};
  for (const std::uint32_t column : update.shape->key) {
    if (before.has(column) && after.has(column) && !(update.before[column] == update.after[column])) return true;
  }
  return false;
}

RoutedRow routeRow(const TablePlan& plan, const ChangeEvent& event, std::int64_t nowMicros, ChangeBatch& out) {
  return RowRoute(plan, event, nowMicros, out).run();
}

}  // namespace tidegate::detail
