#include "engine/detail/event_queue.h"

#include <algorithm>
#include <utility>

namespace tidegate::detail {
namespace {

bool isPlain(ChangeOp op) {
  return op == ChangeOp::insert || op == ChangeOp::update || op == ChangeOp::erase || op == ChangeOp::truncate ||
         op == ChangeOp::progress;
}

/// Whether a transaction is open after the events; `before` where they do not say.
bool openAfter(const QueueItem& item, bool before) {
  for (std::size_t i = item.last; i > item.first; --i) {
    const ChangeEvent& event = item.batch->events[i - 1];
    if (event.op != ChangeOp::progress) return !event.transactionEnd;
  }
  return before;
}

std::size_t bytesOf(const QueueItem& item, std::size_t first, std::size_t last) {
  std::size_t sum = 0;
  for (std::size_t i = first; i < last; ++i) sum += item.batch->events[i].bytes();
  return sum;
}

}  // namespace

/// Events from one place of the queue to another, both named by item and event.
struct EventQueue::Range {
  std::size_t firstItem = 0, firstEvent = 0;
  std::size_t lastItem = 0, lastEvent = 0;  ///< the last event that goes
};

void EventQueue::accept() {
  const std::lock_guard lock(mutex_);
  accepting_ = true;
}

void EventQueue::refuse() {
  const std::lock_guard lock(mutex_);
  accepting_ = false;
  items_.clear();
  events_ = inHandEvents_;
  bytes_ = inHandBytes_;
  midTransaction_ = false;
}

bool EventQueue::accepting() const {
  const std::lock_guard lock(mutex_);
  return accepting_;
}

bool EventQueue::fits(std::size_t events, std::size_t bytes) const noexcept {
  if (events_ == 0) return true;
  return events_ + events <= maxEvents_ && bytes_ + bytes <= maxBytes_;
}

bool EventQueue::hasRoom(std::size_t events, std::size_t bytes) const {
  const std::lock_guard lock(mutex_);
  return fits(events, bytes);
}

void EventQueue::push(QueueItem item) {
  const std::lock_guard lock(mutex_);
  if (!accepting_) return;
  events_ += item.events();
  bytes_ += item.bytes;
  items_.push_back(std::move(item));
}

bool EventQueue::pop(QueueItem& item) {
  const std::lock_guard lock(mutex_);
  if (items_.empty()) return false;
  take(item);
  return true;
}

bool EventQueue::popEvents(QueueItem& item) {
  const std::lock_guard lock(mutex_);
  if (items_.empty() || items_.front().kind != QueueItem::Kind::events) return false;
  take(item);
  return true;
}

void EventQueue::take(QueueItem& item) {
  item = std::move(items_.front());
  items_.pop_front();
  inHandEvents_ = item.events();
  inHandBytes_ = item.bytes;
  if (item.kind == QueueItem::Kind::events) midTransaction_ = openAfter(item, midTransaction_);
  // What was open is undone, and comes again.
  if (item.kind == QueueItem::Kind::streamBegins) midTransaction_ = false;
}

void EventQueue::done() {
  const std::lock_guard lock(mutex_);
  events_ -= std::exchange(inHandEvents_, 0);
  bytes_ -= std::exchange(inHandBytes_, 0);
}

void EventQueue::putBack(QueueItem item) {
  const std::lock_guard lock(mutex_);
  if (!accepting_) return;
  inHandEvents_ -= std::min(inHandEvents_, item.events());
  inHandBytes_ -= std::min(inHandBytes_, item.bytes);
  // The part that stays in hand ends at a transaction's border.
  midTransaction_ = false;
  items_.push_front(std::move(item));
}

std::size_t EventQueue::dropOldest(std::size_t events, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  std::size_t dropped = 0;
  while (!fits(events, bytes)) {
    const auto range = oldestTransactions();
    if (!range) break;
    dropped += cut(*range);
  }
  return dropped;
}

/// The oldest whole transactions, up to the last one that ends in the item where the first one ends.
std::optional<EventQueue::Range> EventQueue::oldestTransactions() const {
  std::optional<Range> range;
  bool open = midTransaction_;
  bool ended = false;
  for (std::size_t i = 0; i < items_.size(); ++i) {
    const QueueItem& item = items_[i];
    if (item.kind != QueueItem::Kind::events || item.baseline) {
      if (ended) return range;
      range.reset();
      if (item.kind == QueueItem::Kind::streamBegins) open = false;
      continue;
    }
    for (std::size_t k = item.first; k < item.last; ++k) {
      const ChangeEvent& event = item.batch->events[k];
      if (!isPlain(event.op)) {
        if (ended) return range;
        // Rows of a baseline and new shapes are never thrown away; look on behind them.
        range.reset();
        open = !event.transactionEnd;
        continue;
      }
      const bool progress = event.op == ChangeOp::progress;
      // A stream may begin within a transaction: what is left of that one is no whole one.
      if (!open && !range && event.transactionBegin && !progress) range = Range{i, k, i, k};
      if (!progress) open = !event.transactionEnd;
      if (range && !open) {
        range->lastItem = i;
        range->lastEvent = k;
        ended = true;
      }
    }
    if (ended) return range;
  }
  return std::nullopt;
}

/// The mark that stays where the range was. @param dropped counts its changes.
QueueItem EventQueue::holeOf(const Range& range, std::size_t& dropped) const {
  QueueItem hole;
  hole.kind = QueueItem::Kind::hole;
  for (std::size_t i = range.firstItem; i <= range.lastItem; ++i) {
    const QueueItem& item = items_[i];
    const std::size_t first = i == range.firstItem ? range.firstEvent : item.first;
    const std::size_t last = i == range.lastItem ? range.lastEvent + 1 : item.last;
    for (std::size_t k = first; k < last; ++k) {
      const Shape& shape = item.batch->events[k].shape;
      if (!shape) continue;
      ++dropped;
      if (hole.tables.empty() || hole.tables.back() != shape->schema.table) hole.tables.push_back(shape->schema.table);
    }
  }
  return hole;
}

void EventQueue::insert(std::size_t at, QueueItem item) {
  if (item.kind == QueueItem::Kind::events) item.bytes = bytesOf(item, item.first, item.last);
  events_ += item.events();
  bytes_ += item.bytes;
  items_.insert(items_.begin() + static_cast<std::ptrdiff_t>(at), std::move(item));
}

/// Takes the range out, and leaves a mark where it was.
std::size_t EventQueue::cut(const Range& range) {
  std::size_t dropped = 0;
  QueueItem hole = holeOf(range, dropped);
  QueueItem head = items_[range.firstItem];
  head.last = range.firstEvent;
  QueueItem tail = items_[range.lastItem];
  tail.first = range.lastEvent + 1;
  for (std::size_t i = range.firstItem; i <= range.lastItem; ++i) {
    events_ -= items_[i].events();
    bytes_ -= items_[i].bytes;
  }
  const auto begin = items_.begin();
  items_.erase(begin + static_cast<std::ptrdiff_t>(range.firstItem),
               begin + static_cast<std::ptrdiff_t>(range.lastItem + 1));
  std::size_t at = range.firstItem;
  if (head.events() > 0) insert(at++, std::move(head));
  // One mark for all that goes missing at a place.
  const bool marked = at > 0 && items_[at - 1].kind == QueueItem::Kind::hole;
  std::vector<std::string>& tables = marked ? items_[at - 1].tables : hole.tables;
  if (marked) tables.insert(tables.end(), hole.tables.begin(), hole.tables.end());
  std::sort(tables.begin(), tables.end());
  tables.erase(std::unique(tables.begin(), tables.end()), tables.end());
  if (!marked) insert(at++, std::move(hole));
  if (tail.events() > 0) insert(at, std::move(tail));
  return dropped;
}

std::size_t EventQueue::events() const {
  const std::lock_guard lock(mutex_);
  return events_;
}

std::size_t EventQueue::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

bool EventQueue::empty() const {
  const std::lock_guard lock(mutex_);
  return items_.empty();
}

}  // namespace tidegate::detail
