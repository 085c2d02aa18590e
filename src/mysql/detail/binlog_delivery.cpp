#include "mysql/detail/binlog_delivery.h"

#include <utility>

#include "mysql/detail/octet_cursor.h"
#include "tidegate/core/error.h"

namespace tidegate::mysql::detail {
namespace {

/// Of rows as they stand in the binlog.
constexpr std::size_t kMaxBatchBytes = 4u << 20;

}  // namespace

void BinlogDelivery::restart(const Position& from, ChunkedBaseline* chunks) {
  chunks_ = chunks;
  batch_.clear();
  bytes_ = 0;
  taken_ = last_ = from;
  resumed_ = placeOf(from);
  open_ = begun_ = partTaken_ = false;
}

void BinlogDelivery::begin(OpenGroup group) {
  if (open_) refuseOctets("a transaction begins within another");
  group_ = std::move(group);
  const bool same = resumed_.ordinal != 0 && compareBorders(resumed_.before, group_.place.before) == 0 &&
                    resumed_.current == group_.place.current;
  from_ = same ? resumed_.ordinal : 0;
  positions_ = PositionWriter(group_.place);
  open_ = true;
  begun_ = false;
  partTaken_ = from_ != 0;
  groupAt_ = batch_.size();
  event_ = row_ = 0;
}

ChangeEvent& BinlogDelivery::add(ChangeOp op, const Shape& shape, Part part, std::size_t bytes) {
  if (!open_) refuseOctets("a change stands outside of a transaction");
  // What is in hand can go whole: its last event is followed by one of the same group, or ends its own.
  if (batch_.size() >= maxEvents_ || bytes_ >= kMaxBatchBytes) offer();
  bytes_ += bytes;
  ChangeEvent& event = batch_.addOver(op, shape);
  event.transactionBegin = !begun_ && from_ == 0;
  event.commitMicros = group_.commitMicros;
  event.transactionId = group_.id;
  ordinal_ = ordinalOf(part);
  positions_.write(ordinal_, event.position);
  begun_ = true;
  return event;
}

void BinlogDelivery::added() {
  if (!watched()) return;
  ChangeEvent& event = batch_.back();
  chunks_->onChange(event);
  if (group_.place.baseline == chunks_->progress()) return;
  // Because of this event a table is read from its first row again: whoever goes on from here must know.
  group_.place.baseline = chunks_->progress();
  positions_ = PositionWriter(group_.place);
  positions_.write(ordinal_, event.position);
}

void BinlogDelivery::commit(const Place& after, const TransactionName& end) {
  if (!open_) refuseOctets("a transaction ends that did not begin");
  if (begun_) {
    ChangeEvent& event = batch_.back();
    event.transactionEnd = true;
    writePosition(after, event.position);
    last_ = event.position;
  }
  open_ = begun_ = partTaken_ = false;
  if (watched()) chunks_->onCommit(end);
}

void BinlogDelivery::rollBack() {
  if (partTaken_) {
    throw Error(ErrorCode::positionLost, Retry::afterOperator,
                "a transaction that was longer than a batch was logged as rolled back, when part of it had been "
                "delivered; a new baseline is needed");
  }
  while (batch_.size() > groupAt_) batch_.dropLast();
  if (watched()) chunks_->onRollBack();
  open_ = begun_ = false;
}

void BinlogDelivery::flush() {
  if (!open_ || !begun_) return offer();
  if (batch_.size() < 2) return;
  ChangeEvent held = std::move(batch_.back());
  batch_.dropLast();
  offer();
  batch_.add(held.op, held.shape) = std::move(held);
}

void BinlogDelivery::offer() {
  if (batch_.empty()) return;
  Position offered = batch_.back().position;  // the handler may swap the batch's memory away
  const std::int64_t commitMicros = batch_.back().commitMicros;
  const std::size_t events = batch_.size();
  const auto ask = [&] {
    try {
      return handler_(batch_);
    } catch (...) {
      throw HandlerFailed{std::current_exception()};
    }
  };
  while (ask() == Taken::full) breathe_();
  taken_ = std::move(offered);
  eventsTaken_ += events;
  if (commitMicros != 0) lastCommitMicros_ = commitMicros;
  if (open_ && begun_ && events > groupAt_) partTaken_ = true;
  groupAt_ = 0;
  batch_.clear();
  bytes_ = 0;
}

bool BinlogDelivery::interleave(const Place& now, const TransactionName& received,
                                const std::function<void(const ChangeEvent&)>& onSchemaChange) {
  if (!watched()) return false;
  const std::size_t first = batch_.size();
  chunks_->deliverRows(received, batch_);
  if (batch_.size() == first) return false;
  Place place = now;
  for (std::size_t i = first; i < batch_.size(); ++i) {
    batch_[i].transactionBegin = i == first;
    batch_[i].transactionEnd = i + 1 == batch_.size();
    place.baseline.swap(batch_[i].position.octets);
    writePosition(place, batch_[i].position);
    if (batch_[i].op == ChangeOp::schemaChange) onSchemaChange(batch_[i]);
  }
  last_ = batch_.back().position;
  if (batch_.size() >= maxEvents_) offer();
  return true;
}

void BinlogDelivery::progress(const Place& at) {
  Position position = positionOf(at);
  if (comparePlaces(placeOf(last_), at) != std::partial_ordering::less) return;
  ChangeEvent& event = batch_.add(ChangeOp::progress, nullptr);
  event.transactionBegin = event.transactionEnd = true;
  event.position = position;
  last_ = std::move(position);
  offer();
}

}  // namespace tidegate::mysql::detail
