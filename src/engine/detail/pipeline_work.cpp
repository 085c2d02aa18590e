/// How a pipeline handles what its queue brings, and when it commits.
#include <algorithm>
#include <utility>

#include "engine/detail/dead_letter_writer.h"
#include "engine/detail/pipeline_runner.h"

namespace tidegate::detail {

void PipelineRunner::process(QueueItem& item) {
  switch (item.kind) {
    case QueueItem::Kind::events:
      return processEvents(item, Commit::ifDue);
    case QueueItem::Kind::baselineBegins:
      return beginBaseline(item);
    case QueueItem::Kind::baselineEnds:
      return endBaseline(item);
    case QueueItem::Kind::streamBegins:
      return beginStream(item);
    case QueueItem::Kind::hole:
      return noteHole(item);
  }
}

void PipelineRunner::beginStream(const QueueItem& item) {
  if (!router_.drop().total()) {
    // It goes back with the stream: its next checkpoint will say so, and the source must not be told more till then.
    if (!unit_.empty()) undo();
    if (!durable_.empty()) setPlace(parts_.source.meet(durable_, item.position));
    parts_.acks.goesOnFrom(parts_.ackIndex);
    publish();
  } else if (inTransaction_ && spec_.overflow == OverflowPolicy::dropOldest) {
    // The stream brings this transaction again, and a full queue may throw it away as a whole. Half of it must not
    // stay.
    undo();
  }
  router_.streamBegins(seen_);
  undone_ = false;
  settleState();
}

void PipelineRunner::processEvents(QueueItem& item, Commit commit) {
  keepWholeTransactions(item);
  const Micros now = parts_.clock.steadyNow();
  // The place first: routing may move the events.
  notePlace(item);
  // Nobody else may hold the batch, or it would be copied.
  Piece& piece = unit_.add(std::move(item.batch), now);
  piece.ofBaseline = item.baseline;
  try {
    router_.route({item.first, item.last, item.baseline}, piece);
  } catch (...) {
    // A table that no longer fits its route; only the source can bring these events again.
    unit_.keep();
    unit_.release();
    throw;
  }
  const bool nothing = piece.events().empty() && piece.prepare.empty() && piece.faults.empty();
  if (nothing) {
    unit_.takeBack();
  } else {
    unit_.keep();
    apply(piece);
  }
  if (router_.takeWanted()) {
    restartWanted_ = true;
    publish();
    settleState();
  }
  if (commit == Commit::ifDue) commitIfDue(link_.queue.empty());
  const std::size_t mostKept = 2 * spec_.commitBytes;
  if (!unit_.empty() && (!unit_.retained() || unit_.keptBytes() > mostKept)) {
    unit_.release();
    if (careful_) letters_->piecesGone();
  }
  restartIfWanted();
}

/// A sink that wants whole transactions can only commit where the last batch ended with one. So where a unit is due and
/// this batch ends within one, the batch is cut behind the last one that is whole.
void PipelineRunner::keepWholeTransactions(QueueItem& item) {
  if (!wholeTransactions_ || item.baseline) return;
  const ChangeBatch& events = item.batch->events;
  std::size_t border = item.last;
  while (border > item.first && !events[border - 1].transactionEnd && events[border - 1].op != ChangeOp::progress)
    --border;
  if (border == item.last || border == item.first) return;
  const bool due = unit_.events() + item.events() >= spec_.commitEvents ||
                   unit_.bytes() + item.bytes >= spec_.commitBytes ||
                   (!unit_.empty() && parts_.clock.steadyNow() - unit_.openedAt() >= spec_.commitInterval);
  if (!due) return;
  QueueItem tail = item;
  tail.first = border;
  tail.bytes = item.bytes * tail.events() / item.events();
  item.last = border;
  item.bytes -= tail.bytes;
  link_.queue.putBack(std::move(tail));
}

/// Where the stream is after these events, and where a unit may end.
void PipelineRunner::notePlace(const QueueItem& item) {
  if (item.baseline) return;
  const ChangeBatch& events = item.batch->events;
  const ChangeEvent& last = events[item.last - 1];
  // Still behind what the pipeline has: its place stays.
  if (!router_.drop().passed() && router_.drop().atOrBefore(last.position, seen_)) return;
  if (last.commitMicros != 0) lastCommitMicros_ = last.commitMicros;
  seen_ = last.position;
  for (std::size_t i = item.last; i > item.first; --i) {
    const ChangeEvent& event = events[i - 1];
    if (event.op == ChangeOp::progress) continue;
    inTransaction_ = !event.transactionEnd;
    break;
  }
  if (atBorder()) border_ = seen_;
}

/// Or old enough.
bool PipelineRunner::unitIsFull(Micros now) const {
  return unit_.events() >= spec_.commitEvents || unit_.bytes() >= spec_.commitBytes ||
         (!unit_.empty() && now - unit_.openedAt() >= spec_.commitInterval);
}

void PipelineRunner::commitIfDue(bool nothingQueued) {
  if (!atBorder()) return;
  const Micros now = parts_.clock.steadyNow();
  if (!unit_.empty() || router_.tables().changed) {
    if (nothingQueued || unitIsFull(now)) commit();
  } else if (ahead() && now - lastCheckpoint_ >= parts_.ackInterval) {
    // All that came was filtered, or the source only made progress.
    commit();
  }
}

void PipelineRunner::commit() {
  commitBy([this](const std::string& checkpoint) {
    spec_.sink->commit(checkpoint);
    return true;
  });
  parts_.acks.tick();
}

/// @param give hands the checkpoint to the sink, and says whether that took it.
bool PipelineRunner::commitBy(const std::function<bool(const std::string&)>& give) {
  const Checkpoint checkpoint = makeCheckpoint();
  pendingText_ = checkpointJson(checkpoint, tablesJson_, parts_.source);
  const Micros began = parts_.clock.steadyNow();
  const bool took = give(*pendingText_);
  if (took)
    committed(unit_.events(), parts_.clock.steadyNow() - began);
  else
    pendingText_.reset();
  return took;
}

void PipelineRunner::committed(std::uint64_t events, Micros took) {
  durableText_ = std::exchange(pendingText_, std::nullopt);
  ++number_;
  durable_ = border_;
  const bool tablesChanged = router_.tables().changed;
  router_.tables().committed();
  router_.passGates(durable_);
  unit_.clear();
  backoff_.succeeded();
  letters_->passed(durable_);
  careful_ = letters_->leavesSomeOut();
  lastCheckpoint_ = parts_.clock.steadyNow();
  stats_.committed(events, lastCheckpoint_);
  publish();
  for (const auto& [round, tables] : std::exchange(arrived_, {})) link_.baselineArrived(tables, round);
  if (events > 0) {
    parts_.observer.onCommit(spec_.name, events, took);
    for (const RouteTable& table : router_.tables().all()) {
      if (table.now.phase == TablePhase::copying || table.now.phase == TablePhase::carried) {
        parts_.observer.onBaselineProgress(spec_.name, table.name, table.baselineRows);
      }
    }
  }
  if (tablesChanged || stats_.state() == PipelineState::retrying) settleState();
  restartIfWanted();
}

/// A table needs a baseline. Not before that is durable, and never within a transaction: a stream that begins anew
/// would only bring the same change again.
void PipelineRunner::restartIfWanted() {
  if (!restartWanted_ || inTransaction_ || !unit_.empty() || router_.tables().changed) return;
  restartWanted_ = false;
  parts_.control.restart();
}

void PipelineRunner::beginBaseline(const QueueItem& item) {
  // A stream that was cut within a transaction brings it again, after the baseline.
  if (!atBorder() || inTransaction_) undo();
  router_.baselineBegins(item.tables);
  if (item.tables.size() == names_.size()) {
    // Where everything is read anew, the old place says nothing; it may even be one that the source has lost.
    seen_ = border_ = {};
    parts_.acks.durable(parts_.ackIndex, {});
  }
  commit();
}

void PipelineRunner::endBaseline(const QueueItem& item) {
  router_.baselineEnds(item.tables, item.position);
  // Before what was seen only by what the source has yet to read beside its stream: the pipeline goes back to it, or it
  // would take those rows for old ones.
  const bool back = router_.drop().total() && !seen_.empty() && router_.drop().atOrBefore(item.position, seen_);
  if (seen_.empty() || back || item.tables.size() == names_.size()) seen_ = border_ = item.position;
  arrived_.emplace_back(item.round, item.tables);
  commit();
}

/// Changes are missing from here on: the source is told nothing past this place, until the tables were read anew.
void PipelineRunner::noteHole(const QueueItem& item) {
  RouteTables& tables = router_.tables();
  Hole hole = tables.hole ? *tables.hole : Hole{.before = border_};
  for (const std::string& table : item.tables) {
    if (tables.find(table) != nullptr) hole.tables.insert(table);
  }
  if (hole.tables.empty()) return;
  tables.hole = std::move(hole);
  tables.changed = true;
}

/// Takes rows out of the sink that became too old.
void PipelineRunner::sweep(Micros now) {
  if (!unit_.empty() || inTransaction_) return;
  auto& tables = router_.tables().all();
  for (std::size_t i = 0; i < tables.size(); ++i) {
    RouteTable& table = tables[i];
    if (!table.route->ttl || now < nextSweep_[i]) continue;
    nextSweep_[i] = now + table.route->ttl->sweepInterval;
    if (!table.plan || table.now.phase != TablePhase::ready) continue;
    const TablePlan& plan = *table.plan;
    const ColumnSchema& column = plan.source->schema.columns[*plan.ttlColumn];
    const ValueKind kind = column.kind == ValueKind::null ? table.timeLike.kind() : column.kind;
    const Value cutoff = ttlCutoff(kind, table.timeLike, parts_.clock.wallNow().count(), plan.ttlAge);
    if (cutoff.isNull()) continue;
    const std::uint64_t rows = spec_.sink->expire(plan.target, plan.ttlTarget, cutoff);
    commit();
    if (rows > 0) parts_.observer.onExpired(spec_.name, table.name, rows);
  }
}

}  // namespace tidegate::detail
