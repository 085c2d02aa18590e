#include "postgres/detail/delivery.h"

#include <string>
#include <utility>

#include "tidegate/core/error.h"

namespace tidegate::postgres::detail {
namespace {

/// Positions that went back would be dropped unseen by readers that are further: better no stream than that.
[[noreturn]] void refuse(const char* what) {
  throw Error(ErrorCode::parseError, Retry::later, std::string("the server's stream is out of order: ") + what);
}

}  // namespace

void Delivery::restart(const Position& from, StreamInterleave* interleave) {
  batch_.clear();
  bytes_ = 0;
  taken_ = from;
  from_ = last_ = placeOf(from);
  open_ = begun_ = false;
  interleave_ = interleave;
}

std::string_view Delivery::progressNow() const {
  return interleave_ != nullptr ? std::string_view(interleave_->progress()) : std::string_view();
}

void Delivery::begin(const OpenTransaction& transaction) {
  if (open_) refuse("a transaction begins within another");
  transaction_ = transaction;
  open_ = true;
  begun_ = false;
  rows_ = 0;
}

ChangeEvent& Delivery::add(ChangeOp op, const Shape& shape, Part part, std::size_t bytes) {
  if (!open_) refuse("a change stands outside of a transaction");
  const Place place{transaction_.commit, ordinalOf(part)};
  if (place <= last_) refuse("a transaction committed before what came already");
  // What is in hand can go whole: its last event is followed by one of the same transaction, or ends its own.
  if (batch_.size() >= options_.maxEvents || bytes_ >= options_.maxBytes) offer();
  bytes_ += bytes;
  ChangeEvent& event = batch_.add(op, shape);
  // A transaction that is gone on with has begun before.
  event.transactionBegin = !begun_ && (from_.commit != transaction_.commit || from_.ordinal == 0);
  event.commitMicros = transaction_.commitMicros;
  event.transactionId = transaction_.xid;
  last_ = place;
  writePosition(last_, progressNow(), event.position);
  begun_ = true;
  return event;
}

void Delivery::added() {
  if (interleave_ == nullptr || !interleave_->pending()) return;
  ChangeEvent& event = batch_.back();
  interleave_->onChange(event);
  // Because of this event a table may be read from its first row again: whoever goes on from here must know.
  if (progressOf(event.position) != progressNow()) writePosition(last_, progressNow(), event.position);
}

void Delivery::commit(Lsn commit, Lsn end) {
  if (!open_ || commit != transaction_.commit) refuse("a commit is not that of the transaction before it");
  if (tailIsOpen()) {
    last_ = {transaction_.commit, kWholeTransaction};
    ChangeEvent& event = batch_.back();
    event.transactionEnd = true;
    writePosition(last_, progressNow(), event.position);
  }
  open_ = begun_ = false;
  if (interleave_ != nullptr && interleave_->pending())
    interleave_->onCommit({transaction_.xid, transaction_.commit, end});
  feedback_.received(end);
}

void Delivery::flush() {
  if (!tailIsOpen()) return offer();
  if (batch_.size() < 2) return;
  ChangeEvent held = std::move(batch_.back());
  batch_.dropLast();
  const Place last = std::exchange(last_, placeOf(batch_.back().position));
  offer();
  last_ = last;
  batch_.add(held.op, held.shape) = std::move(held);
}

Taken Delivery::ask() {
  try {
    return handler_(batch_);
  } catch (...) {
    throw HandlerFailed{std::current_exception()};
  }
}

void Delivery::offer(Counts counts) {
  if (batch_.empty()) return;
  offered_ = batch_.back().position;  // the handler may swap the batch's memory away
  const std::int64_t commitMicros = batch_.back().commitMicros;
  const std::size_t events = batch_.size();
  while (ask() == Taken::full) breathe_();
  std::swap(taken_, offered_);
  if (counts == Counts::yes) eventsTaken_ += events;
  if (commitMicros != 0) lastCommitMicros_ = commitMicros;
  batch_.clear();
  bytes_ = 0;
}

bool Delivery::interleave(Lsn received, const std::function<void(const ChangeEvent&)>& onSchemaChange) {
  if (interleave_ == nullptr || !interleave_->pending()) return false;
  const std::size_t first = batch_.size();
  const bool again = interleave_->deliverRows(received, batch_);
  if (batch_.size() == first) return again;
  last_ = {received, 0};
  std::string progress;
  for (std::size_t i = first; i < batch_.size(); ++i) {
    batch_[i].transactionBegin = i == first;
    batch_[i].transactionEnd = i + 1 == batch_.size();
    progress.swap(batch_[i].position.octets);
    writePosition(last_, progress, batch_[i].position);
    if (batch_[i].op == ChangeOp::schemaChange) onSchemaChange(batch_[i]);
  }
  if (full()) offer();
  return again;
}

/// A place of its own behind all that was told, and before any transaction to come: none commits before `received`.
Place Delivery::placeBefore(Lsn received) const noexcept {
  return last_.commit == received - 1 ? Place{last_.commit, last_.ordinal + 1} : Place{received - 1, 1};
}

bool Delivery::canAnnounce(Lsn received) const noexcept {
  return !open_ && received > 0 && placeBefore(received) > last_;
}

void Delivery::announce(Lsn received, const Shape& shape, std::shared_ptr<const SchemaChange> change) {
  last_ = placeBefore(received);
  ChangeEvent& event = batch_.add(ChangeOp::schemaChange, shape);
  event.transactionBegin = event.transactionEnd = true;
  event.schemaChange = std::move(change);
  writePosition(last_, progressNow(), event.position);
  added();
}

void Delivery::progress(Lsn lsn) {
  const Place place{lsn, 0};
  if (place <= last_) return;
  ChangeEvent& event = batch_.add(ChangeOp::progress, nullptr);
  event.transactionBegin = event.transactionEnd = true;
  writePosition(place, progressNow(), event.position);
  last_ = place;
  offer(Counts::no);
}

}  // namespace tidegate::postgres::detail
