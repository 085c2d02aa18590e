#include "postgres/detail/chunked_baseline.h"

#include <fmt/format.h>

#include <algorithm>

#include "postgres/detail/baseline.h"

namespace tidegate::postgres::detail {
namespace {

using Steady = std::chrono::steady_clock;

/// Chunks held per connection: one that waits for the stream while the next is read.
constexpr std::size_t kChunksPerReader = 2;
/// A chunk that is ripe but for the log's end waits this long before a message is written to move the log on.
constexpr std::chrono::milliseconds kPatience{20}, kKnockEvery{500};

/// Whether rows of one can be told as rows of the other. Whether a column may be null is not told by the stream.
bool sameRows(const TableShape& a, const TableShape& b) {
  const auto same = [](const ColumnSchema& x, const ColumnSchema& y) {
    return x.name == y.name && x.kind == y.kind && x.sourceType == y.sourceType;
  };
  return a.key == b.key && std::equal(a.schema.columns.begin(), a.schema.columns.end(), b.schema.columns.begin(),
                                      b.schema.columns.end(), same);
}

BackoffOptions withoutEnd(BackoffOptions options) {
  options.maxRetries = UINT32_MAX;
  return options;
}

}  // namespace

ChunkedBaseline::ChunkedBaseline(const SourceOptions& options, std::function<void(const std::string&)> onWarning)
    : options_(options),
      onWarning_(std::move(onWarning)),
      gate_(options.connect),
      backoff_(withoutEnd(options.backoff)) {
  for (std::size_t i = 0; i < std::max<std::size_t>(options.baseline.parallelConnections, 1); ++i) {
    readers_.push_back(std::make_unique<ChunkReader>(options_, known_));
  }
}

void ChunkedBaseline::restart(std::string_view progress) {
  const bool followed = pending();
  for (auto& reader : readers_) reader->drop();
  chunks_.clear();
  progress_ = decodeProgress(progress);
  encoded_ = progress;
  // Where we have followed the stream all along, what it has told is noted, and what came before was seen by then.
  if (followed && gate_.open()) return;
  gate_.shut();
  newest_ = {};
  touches_ = tidegate::detail::TouchLog();
  for (Stream& stream : streams_) stream.begunAt = 0;
}

/// A step on. Before the events that it is the progress of: what goes on from them must go on from it.
void ChunkedBaseline::become(BaselineProgress next) {
  ++next.steps;
  std::string encoded = encodeProgress(next);
  progress_ = std::move(next);
  encoded_ = std::move(encoded);
}

ChunkedBaseline::Stream& ChunkedBaseline::streamOf(const std::string& table) {
  for (Stream& stream : streams_) {
    if (stream.table == table) return stream;
  }
  return streams_.emplace_back(Stream{.table = table});
}

void ChunkedBaseline::onChange(const ChangeEvent& event) {
  if (!pending() || !event.shape) return;
  for (Stream& stream : streams_) {  // most often by the pointer
    if (stream.shape == event.shape) return seen(event, stream);
  }
  const auto wanted = [&](const PendingTable& table) { return table.name == event.shape->schema.table; };
  if (std::none_of(progress_.pending.begin(), progress_.pending.end(), wanted)) return;
  Stream& stream = streamOf(event.shape->schema.table);
  stream.shape = event.shape;
  stream.shapeTime = ++shapes_;
  seen(event, stream);
}

void ChunkedBaseline::seen(const ChangeEvent& event, Stream& stream) {
  if (event.op == ChangeOp::schemaChange) {
    if (event.schemaChange && event.schemaChange->rowsChanged) startAgain(stream.table);
    return;
  }
  touches_.note(event);
  // A row that comes with columns missing, and perhaps under a key that was read already: only reading again mends it.
  if (event.op == ChangeOp::insert && !event.unchanged.empty()) startAgain(stream.table);
}

void ChunkedBaseline::onCommit(const StreamedCommit& transaction) { touches_.commit({.low = transaction.xid}); }

bool ChunkedBaseline::deliverRows(Lsn received, ChangeBatch& out) {
  if (!pending()) return false;
  appendedFrom_ = out.size();
  stepConnections();
  deliverHead(received, out);
  if (!pending()) {
    for (auto& reader : readers_) reader->drop();
    streams_.clear();
    known_.clear();
  }
  return pending();
}

void ChunkedBaseline::tend() {
  if (pending()) stepConnections();
}

/// From its first row: the target is made exact by another `baselineBegin`. At once, and not with the next rows:
/// whoever goes on from the event that is the reason must know of it.
void ChunkedBaseline::startAgain(const std::string& table) {
  BaselineProgress next = progress_;
  const auto pending = std::find_if(next.pending.begin(), next.pending.end(),
                                    [&](const PendingTable& other) { return other.name == table; });
  const bool held =
      std::any_of(chunks_.begin(), chunks_.end(), [&](const auto& chunk) { return chunk->table == table; });
  if (pending == next.pending.end() || (!pending->begun && !held)) return;
  for (auto& reader : readers_) reader->drop();
  chunks_.clear();
  pending->begun = false;
  pending->last.clear();
  become(std::move(next));
}

void ChunkedBaseline::failed(const Error& error) {
  for (auto& reader : readers_) reader->drop();
  retryAt_ = Steady::now() + backoff_.next().value_or(std::chrono::milliseconds{1'000});
  if (!onWarning_ || lastWarning_ == error.message()) return;
  lastWarning_ = error.message();
  onWarning_(fmt::format("the baseline waits and tries again: {}", error.message()));
}

void ChunkedBaseline::stepConnections() {
  if (Steady::now() < retryAt_) return;
  try {
    gate_.step();
    if (!gate_.open()) return;
    assign();
    for (auto& reader : readers_) stepReader(*reader);
    assign();
    forgetSeenTouches();
  } catch (const Error& error) {
    failed(error);
  }
}

void ChunkedBaseline::stepReader(ChunkReader& reader) {
  const Chunk* chunk = reader.chunk();
  reader.step();
  if (chunk == nullptr) return;
  if (chunk->stage == Chunk::Stage::read) {
    backoff_.reset();
    lastWarning_.clear();
  }
  if (chunk->known != nullptr && chunk->snapshot.xmax > newest_.xmax) newest_ = chunk->snapshot;
}

/// Gives chunks to readers that have none: first those to be read again, then new ones.
void ChunkedBaseline::assign() {
  for (auto& reader : readers_) {
    if (!reader->idle()) continue;
    const auto wanted = std::find_if(chunks_.begin(), chunks_.end(),
                                     [](const auto& chunk) { return chunk->stage == Chunk::Stage::wanted; });
    if (wanted != chunks_.end())
      boundAnew(static_cast<std::size_t>(wanted - chunks_.begin()));
    else if (!addChunk())
      return;
    Chunk& chunk = *chunks_.back();
    chunk.shapeTime = shapes_;
    chunk.snapshot = newest_;
    reader->start(chunk);
  }
}

/// A range that held few rows when it was bounded may hold any number by the time it is read again; the table's last
/// one has no end at all. So its end is looked for anew, and what stands behind it, which begins at the old one, goes:
/// that was read at about the same time, and would mostly have to be read again as well.
void ChunkedBaseline::boundAnew(std::size_t at) {
  for (auto& reader : readers_) {
    const bool behind = std::any_of(chunks_.begin() + static_cast<std::ptrdiff_t>(at) + 1, chunks_.end(),
                                    [&](const auto& chunk) { return chunk.get() == reader->chunk(); });
    if (behind) reader->drop();
  }
  chunks_.resize(at + 1);
  chunks_.back()->bounded = false;
  chunks_.back()->upTo.clear();
}

/// The range behind the last one, as soon as it is known where that ends.
bool ChunkedBaseline::addChunk() {
  if (chunks_.size() >= readers_.size() * kChunksPerReader) return false;
  auto chunk = std::make_unique<Chunk>();
  if (chunks_.empty()) {
    chunk->table = progress_.pending.front().name;
    chunk->after = progress_.pending.front().last;
  } else {
    const Chunk& previous = *chunks_.back();
    if (!previous.bounded) return false;
    chunk->table = previous.table;
    chunk->after = previous.upTo;
    if (previous.last()) {
      const auto at = std::find_if(progress_.pending.begin(), progress_.pending.end(),
                                   [&](const PendingTable& table) { return table.name == previous.table; });
      if (at == progress_.pending.end() || at + 1 == progress_.pending.end()) return false;
      chunk->table = (at + 1)->name;
      chunk->after = (at + 1)->last;
    }
  }
  chunks_.push_back(std::move(chunk));
  return true;
}

/// What every snapshot in use sees, no later one lacks. A chunk whose snapshot is not known yet has one that was the
/// newest when it was asked for.
void ChunkedBaseline::forgetSeenTouches() {
  if (touches_.transactions().empty()) return;
  std::vector<const Snapshot*> used{&newest_};
  for (const auto& chunk : chunks_) {
    if (chunk->stage != Chunk::Stage::wanted) used.push_back(&chunk->snapshot);
  }
  touches_.forgetSeen([&](const tidegate::detail::TransactionName& name) {
    return std::all_of(used.begin(), used.end(), [&](const Snapshot* snapshot) {
      return snapshot->seesShort(static_cast<std::uint32_t>(name.low));
    });
  });
}

void ChunkedBaseline::deliverHead(Lsn received, ChangeBatch& out) {
  if (chunks_.empty() || chunks_.front()->stage != Chunk::Stage::read) return;
  Chunk& chunk = *chunks_.front();
  const auto now = Steady::now();
  if (received < chunk.highWater) {
    if (now - chunk.readAt < kPatience || now < knockAt_) return;
    knockAt_ = now + kKnockEvery;
    return gate_.knock();
  }
  if (!shapeAgrees(chunk, out)) return;
  begin(chunk, out);
  if (!chunk.overtake(touches_, streamOf(chunk.table).begunAt)) return chunk.again();
  deliverRowsOf(chunk, out);
  if (chunk.delivered == chunk.rows.size()) {
    finishChunk(chunk, out);
    chunks_.pop_front();
  }
}

/// Whether the chunk's rows have the shape that the stream has now. Else the chunk was read before the stream came to
/// the alteration, and is read again; or the stream has yet to come to it (it tells of it with the table's next
/// change), and the table is read anew in its new shape, which the stream is told of here.
bool ChunkedBaseline::shapeAgrees(Chunk& chunk, ChangeBatch& out) {
  Stream& stream = streamOf(chunk.table);
  if (!stream.shape) stream.shape = chunk.known->shape;
  if (sameRows(*stream.shape, *chunk.known->shape)) return true;
  if (stream.shapeTime > chunk.shapeTime) {
    chunk.again();
    return false;
  }
  const Shape before = std::exchange(stream.shape, chunk.known->shape);
  auto change = std::make_shared<SchemaChange>();
  change->before = before;
  startAgain(stream.table);  // and with it the chunk is gone
  add(ChangeOp::schemaChange, stream.shape, out).schemaChange = std::move(change);
  return false;
}

ChangeEvent& ChunkedBaseline::add(ChangeOp op, const Shape& shape, ChangeBatch& out) {
  ChangeEvent& event = out.add(op, shape);
  putSteps(++progress_.steps, encoded_);
  event.position.octets = encoded_;
  return event;
}

void ChunkedBaseline::begin(const Chunk& chunk, ChangeBatch& out) {
  if (progress_.pending.front().begun) return;
  BaselineProgress next = progress_;
  next.pending.front().begun = true;
  become(std::move(next));
  Stream& stream = streamOf(chunk.table);
  stream.begunAt = touches_.lastNumber();
  add(ChangeOp::baselineBegin, stream.shape, out);
}

void ChunkedBaseline::deliverRowsOf(Chunk& chunk, ChangeBatch& out) {
  PendingTable& table = progress_.pending.front();
  const Shape& shape = streamOf(chunk.table).shape;
  std::size_t room = std::max<std::size_t>(options_.batchEvents, 1);
  for (; chunk.delivered < chunk.rows.size() && room > 0; ++chunk.delivered) {
    if (!chunk.live(chunk.delivered)) continue;
    add(ChangeOp::read, shape, out).after.swap(chunk.rows[chunk.delivered]);
    ++table.rows;
    --room;
  }
}

/// The progress moves on, and is that of the chunk's last row already. A chunk whose rows were all overtaken leaves it
/// to the next event.
void ChunkedBaseline::finishChunk(const Chunk& chunk, ChangeBatch& out) {
  const Shape shape = streamOf(chunk.table).shape;
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

std::unique_ptr<StreamInterleave> makeInterleave(const SourceOptions& options,
                                                 std::function<void(const std::string&)> onWarning) {
  return std::make_unique<ChunkedBaseline>(options, std::move(onWarning));
}

}  // namespace tidegate::postgres::detail
