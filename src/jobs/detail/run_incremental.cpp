#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <limits>

#include "jobs/detail/run_writer.h"
#include "source/detail/poll_context.h"
#include "source/detail/poll_state.h"
#include "tidegate/core/error.h"
#include "tidegate/core/hlc.h"

namespace tidegate::detail {
namespace incremental {

/// A sink's checkpoint is at most 1 MiB of text. Fingerprints over this are left out, and the next run writes the
/// window's rows again.
constexpr std::size_t kMostStateBytes = 700u << 10;

std::string cursorText(const Value& v) {
  constexpr std::size_t kMost = 200;
  if (const auto* text = v.getIf<std::string>()) return text->substr(0, kMost);
  if (const auto* moment = v.getIf<Timestamp>()) return toIso(*moment);
  return describe(v, kMost);
}

/// The poller's state, kept in the replica's checkpoint: to save it is to commit what was pushed.
class CheckpointState final : public StateStore {
 public:
  CheckpointState(RunWriter& writer, std::uint64_t config, std::vector<std::string> columns)
      : writer_(writer), config_(config), columns_(std::move(columns)) {}

  std::optional<std::string> get(std::string_view) override {
    const JobCheckpoint& saved = writer_.checkpoint();
    if (saved.state.empty()) return std::nullopt;
    if (saved.config == config_ && saved.columns == columns_) return saved.state;
    // Other columns are read now. The place stays the same; what rows looked like does not.
    const DecodedState state = decodeState(saved.state, saved.config);
    if (!state.problem.empty()) return std::nullopt;
    return encodeState(state.state, config_, false);
  }
  void put(std::string_view, std::string_view octets) override {
    std::string state(octets);
    if (state.size() > kMostStateBytes) {
      const DecodedState read = decodeState(octets, config_);
      if (read.problem.empty()) state = encodeState(read.state, config_, false);
    }
    writer_.commit({.config = config_, .state = std::move(state), .columns = columns_});
  }
  /// Where a run would start to read now.
  std::optional<Value> from() const {
    return decodeState(writer_.checkpoint().state, writer_.checkpoint().config).state.from;
  }
  void remove(std::string_view) override {}

  std::optional<std::string> cursor() const {
    const DecodedState state = decodeState(writer_.checkpoint().state, writer_.checkpoint().config);
    if (!state.problem.empty() || !state.state.newest) return std::nullopt;
    return cursorText(*state.state.newest);
  }

 private:
  RunWriter& writer_;
  const std::uint64_t config_;
  const std::vector<std::string> columns_;
};

IngestSourceConfig pollOf(const ReplicationJob& job, const JobPlan& plan, const QueryFn& query) {
  IngestTableConfig table{.table = job.targetTable(), .query = plan.keySelect, .rowIdColumns = plan.keyAliases};
  CursorStrategy strategy{.cursorColumn = job.trackingColumn,
                          .lookback = job.lookback,
                          .lookbackRows = job.lookbackRows,
                          .commitHorizon = job.commitHorizon,
                          .pageRows = job.batchSize};
  table.strategy = strategy;
  return {.name = job.name, .query = query, .tables = {table}, .pushDeltas = job.batchSize};
}

/// Columns that rows read before do not have.
void warnOfNewColumns(const JobCheckpoint& saved, const std::vector<std::string>& columns, RunResult& result) {
  if (saved.state.empty()) return;
  std::vector<std::string> fresh;
  for (const std::string& name : columns) {
    if (std::find(saved.columns.begin(), saved.columns.end(), name) == saved.columns.end()) fresh.push_back(name);
  }
  if (fresh.empty()) return;
  result.warnings.push_back(
      fmt::format("new in the replica: {}; rows that were read before hold null there until they change: reset the job "
                  "to read them again",
                  fmt::join(fresh, ", ")));
}

}  // namespace incremental

void runIncremental(const RunContext& context, const JobPlan& plan, const QueryFn& query, RunWriter& writer,
                    RunResult& result) {
  using namespace incremental;
  const IngestSourceConfig config = pollOf(context.job, plan, query);
  const std::vector<std::string>& columns = plan.shape->columns->names();
  warnOfNewColumns(writer.checkpoint(), columns, result);
  CheckpointState state(writer, configHash(config.tables.front()), columns);
  std::atomic<bool> capped{false};
  const std::optional<Value> began = state.from();
  // A run may end early only where the next one starts later. Else a million rows of one moment would be begun again
  // for ever.
  const auto mayEnd = [&] { return !(state.from() == began); };
  const PushFunction push = [&](const SyncPush& pushed, PushContext) {
    for (const RowDelta& delta : pushed.deltas) {
      std::vector<Value>& row = writer.row();
      for (std::size_t i = 0; i < row.size(); ++i) row[i] = delta.columns[i].value;
    }
    writer.flush();
    if (++result.pages >= context.job.pageCap && mayEnd()) capped = true;
    PushResult taken;
    taken.applied = pushed.deltas.size();
    return taken;
  };
  HlcClock stamps(context.clock);
  const auto snapshots = memorySnapshotStore();
  const PollContext polls{
      .config = config,
      .clock = context.clock,
      .stamps = stamps,
      .push = push,
      .state = state,
      .snapshots = *snapshots,
      .warn = [&](const std::string& message) { result.warnings.push_back(message); },
      .progress = [&](const TableReport& soFar) { result.rowsRead = soFar.rowsRead; },
  };
  PollGuard guard;
  PollRun run(config, {guard, context.stop, capped});
  TableReport report;
  makeCursorPoller(polls, config.tables.front())->poll(run, report);
  result.rowsRead = report.rowsRead;
  result.more = capped.load();
  if (writer.pending()) {
    JobCheckpoint same = writer.checkpoint();
    same.config = configHash(config.tables.front());
    same.columns = columns;
    if (const auto saved = state.get("")) same.state = *saved;
    writer.commit(std::move(same));
  }
  result.cursor = state.cursor();
}

}  // namespace tidegate::detail
