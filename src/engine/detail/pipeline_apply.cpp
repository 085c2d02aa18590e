/// How a pipeline hands events to its sink: whole batches, or one at a time while a poison change is singled out.
#include <utility>

#include "engine/detail/dead_letter_writer.h"
#include "engine/detail/pipeline_runner.h"

namespace tidegate::detail {

void PipelineRunner::apply(Piece& piece) {
  piece.show();
  if (careful_) return applyOneByOne(piece, 0, false);
  if (!piece.faults.empty()) throw Error(piece.faults.front().error);
  for (const Shape& shape : piece.prepare) spec_.sink->prepareTable(shape);
  if (!piece.events().empty()) spec_.sink->apply(piece.events());
  piece.hide();
}

void PipelineRunner::applyOneByOne(Piece& piece, std::size_t from, bool mayCommit) {
  piece.show();
  for (const Shape& shape : piece.prepare) spec_.sink->prepareTable(shape);
  std::size_t fault = 0;
  const auto meetFaults = [&](std::size_t event) {
    for (; fault < piece.faults.size() && piece.faults[fault].before <= event; ++fault) {
      if (letters_->leftOut(piece, piece.faults[fault].origin)) continue;
      letters_->suspect(piece, piece.faults[fault].origin);
      throw Error(piece.faults[fault].error);
    }
  };
  const std::size_t count = piece.events().size();
  for (std::size_t i = from; i < count; ++i) {
    meetFaults(i);
    if (!letters_->leftOut(piece, piece.originOf(i))) applyOne(piece, i);
    // Tables that are elsewhere now than at the unit's begin can only be committed with all of it.
    if (mayCommit && piece.events()[i].transactionEnd && !router_.tables().changed) commitWithin(piece, i + 1);
  }
  meetFaults(count);
}

void PipelineRunner::applyOne(const Piece& piece, std::size_t event) {
  const ChangeEvent& given = piece.events()[event];
  single_.clear();
  single_.add(given.op, given.shape) = given;
  letters_->suspect(piece, piece.originOf(event));
  spec_.sink->apply(single_);
  letters_->acquit(piece, piece.originOf(event), unit_.retained());
}

/// Makes the transactions before and up to here durable, so that only the failing one is in question.
void PipelineRunner::commitWithin(const Piece& piece, std::size_t done) {
  within_ = Within{&piece, done, piece.ofBaseline ? durable_ : piece.events()[done - 1].position};
  const Position border = std::exchange(border_, within_->position);
  const Checkpoint checkpoint = makeCheckpoint();
  border_ = border;
  pendingText_ = checkpointJson(checkpoint, tablesJson_, parts_.source);
  spec_.sink->commit(*pendingText_);
  committedWithin();
  parts_.acks.tick();
}

void PipelineRunner::committedWithin() {
  durableText_ = std::exchange(pendingText_, std::nullopt);
  ++number_;
  durable_ = within_->position;
  while (&unit_.pieces().front() != within_->piece) unit_.dropFirst();
  unit_.doneOfFirst = within_->done;
  within_.reset();
  letters_->acquitAll();
  backoff_.succeeded();
  lastCheckpoint_ = parts_.clock.steadyNow();
  stats_.committed(0, lastCheckpoint_);
  publish();
}

void PipelineRunner::applyAside(const ChangeBatch& changes) {
  try {
    if (!changes.empty()) spec_.sink->apply(changes);
    commit();
  } catch (const Error& e) {
    // Not the stream's failure: it uses up none of its attempts.
    spec_.sink->rollback();
    stats_.error(e, false);
    health_ = Health::broken;
    retryNow(e.what());
    throw;
  }
}

}  // namespace tidegate::detail
