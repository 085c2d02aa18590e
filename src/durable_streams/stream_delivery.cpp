#include <algorithm>
#include "durable_streams/detail/source_core.h"

#include "tidegate/durable_streams/state_protocol.h"

namespace tidegate::durable_streams::detail {

void StreamDelivery::begin(const StreamPlace& from) {
  batch_.clear();
  told_ = from;
  deliverAfter_ = from.number;
  skipSteps_ = from.step;
  place_ = from;
  place_.number -= from.skip;
  place_.skip = 0;
  place_.step = 0;
}

bool StreamDelivery::take(const Chunk& chunk) {
  const std::vector<std::string_view> messages = chunk.messages();
  for (std::size_t i = 0; i < messages.size(); ++i) {
    StreamPlace after = place_;
    ++after.number;
    ++after.skip;
    if (i + 1 == messages.size()) {
      after.offset = chunk.nextOffset;
      after.skip = 0;
    }
    if (!takeMessage(messages[i], after)) return false;
  }
  place_.offset = chunk.nextOffset;
  place_.skip = 0;
  if (!flushUnlessHeld()) return false;
  tellProgress();
  return flushUnlessHeld();
}

bool StreamDelivery::takeMessage(std::string_view message, const StreamPlace& after) {
  const bool toldBefore = after.number <= deliverAfter_;
  mapped_.events.clear();
  mapped_.inTransaction = place_.inTransaction;
  if (!toldBefore) {
    try {
      mapper_.map(message, {place_, hooks_.nowMicros()}, wanted_, mapped_);
    } catch (const Error& e) {
      mapped_.events.clear();
      mapped_.inTransaction = false;
      hooks_.malformed(e, place_);
    }
  }
  const bool wasIn = place_.inTransaction;
  StreamPlace next = after;
  next.inTransaction = mapped_.inTransaction;
  if (asRead_) {
    const auto end = mapped_.events.begin() + static_cast<std::ptrdiff_t>(mapped_.entities);
    std::for_each(mapped_.events.begin(), end, [this](ChangeEvent& event) { keepEntity(std::move(event)); });
    mapped_.events.erase(mapped_.events.begin(), end);
  }
  const std::uint32_t skipped = toldBefore ? 0 : std::exchange(skipSteps_, 0);
  for (std::uint32_t i = skipped; i < mapped_.events.size(); ++i) {
    StreamPlace at = next;
    if (i + 1 < mapped_.events.size()) {
      at = place_;
      at.step = i + 1;
      at.inTransaction = true;
    }
    ChangeEvent& event = add(std::move(mapped_.events[i]), at);
    event.transactionBegin = !wasIn && i == 0;
    event.transactionEnd = !at.inTransaction;
  }
  // The transaction's end may be a message of a table that nobody wants: then the last event in hand is its end.
  if (wasIn && !next.inTransaction && mapped_.events.empty() && !batch_.empty() && told_.inTransaction) {
    batch_.back().transactionEnd = true;
    batch_.back().position = positionOf(next);
    told_ = next;
  }
  place_ = next;
  return batch_.size() < batchEvents_ || flushUnlessHeld();
}

ChangeEvent& StreamDelivery::add(ChangeEvent event, const StreamPlace& after) {
  ChangeEvent& added = batch_.add(event.op, event.shape);
  added = std::move(event);
  if (asRead_) added.op = ChangeOp::read;
  added.position = positionOf(after);
  if (added.commitMicros != 0) lastCommitMicros_ = added.commitMicros;
  told_ = after;
  return added;
}

/// Within a transaction the last event stays in hand: it may turn out to be the transaction's last.
bool StreamDelivery::flushUnlessHeld() {
  if (batch_.empty() || !told_.inTransaction) return flush();
  if (batch_.size() < 2) return true;
  ChangeEvent held = std::move(batch_.back());
  batch_.dropLast();
  if (!flush()) return false;
  batch_.add(held.op, held.shape) = std::move(held);
  return true;
}

void StreamDelivery::keepEntity(ChangeEvent event) {
  auto& rows = entities_[event.shape];
  if (event.op == ChangeOp::truncate) return rows.clear();
  const bool erased = event.op == ChangeOp::erase;
  const std::string key = stateKey(*event.shape, erased ? event.before : event.after);
  if (erased)
    rows.erase(key);
  else
    rows[key] = std::move(event.after);
}

bool StreamDelivery::tellEntities() {
  for (auto& [shape, rows] : entities_) {
    for (auto& [key, row] : rows) {
      ChangeEvent& event = batch_.add(ChangeOp::read, shape);
      event.after = std::move(row);
      event.transactionBegin = event.transactionEnd = true;
      event.position = positionOf(place_);
      if (batch_.size() >= batchEvents_ && !flush()) return false;
    }
  }
  entities_.clear();
  return true;
}

bool StreamDelivery::flush() {
  if (batch_.empty()) return true;
  if (!hooks_.offer(batch_)) return false;
  batch_.clear();
  return true;
}

bool StreamDelivery::border(ChangeOp op, const Shape& shape) {
  ChangeEvent& event = batch_.add(op, shape);
  event.transactionBegin = event.transactionEnd = true;
  event.position = positionOf(place_);
  told_ = place_;
  return batch_.size() < batchEvents_ || flush();
}

/// Messages that nobody wanted: whoever keeps the place need not read them again.
void StreamDelivery::tellProgress() {
  if (asRead_ || !batch_.empty() || place_.inTransaction || place_.number <= told_.number ||
      place_.number <= deliverAfter_) {
    return;
  }
  ChangeEvent& event = batch_.add(ChangeOp::progress, nullptr);
  event.transactionBegin = event.transactionEnd = true;
  event.position = positionOf(place_);
  told_ = place_;
}

}  // namespace tidegate::durable_streams::detail
