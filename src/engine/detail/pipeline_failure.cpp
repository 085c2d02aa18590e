/// What a pipeline does when its sink fails: tries again, singles the change out, or stops.
#include <utility>

#include "engine/detail/dead_letter_writer.h"
#include "engine/detail/pipeline_runner.h"

namespace tidegate::detail {
namespace {

/// Whether one change may be the reason. The others are about the sink or its target as a whole.
bool mayBeAChange(ErrorCode code) {
  switch (code) {
    case ErrorCode::fenced:
    case ErrorCode::connectionFailed:
    case ErrorCode::authenticationFailed:
    case ErrorCode::permissionDenied:
    case ErrorCode::storeCorrupt:
    case ErrorCode::logDiverged:
    case ErrorCode::invalidConfig:
    case ErrorCode::tableNotFound:
    case ErrorCode::backPressure:
    case ErrorCode::storeUnavailable:
      return false;
    default:
      return true;
  }
}

}  // namespace

void PipelineRunner::failed(const Error& error) {
  spec_.sink->rollback();
  stats_.error(error, false);
  health_ = Health::broken;
  const RetryDecision decision = backoff_.failed(error);
  if (decision.again)
    retryAfter(error, decision);
  else
    giveUpOn(error);
}

void PipelineRunner::retryAfter(const Error& error, const RetryDecision& decision) {
  retryAt_ = parts_.clock.steadyNow() + decision.delay;
  stats_.retried();
  setState(PipelineState::retrying, error.what());
  parts_.observer.onRetry(spec_.name, error, decision.attempt,
                          std::chrono::duration_cast<std::chrono::milliseconds>(decision.delay));
}

void PipelineRunner::retryNow(std::string reason) {
  backoff_.succeeded();
  retryAt_ = parts_.clock.steadyNow();
  setState(PipelineState::retrying, std::move(reason));
}

void PipelineRunner::giveUpOn(const Error& error) {
  if (spec_.onFailure == FailurePolicy::deadLetter && deadLetter(error)) return;
  isolate(error);
  if (spec_.onFailure == FailurePolicy::stopSource || spec_.onFailure == FailurePolicy::stopAll) {
    parts_.control.halt(error, spec_.onFailure == FailurePolicy::stopAll);
  }
}

/// @return whether the pipeline goes on.
bool PipelineRunner::deadLetter(const Error& error) {
  if (!mayBeAChange(error.code())) return false;
  if (!careful_) {
    careful_ = true;
    retryNow("singling out the change that fails");
    return true;
  }
  if (!letters_->canBlame()) return false;
  try {
    for (const DeadLetter& letter : letters_->write(error)) {
      stats_.lettered();
      parts_.observer.onDeadLetter(spec_.name, letter);
    }
  } catch (const Error& e) {
    // Never past a change that is kept nowhere.
    stats_.error(e, false);
    retryAfter(e, backoff_.failed(Error(ErrorCode::connectionFailed, Retry::later, e.message())));
    return true;
  }
  retryNow("a change went to the dead letters");
  return true;
}

void PipelineRunner::isolate(const Error& error) {
  health_ = Health::isolated;
  undone_ = true;
  spec_.sink->close();
  unit_.clear();
  arrived_.clear();
  router_.tables().undone();
  pendingText_.reset();
  within_.reset();
  careful_ = false;
  letters_->acquitAll();
  setPlace(durable_);
  link_.leave();
  publish();
  if (spec_.acknowledgePastIsolation) {
    ackedPast_ = true;
    parts_.acks.exclude(parts_.ackIndex);
  }
  stats_.error(error, true);
  setState(PipelineState::isolated, error.what());
  parts_.observer.onIsolated(spec_.name, error);
  parts_.control.roomMade();
}

void PipelineRunner::retryIsolated() {
  link_.post({.run = [this] {
    if (health_ != Health::isolated) return;
    stats_.mended();
    hasOutsideFailure_ = false;
    if (std::exchange(ackedPast_, false)) link_.force(names_);
    backoff_.succeeded();
    mustStartOver_ = true;
    health_ = Health::broken;
    retryAt_ = parts_.clock.steadyNow();
    setState(PipelineState::starting, "asked to come back");
    parts_.control.goOn();
  }});
}

void PipelineRunner::resetSession() {
  resetting_ = true;
  link_.post({.run = [this] {
    const Health health = health_;
    if (health == Health::working || health == Health::broken) {
      link_.leave();
      mustStartOver_ = true;
    }
    resetting_ = false;
    parts_.control.roomMade();
    if (health != Health::working) return;
    spec_.sink->rollback();
    startOver();
  }});
}

/// Opens the sink anew, finds out what it has, and applies what it lacks.
void PipelineRunner::recover() {
  letters_->acquitAll();
  const auto found = spec_.sink->open({.pipeline = spec_.name, .stop = sinkStop_.get_token()});
  const bool forgets = !found && !keepsCheckpoints_;
  if (pendingText_ && found == pendingText_) {
    // The commit whose answer was lost had happened.
    if (within_)
      committedWithin();
    else
      committed(unit_.events(), Micros(0));
    parts_.acks.tick();
  } else if (found != durableText_ && !forgets) {
    adopt(found);
    mustStartOver_ = true;
  }
  pendingText_.reset();
  within_.reset();
  health_ = Health::working;
  if (mustStartOver_ || (!unit_.empty() && !unit_.retained())) return startOver();
  prepareKnown();
  reapply();
  if (atBorder() && (!unit_.empty() || router_.tables().changed)) commit();
  settleState();
}

void PipelineRunner::reapply() {
  std::size_t from = unit_.doneOfFirst;
  for (std::size_t number = unit_.firstNumber(); Piece* piece = unit_.numbered(number); ++number) {
    if (careful_)
      applyOneByOne(*piece, std::exchange(from, 0), true);
    else
      apply(*piece);
  }
}

void PipelineRunner::loadLetters() {
  letters_->load(durable_);
  careful_ = careful_ || letters_->leavesSomeOut();
}

/// Undoes the open unit; the stream brings it again.
void PipelineRunner::undo() {
  undone_ = true;
  spec_.sink->rollback();
  letters_->acquitAll();
  unit_.clear();
  arrived_.clear();
  router_.tables().undone();
  setPlace(durable_);
}

/// Leaves the stream and joins the next one, which begins at what is durable.
void PipelineRunner::startOver() {
  mustStartOver_ = true;
  undone_ = undone_ || !unit_.empty() || seen_ != durable_ || !link_.queue.empty();
  link_.leave();
  unit_.clear();
  arrived_.clear();
  router_.tables().undone();
  setPlace(durable_);
  loadLetters();
  prepareKnown();
  mustStartOver_ = false;
  publish();
  settleState();
  link_.offer();
  parts_.control.restart();
}

}  // namespace tidegate::detail
