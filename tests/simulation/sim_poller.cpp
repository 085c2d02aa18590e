#include "simulation/sim_poller.h"

#include <algorithm>

namespace tidegate::sim {

namespace {

/// Rows already read, with an error where the line broke.
class BrokenStream final : public RowStream {
 public:
  BrokenStream(Columns columns, std::vector<std::vector<Value>> rows, std::size_t failAt)
      : columns_(std::move(columns)), rows_(std::move(rows)), failAt_(failAt) {}
  const Columns& columns() const override { return columns_; }
  bool next(std::vector<Value>& values) override {
    if (at_ == failAt_) throw Error(ErrorCode::connectionFailed, Retry::later, "simulated: lost half-way");
    if (at_ == rows_.size()) return false;
    values = rows_[at_++];
    return true;
  }

 private:
  Columns columns_;
  std::vector<std::vector<Value>> rows_;
  std::size_t failAt_;
  std::size_t at_ = 0;
};

constexpr std::size_t kNever = SIZE_MAX;

}  // namespace

SimPoller::SimPoller(const Plan& plan, SimRandom random, SimClock& clock, Trace& trace, SimGateway& gateway,
                     SimDatabase& database, std::string name, std::vector<std::size_t> tables, Mutation mutation)
    : plan_(plan),
      random_(random),
      clock_(clock),
      trace_(trace),
      gateway_(gateway),
      database_(database),
      name_(std::move(name)),
      tables_(std::move(tables)),
      mutation_(mutation),
      scheduler_(clock),
      state_(std::make_shared<SimStateStore>(plan, random_.fork(), life_, trace)),
      snapshots_(std::make_shared<SimSnapshotStore>(plan, random_.fork(), life_, trace)),
      maxDeleteFraction_(plan.maxDeleteFraction) {
  start();
}

IngestSourceConfig SimPoller::config() {
  IngestSourceConfig config;
  config.name = name_;
  config.query = QueryFn(
      Dialect::sqlite, [this](const Query& query) { return answer(query); },
      plan_.streamed ? Delivery::streamed : Delivery::buffered);
  config.pushDeltas = plan_.pushDeltas;
  for (const std::size_t index : tables_) {
    const TablePlan& table = plan_.tables[index];
    IngestTableConfig& out = config.tables.emplace_back();
    out.table = table.name;
    out.query = SimDatabase::selectOf(table);
    out.rowIdColumns = table.keys;
    if (table.cursor == CursorForm::none) {
      out.strategy = DiffStrategy{.maxDeleteFraction = maxDeleteFraction_};
    } else {
      out.strategy = CursorStrategy{.cursorColumn = SimDatabase::cursorColumnOf(table),
                                    .lookback = plan_.lookback,
                                    .lookbackRows = plan_.lookbackRows,
                                    .pageRows = table.pageRows};
    }
  }
  return config;
}

void SimPoller::start() {
  if (life_.dead && plan_.amnesia && random_.chance(50)) {
    trace_.line(name_, "has lost its state");
    state_->forgetAll();
    snapshots_->forgetAll();
  }
  life_.dead = false;
  SourcePollerOptions options;
  options.state = state_;
  if (!plan_.packedSnapshots) options.snapshots = snapshots_;
  options.observer = std::make_shared<PollObserver>();
  options.clock = &clock_;
  options.scheduler = &scheduler_;
  options.jitterSeed = random_.next() | 1;
  options.push = [this](const SyncPush& p, PushContext c) { return push(p, c); };
  node_ = gateway_.pick(random_);
  poller_ = std::make_unique<SourcePoller>(config(), gateway_.gateway(node_), std::move(options));
  trace_.line(name_, "starts");
}

/// The source goes on while it is polled: rows commit between two pages, and while a stream is read. Bounded, since
/// what a poll cannot see for longer than the look-back it may miss (docs/decisions/0005).
void SimPoller::betweenQueries() {
  if (!life_.faultsOn || hooksLeft_ == 0 || !random_.chance(40)) return;
  --hooksLeft_;
  clock_.advance(std::chrono::milliseconds(random_.between(0, 40)));
  database_.step();
}

ResultSet SimPoller::answer(const Query& query) {
  if (life_.dead) throw Error(ErrorCode::connectionFailed, Retry::later, "simulated: this process is dead");
  betweenQueries();
  const auto dice = life_.faultsOn && plan_.queryFaults ? random_.below(100) : 99;
  if (dice < 4) {
    trace_.line(name_, "query fails at its start");
    throw Error(ErrorCode::connectionFailed, Retry::later, "simulated: no connection");
  }
  Columns columns;
  std::vector<std::vector<Value>> rows;
  database_.answer(query, columns, rows);
  if (mutation_ == Mutation::hideRow) hide(columns, rows);
  std::size_t failAt = kNever;
  if (dice < 10) {
    failAt = static_cast<std::size_t>(random_.below(rows.size() + 1));
    trace_.line(name_, "query fails after {} of {} rows", failAt, rows.size());
  }
  if (query.wholeResult && plan_.emptyResults && life_.faultsOn && random_.chance(6)) {
    trace_.line(name_, "query answers with no rows at all");
    rows.clear();
  }
  return ResultSet(std::make_unique<BrokenStream>(std::move(columns), std::move(rows), failAt));
}

void SimPoller::hide(const Columns& columns, std::vector<std::vector<Value>>& rows) {
  std::string names;
  for (const std::string& name : columns->names()) names += name + ",";
  if (hidden_.empty() && !rows.empty() && columns->size() > 2) {
    hiddenColumns_ = names;
    hidden_ = {rows.back()[0], rows.back()[1]};
  }
  if (names != hiddenColumns_) return;
  const bool composite = columns->names()[1] != "owner";
  std::erase_if(rows, [&](const std::vector<Value>& row) {
    return row[0] == hidden_[0] && (!composite || row[1] == hidden_[1]);
  });
}

void SimPoller::mutate(SyncPush& push) {
  if (mutated_ || push.deltas.empty() || !random_.chance(30)) return;
  const auto index = static_cast<std::size_t>(random_.below(push.deltas.size()));
  if (mutation_ == Mutation::dropDelta) {
    push.deltas.erase(push.deltas.begin() + static_cast<std::ptrdiff_t>(index));
    mutated_ = true;
  }
  if (mutation_ == Mutation::corruptValue && !push.deltas[index].columns.empty()) {
    push.deltas[index].columns[0].value = Value("corrupt");
    mutated_ = true;
  }
}

PushResult SimPoller::push(const SyncPush& original, PushContext context) {
  if (life_.dead) throw Error(ErrorCode::connectionFailed, Retry::later, "simulated: this process is dead");
  if (plan_.streamed) betweenQueries();
  SyncPush push = original;
  if (mutation_ != Mutation::none) mutate(push);
  const auto dice = life_.faultsOn && plan_.pushFaults ? random_.below(100) : 99;
  if (dice < 3) {
    PushResult full;
    full.status = PushStatus::backPressure;
    full.message = "simulated: the buffer is full; push again later";
    trace_.line(name_, "push meets back-pressure");
    return full;
  }
  if (dice < 6) {
    trace_.line(name_, "push does not reach the gateway");
    throw Error(ErrorCode::connectionFailed, Retry::later, "simulated: gateway out of reach");
  }
  PushResult result = gateway_.push(push, context, false, node_);
  if (dice < 10) {
    trace_.line(name_, "push arrives twice");
    result = gateway_.push(push, context, false, node_);
  }
  if (dice >= 10 && dice < 14) {
    trace_.line(name_, "push arrives, its answer does not");
    throw Error(ErrorCode::connectionFailed, Retry::outcomeUnknown, "simulated: no answer");
  }
  result.verdicts.resize(original.deltas.size());  // under a mutation the poller must not notice
  return result;
}

PollReport SimPoller::pollOnce() {
  hooksLeft_ = 8;
  ++polls_;
  PollReport report = poller_->pollOnce();
  for (const TableReport& table : report.tables) {
    trace_.line(name_, "polled {}: {} rows, {} suppressed, {}+{}-{} deltas, {} applied{}{}", table.table,
                table.rowsRead, table.suppressed, table.inserts, table.updates, table.erases, table.applied,
                table.error ? ", " : "", table.error ? table.error->what() : "");
    if (table.error) gateway_.noteError(node_, *table.error);
  }
  trace_.rethrow();
  return report;
}

void SimPoller::poll() { pollOnce(); }

void SimPoller::settle() {
  std::string last;
  int quiet = 0;
  for (int i = 0; i < 40; ++i) {
    const PollReport report = pollOnce();
    std::uint64_t deltas = 0;
    bool refused = false;
    for (const TableReport& table : report.tables) {
      deltas += table.inserts + table.updates + table.erases;
      if (!table.error) continue;
      last = table.error->what();
      refused = refused || table.error->code() == ErrorCode::diffRefused;
    }
    quiet = report.ok() && deltas == 0 ? quiet + 1 : 0;
    if (quiet == 2) return;
    if (refused && maxDeleteFraction_ < 1.0) {  // as an operator would, having looked at the table
      maxDeleteFraction_ = 1.0;
      stop();
      start();
    }
    clock_.advance(std::chrono::seconds(1));
  }
  trace_.fail("a poller comes to rest", name_ + ": " + last);
}

}  // namespace tidegate::sim
