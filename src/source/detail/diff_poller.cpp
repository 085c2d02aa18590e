#include "source/detail/diff_poller.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>
#include <vector>

#include "source/detail/poll_state.h"

namespace tidegate::detail {

/// What one poll found.
struct DiffPoller::Found {
  DiffChanges changes;
  std::uint64_t rows = 0;   ///< in the result
  std::uint64_t known = 0;  ///< of them in the snapshot
};

/// Changes that go together: one push, then one commit of the snapshot.
struct DiffChunk {
  SyncPush push;
  std::vector<DiffChange> changes;  ///< all that the push covers, and those that no reader would see
};

DiffPoller::DiffPoller(const PollContext& context, const IngestTableConfig& table)
    : context_(context),
      table_(table),
      strategy_(std::get<DiffStrategy>(table.strategy)),
      sql_(wrappableQuery(context.config.query.dialect(), table.query)),
      layouts_(table.rowIdColumns) {}

void DiffPoller::poll(PollRun& run, TableReport& report) {
  if (!snapshot_) snapshot_ = context_.snapshots.open(snapshotKey(context_.config.name, table_.table));
  beginPoll();
  Found found;
  if (!read(run, report, found)) return;
  checkDeletes(found);
  collectErases(found);
  pushAll(run, report, found.changes);
  warnIfLarge();
}

void DiffPoller::beginPoll() {
  snapshot_->beginPoll();
  std::string before;
  const auto found = snapshot_->mark(RowLayouts::kRowId, savedLayouts_, before);
  if (layoutsRead_) return;
  if (found == TableSnapshot::Found::differs) readLayouts(before);
  layoutsRead_ = true;
}

void DiffPoller::readLayouts(const std::string& octets) {
  if (layouts_.decode(octets)) {
    savedLayouts_ = octets;
    return;
  }
  context_.warn(
      fmt::format("table \"{}\": the saved snapshot is put aside and the table is read anew, because it was made "
                  "with other row id columns or cannot be read; rows deleted meanwhile stay in the gateway",
                  table_.table));
  snapshot_->beginPoll();
  std::vector<std::string> ids;
  snapshot_->visitUnmarked([&](std::string_view id, std::string_view) { ids.emplace_back(id); });
  for (const std::string& id : ids) snapshot_->erase(id);
  snapshot_->commit();
  snapshot_->beginPoll();
}

std::size_t DiffPoller::layoutOf(const RowShape& shape) {
  const std::size_t known = layouts_.size();
  const std::size_t layout = layouts_.number(shape.dataNames());
  if (layout < known || known == 0) return layout;
  std::vector<std::string> gone;
  for (const std::string& name : layouts_.at(known - 1)->names()) {
    if (!layouts_.at(layout)->find(name)) gone.push_back(name);
  }
  if (!gone.empty()) {
    context_.warn(fmt::format("table \"{}\": the result no longer has \"{}\"; the values last read stay in the gateway",
                              table_.table, fmt::join(gone, "\", \"")));
  }
  return layout;
}

bool DiffPoller::read(PollRun& run, TableReport& report, Found& found) {
  constexpr std::uint64_t kStopEvery = 1'024;
  Query query;
  query.sql = sql_;
  query.wholeResult = true;
  GuardedRows rows = run.ask(std::move(query));
  RowShape shape(rows.columns(), table_.rowIdColumns);
  const std::size_t layout = layoutOf(shape);
  std::vector<Value> row;
  std::string id, packed, before;
  while (rows.next(row)) {
    if (++found.rows % kStopEvery == 0 && run.endsHere()) return false;
    if (strategy_.maxRows != 0 && found.rows > strategy_.maxRows) {
      throw Error(ErrorCode::diffRefused, Retry::afterOperator,
                  fmt::format("the result has more than maxRows = {} rows: raise it, narrow the query, or use a cursor",
                              strategy_.maxRows));
    }
    shape.rowId(row, id);
    packed.clear();
    putVarint(layout, packed);
    for (const std::size_t at : shape.data()) packValue(row[at], packed);
    ++report.rowsRead;
    for (const Value& v : row) report.bytesRead += valueBytes(v);
    switch (snapshot_->mark(id, packed, before)) {
      case TableSnapshot::Found::same:
        ++found.known;
        ++report.suppressed;
        break;
      case TableSnapshot::Found::missing:
        found.changes.add({DeltaOp::insert, id, packed, {}});
        break;
      case TableSnapshot::Found::differs:
        ++found.known;
        if (before == kInDoubt)
          found.changes.add({DeltaOp::insert, id, packed, kInDoubt});  // whole: the gateway knows what of it is new
        else
          found.changes.add({DeltaOp::update, id, packed, before});
        break;
      case TableSnapshot::Found::repeated:
        throw Error(
            ErrorCode::rowIdInvalid, Retry::afterOperator,
            fmt::format("row id \"{}\" of column \"{}\" appears twice in the result: every row needs an id of its "
                        "own; name more row id columns or mend the query. Nothing was changed",
                        id, fmt::join(table_.rowIdColumns, "\", \"")));
    }
  }
  return true;
}

void DiffPoller::checkDeletes(const Found& found) const {
  const std::size_t held = snapshot_->rows() - (savedLayouts_.empty() ? 0 : 1);
  const std::size_t gone = held > found.known ? held - static_cast<std::size_t>(found.known) : 0;
  if (held <= strategy_.minRowsForFraction) return;
  if (static_cast<double>(gone) <= strategy_.maxDeleteFraction * static_cast<double>(held)) return;
  throw Error(
      ErrorCode::diffRefused, Retry::afterOperator,
      fmt::format("{} of {} rows are gone from the result, more than maxDeleteFraction = {}: nothing was changed. If "
                  "the query is right and they were deleted, raise maxDeleteFraction (1.0 allows all) until one "
                  "poll has passed",
                  gone, held, strategy_.maxDeleteFraction));
}

void DiffPoller::collectErases(Found& found) {
  snapshot_->visitUnmarked([&](std::string_view id, std::string_view packed) {
    const std::string_view before = context_.images ? packed : std::string_view();
    if (id != RowLayouts::kRowId) found.changes.add({DeltaOp::erase, id, {}, before});
  });
}

bool DiffPoller::fill(PackedReader& in, DiffChunk& chunk, TableReport& report) const {
  const std::string clientId = context_.clientId();
  chunk.push.clientId = clientId;
  chunk.push.deltas.clear();
  chunk.changes.clear();
  while (!in.done() && chunk.push.deltas.size() < context_.config.pushDeltas) {
    const DiffChange change = DiffChanges::read(in);
    const DeltaContext about{.table = table_.table,
                             .rowId = change.rowId,
                             .clientId = clientId,
                             .hlc = {},
                             .schema = nullptr,
                             .computeId = false};
    std::optional<Row> before, after;
    if (change.op == DeltaOp::update) before = layouts_.unpack(change.before);
    if (change.op == DeltaOp::erase) before.emplace();
    if (change.op != DeltaOp::erase) after = layouts_.unpack(change.after);
    auto delta = extractDelta(before ? &*before : nullptr, after ? &*after : nullptr, about);
    // Only the form differs (1.50 for 1.5, other column list): the picture takes it in, and no reader hears of it.
    if (delta) {
      chunk.push.deltas.push_back(std::move(*delta));
      if (context_.images) showImage(change, std::move(before), std::move(after));
    } else {
      ++report.suppressed;
    }
    chunk.changes.push_back(change);
  }
  return !chunk.changes.empty();
}

void DiffPoller::showImage(const DiffChange& change, std::optional<Row> before, std::optional<Row> after) const {
  const bool doubt = change.before == kInDoubt;
  if (change.op == DeltaOp::erase) {
    before.reset();
    if (!doubt && !change.before.empty()) before = layouts_.unpack(change.before);
  }
  context_.images({std::move(before), std::move(after), doubt});
}

void DiffPoller::doubt(const DiffChunk& chunk) {
  for (const DiffChange& change : chunk.changes) snapshot_->put(change.rowId, kInDoubt);
  snapshot_->commit();
}

/// Between the gateway's acceptance and the snapshot's commit a row may change back: compared with the old picture it
/// would seem untouched, and the gateway would keep what was pushed for ever. So what is pushed is in doubt until the
/// picture has taken it in, across a crash as well.
void DiffPoller::pushInDoubt(DiffChunk& chunk, TableReport& report) {
  if (chunk.push.deltas.empty()) return;
  if (snapshot_->outlivesProcess()) {
    doubt(chunk);
    pushAccepted(context_, chunk.push, report);
    return;
  }
  try {
    pushAccepted(context_, chunk.push, report);
  } catch (const Error& error) {
    if (error.retry() == Retry::outcomeUnknown) doubt(chunk);
    throw;
  } catch (...) {
    doubt(chunk);
    throw;
  }
}

void DiffPoller::take(DiffChunk& chunk, TableReport& report) {
  pushInDoubt(chunk, report);
  std::string layouts = layouts_.encode();
  if (layouts != savedLayouts_) snapshot_->put(RowLayouts::kRowId, layouts);
  for (const DiffChange& change : chunk.changes) {
    if (change.op == DeltaOp::erase)
      snapshot_->erase(change.rowId);
    else
      snapshot_->put(change.rowId, change.after);
  }
  snapshot_->commit();
  savedLayouts_ = std::move(layouts);
}

void DiffPoller::pushAll(PollRun& run, TableReport& report, DiffChanges& changes) {
  DiffChunk chunk;
  for (bool first = true; !changes.empty(); changes.popFront()) {
    PackedReader in = changes.front();
    while (fill(in, chunk, report)) {
      if (!first && run.endsHere()) return;
      first = false;
      take(chunk, report);
      context_.progress(report);
    }
  }
}

void DiffPoller::warnIfLarge() {
  if (warned_ || snapshot_->rows() <= strategy_.warnRows) return;
  warned_ = true;
  context_.warn(
      fmt::format("table \"{}\": the diff snapshot holds {} rows, over warnRows = {}; a cursor would read less",
                  table_.table, snapshot_->rows(), strategy_.warnRows));
}

std::unique_ptr<TablePoller> makeDiffPoller(const PollContext& context, const IngestTableConfig& table) {
  return std::make_unique<DiffPoller>(context, table);
}

}  // namespace tidegate::detail
