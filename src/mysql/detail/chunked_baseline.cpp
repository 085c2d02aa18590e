#include "mysql/detail/chunked_baseline.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "mysql/detail/binlog_position.h"

namespace tidegate::mysql::detail {
namespace {

/// One that waits for the stream while the next is read.
constexpr std::size_t kChunksHeld = 2;
/// A commit that waits for a replica's answer is in the binlog and not yet seen.
constexpr std::chrono::milliseconds kUnseenWait{5};

BackoffOptions endless(BackoffOptions options) {
  options.maxRetries = UINT32_MAX;
  return options;
}

/// "mariadb-bin.000003" of "mariadb-bin.000012".
std::string fileNamed(const std::string& other, std::uint64_t number) {
  const auto dot = other.rfind('.');
  return fmt::format("{}.{:0{}}", other.substr(0, dot), number, other.size() - dot - 1);
}

}  // namespace

ChunkedBaseline::ChunkedBaseline(SourceCore& core, std::stop_token stop)
    : core_(core),
      stop_(std::move(stop)),
      reader_(
          core, [this](CLink& link, const SnapshotPlace& place) { return admits(link, place); }, stop_),
      backoff_(endless(core.options.backoff), core.context.jitterSeed) {}

void ChunkedBaseline::restart(const Place& from) {
  forgetChunks();
  progress_ = tidegate::detail::decodeProgress(from.baseline);
  encoded_ = from.baseline;
  from_ = from;
  open_ = false;
  first_ = newest_ = refused_ = {};
  touches_ = tidegate::detail::TouchLog();
  begunAt_.clear();
  if (!pending()) return;
  // What an earlier process delivered at this place may have had other rows between: a pipeline that is ahead must not
  // take ours for them. Rows come more slowly than microseconds pass.
  const auto now = static_cast<std::uint64_t>(std::max<std::int64_t>(core_.clock->wallNow().count(), 0));
  progress_.steps = std::max(progress_.steps, now);
  tidegate::detail::putSteps(progress_.steps, encoded_);
}

bool ChunkedBaseline::admits(CLink& link, const SnapshotPlace& place) {
  if (open_) return true;
  const TransactionName seen = place.seen.name();
  if (seen == refused_) return false;  // the server would have to read a whole file to say the same again
  refused_ = seen;
  open_ = seesBeginning(link, place, seen);
  return open_;
}

/// Whether a snapshot sees all that was told before the stream began.
bool ChunkedBaseline::seesBeginning(CLink& link, const SnapshotPlace& place, const TransactionName& seen) {
  if (from_.before.by == BorderBy::sources) {
    GtidSet told = from_.before.set;
    if (from_.ordinal != 0) told.add(from_.current.source, {from_.current.sequence, from_.current.sequence});
    return told.within(gtidSetFromText(place.executed));
  }
  GtidState told = from_.before.gtids;
  if (from_.before.byFile()) {
    if (first_ != TransactionName{} && first_ <= seen) return true;
    if (from_.ordinal != 0) return false;  // begun within a transaction: it ends the first
    if (!link.isMariaDb()) return TransactionName{from_.before.file.number, from_.before.file.offset} <= seen;
    try {
      told = gtidsAt(
          link, {.file = fileNamed(place.seen.file, from_.before.file.number), .offset = from_.before.file.offset});
    } catch (const Error& e) {
      if (e.code() != ErrorCode::queryFailed) throw;
      return false;  // that file was purged meanwhile; the next transaction tells
    }
  } else if (from_.ordinal != 0) {
    told.set(from_.current);
  }
  return told.within(gtidsAt(link, place.seen));
}

/// A step on. Before the events that it is the progress of: what goes on from them must go on from it.
void ChunkedBaseline::become(BaselineProgress next) {
  ++next.steps;
  encoded_ = tidegate::detail::encodeProgress(next);
  progress_ = std::move(next);
}

void ChunkedBaseline::onChange(const ChangeEvent& event) {
  if (!pending() || !event.shape) return;
  const std::string& name = event.shape->schema.table;
  const bool ours = std::any_of(progress_.pending.begin(), progress_.pending.end(),
                                [&](const PendingTable& table) { return table.name == name; });
  if (!ours) return;
  if (event.op != ChangeOp::schemaChange) return touches_.note(event);
  // Where nobody knows what the table was, nobody knows whether the rows that were read are as they would be now.
  if (event.schemaChange && (event.schemaChange->rowsChanged || !event.schemaChange->before)) startAgain(name);
}

void ChunkedBaseline::onCommit(const TransactionName& end) {
  if (first_ == TransactionName{}) {
    first_ = end;
    refused_ = {};  // a place that was refused for want of this one may do
  }
  touches_.commit(end);
}

bool ChunkedBaseline::deliverRows(const TransactionName& received, ChangeBatch& out) {
  if (!pending()) return false;
  appendedFrom_ = out.size();
  step();
  deliverHead(received, out);
  if (!pending()) forgetChunks();
  return pending();
}

void ChunkedBaseline::tend() {
  if (pending()) step();
}

void ChunkedBaseline::forgetChunks() {
  if (!reader_.idle()) reader_.drop();
  if (!pending()) reader_.drop();
  chunks_.clear();
}

/// From its first row: the target is made exact by another `baselineBegin`. At once, and not with the next rows:
/// whoever goes on from the event that is the reason must know of it.
void ChunkedBaseline::startAgain(const std::string& table) {
  BaselineProgress next = progress_;
  const auto pending = std::find_if(next.pending.begin(), next.pending.end(),
                                    [&](const PendingTable& other) { return other.name == table; });
  const bool held =
      std::any_of(chunks_.begin(), chunks_.end(), [&](const auto& chunk) { return chunk->name.full() == table; });
  if (pending == next.pending.end() || (!pending->begun && !held)) return;
  forgetChunks();
  pending->begun = false;
  pending->last.clear();
  become(std::move(next));
}

void ChunkedBaseline::failed(const Error& error) {
  forgetChunks();
  if (stop_.stop_requested()) return;
  const auto wait = backoff_.next().value_or(std::chrono::milliseconds{1'000});
  retryAt_ = core_.clock->steadyNow() + wait;
  if (lastWarning_ == error.message()) return;
  lastWarning_ = error.message();
  core_.warn(fmt::format("the baseline waits and tries again: {}", error.message()));
}

void ChunkedBaseline::step() {
  if (core_.streamServer == 0 || core_.clock->steadyNow() < retryAt_) return;
  try {
    const bool busy = !reader_.idle();
    reader_.step();
    if (busy && reader_.idle()) {
      backoff_.reset();
      lastWarning_.clear();
    }
    assign();
    forgetSeenTouches();
  } catch (const Error& error) {
    failed(error);
  }
}

void ChunkedBaseline::assign() {
  if (!reader_.idle()) return;
  const bool waits = !chunks_.empty() && chunks_.back()->stage == Chunk::Stage::wanted;
  if (!waits && !addChunk()) return;
  Chunk& chunk = *chunks_.back();
  chunk.toldBefore = shapeOfReaders(chunk);
  if (!reader_.start(chunk)) {
    chunk.stage = Chunk::Stage::wanted;
    retryAt_ = core_.clock->steadyNow() + kUnseenWait;
    return;
  }
  newest_ = std::max(newest_, chunk.seen);
}

/// The range behind the last one.
bool ChunkedBaseline::addChunk() {
  if (chunks_.size() >= kChunksHeld) return false;
  auto chunk = std::make_unique<Chunk>();
  const PendingTable* table = &progress_.pending.front();
  chunk->after = table->last;
  if (!chunks_.empty()) {
    const Chunk& previous = *chunks_.back();
    const auto at = std::find_if(progress_.pending.begin(), progress_.pending.end(),
                                 [&](const PendingTable& other) { return other.name == previous.name.full(); });
    if (at == progress_.pending.end() || (previous.last() && at + 1 == progress_.pending.end())) return false;
    table = previous.last() ? &*(at + 1) : &*at;
    chunk->after = previous.last() ? table->last : previous.upTo;
  }
  chunk->name = tableNameOf(table->name, {});
  chunks_.push_back(std::move(chunk));
  return true;
}

/// What every snapshot in use sees, no later one lacks.
void ChunkedBaseline::forgetSeenTouches() {
  if (touches_.transactions().empty()) return;
  TransactionName oldest = newest_;
  for (const auto& chunk : chunks_) {
    if (chunk->stage != Chunk::Stage::wanted) oldest = std::min(oldest, chunk->seen);
  }
  touches_.forgetSeen([&](const TransactionName& end) { return end <= oldest; });
}

void ChunkedBaseline::deliverHead(const TransactionName& received, ChangeBatch& out) {
  if (chunks_.empty() || chunks_.front()->stage != Chunk::Stage::read) return;
  Chunk& chunk = *chunks_.front();
  if (received < chunk.most) return;
  if (!shapeAgrees(chunk, out)) return;
  begin(chunk, out);
  const auto sees = [&](const TransactionName& end) { return end <= chunk.seen; };
  // The chunk behind it was read at about the same time, and begins where this one ends: both are read again.
  if (!chunk.overtake(touches_, chunk.name.full(), *chunk.shape, sees, begunAt_[chunk.name.full()])) {
    return forgetChunks();
  }
  deliverRowsOf(chunk, out);
  if (chunk.delivered == chunk.rows.size()) {
    finishChunk(chunk, out);
    chunks_.pop_front();
  }
}

/// Whether the chunk's rows have the shape that readers know. Else the chunk was read before the stream came to the
/// alteration, and is read again; or the stream has yet to come to it, or was never told of it (it was not logged): the
/// table is read anew in its new shape, which the readers are told of here.
bool ChunkedBaseline::shapeAgrees(Chunk& chunk, ChangeBatch& out) {
  ToldTable& told = core_.told[chunk.name];
  if (!told.shape) told = {chunk.shape, chunk.table.columns};
  if (told.shape->schema == chunk.shape->schema) return true;
  if (told.shape != chunk.toldBefore) {
    forgetChunks();
    return false;
  }
  auto change = std::make_shared<SchemaChange>();
  change->before = told.shape;
  const Shape shape = chunk.shape;
  told = {shape, chunk.table.columns};
  startAgain(chunk.name.full());  // and with it the chunk is gone
  add(ChangeOp::schemaChange, shape, out).schemaChange = std::move(change);
  return false;
}

ChangeEvent& ChunkedBaseline::add(ChangeOp op, const Shape& shape, ChangeBatch& out) {
  ChangeEvent& event = out.add(op, shape);
  tidegate::detail::putSteps(++progress_.steps, encoded_);
  event.position.octets = encoded_;
  return event;
}

void ChunkedBaseline::begin(const Chunk& chunk, ChangeBatch& out) {
  if (progress_.pending.front().begun) return;
  BaselineProgress next = progress_;
  next.pending.front().begun = true;
  become(std::move(next));
  begunAt_[chunk.name.full()] = touches_.lastNumber();
  add(ChangeOp::baselineBegin, shapeOfReaders(chunk), out);
}

void ChunkedBaseline::deliverRowsOf(Chunk& chunk, ChangeBatch& out) {
  PendingTable& table = progress_.pending.front();
  const Shape& shape = shapeOfReaders(chunk);
  for (std::size_t room = core_.options.batchEvents; chunk.delivered < chunk.rows.size() && room > 0;
       ++chunk.delivered) {
    if (!chunk.live(chunk.delivered)) continue;
    add(ChangeOp::read, shape, out).after.swap(chunk.rows[chunk.delivered]);
    ++table.rows;
    --room;
  }
}

/// The progress moves on, and is that of the chunk's last row already. A chunk whose rows were all overtaken leaves it
/// to the next event.
void ChunkedBaseline::finishChunk(const Chunk& chunk, ChangeBatch& out) {
  const Shape shape = shapeOfReaders(chunk);
  BaselineProgress next = progress_;
  if (chunk.last())
    next.pending.erase(next.pending.begin());
  else
    next.pending.front().last = chunk.upTo;
  become(std::move(next));
  if (chunk.last()) {
    out.add(ChangeOp::baselineEnd, shape).position.octets = encoded_;
  } else if (out.size() > appendedFrom_) {
    out.back().position.octets = encoded_;
  }
}

}  // namespace tidegate::mysql::detail
