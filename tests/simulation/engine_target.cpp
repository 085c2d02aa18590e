#include "simulation/engine_target.h"

#include <algorithm>

#include "simulation/engine_rows.h"

namespace tidegate::sim {
namespace {

std::string targetKey(const TableShape& shape, const std::vector<Value>& image) { return keyText(shape, image); }

bool holds(const std::vector<std::uint32_t>& columns, std::size_t column) {
  return std::find(columns.begin(), columns.end(), static_cast<std::uint32_t>(column)) != columns.end();
}

/// Gives every row exactly these columns.
void setColumns(TargetTable& table, const std::vector<std::string>& columns) {
  for (auto& [key, row] : table.rows) {
    SimRow fitted;
    for (const std::string& column : columns) {
      const auto old = row.find(column);
      fitted[column] = old == row.end() ? Value(Null{}) : old->second;
    }
    row = std::move(fitted);
  }
  table.columns = columns;
}

}  // namespace

std::optional<LogPlace> EngineTarget::baselineOf(const std::string& target) const {
  const auto at = tables_.find(target);
  return at == tables_.end() ? std::nullopt : at->second.baseline;
}

std::uint64_t EngineTarget::baselineNumber(const std::string& target) const {
  const auto at = tables_.find(target);
  return at == tables_.end() ? 0 : at->second.baselineNumber;
}

void EngineTarget::processGone() {
  held_.reset();
  if (pipeline_.traits.keepsCheckpoints) return;
  tables_.clear();
  changes_.clear();
  places_.clear();
  verified = {};
}

std::string EngineTarget::tamper(SimRandom& random) {
  auto& [name, table] = *std::next(tables_.begin(), static_cast<std::ptrdiff_t>(random.below(tables_.size())));
  if (table.rows.empty()) return {};
  const auto at = std::next(table.rows.begin(), static_cast<std::ptrdiff_t>(random.below(table.rows.size())));
  if (random.chance(40)) {
    const std::string key = at->first;
    table.rows.erase(at);
    return name + " loses " + key;
  }
  if (random.chance(50)) {
    at->second["region"] = "tampered";
    return name + " has another region in " + at->first;
  }
  SimRow stray = at->second;
  const auto id = 1'000 + static_cast<std::int64_t>(random.below(1'000));
  stray["id"] = id;
  const auto sub = stray.find("sub");
  const std::string key = (sub == stray.end() ? "" : describe(sub->second) + "|") + describe(Value(id));
  table.rows[key] = std::move(stray);
  return name + " gets a stray " + key;
}

EngineSink::EngineSink(EngineTarget& target, std::shared_ptr<EngineProcess> process, CommitCheck onCommit,
                       std::function<bool(const LogPlace&)> wasUpdate)
    : target_(target),
      process_(std::move(process)),
      world_(process_->world()),
      onCommit_(std::move(onCommit)),
      wasUpdate_(std::move(wasUpdate)) {}

void EngineSink::fail(std::string_view check, const std::string& detail) {
  process_->fail(check, target_.pipeline_.name + ": " + detail);
}

void EngineSink::refuse(ErrorCode code, Retry retry, const std::string& why) {
  broken_ = true;
  world_.trace.line(target_.pipeline_.name, "refuses: {}", why);
  throw Error(code, retry, why);
}

void EngineSink::dawdle() {
  if (!world_.faults || !world_.plan.slowSinks || !world_.random.chance(10)) return;
  world_.clock.advance(std::chrono::milliseconds(world_.random.between(1, 800)));
  world_.tick();
}

/// Failures of the sink as a whole. Where changes may be blamed one by one, only lost connections are that.
void EngineSink::maybeRefuse(const char* call) {
  const bool blames = target_.pipeline_.failure == FailurePolicy::deadLetter;
  const bool full = world_.clock.steadyNow() < target_.fullUntil_;
  if (full) refuse(blames ? ErrorCode::connectionFailed : ErrorCode::queryFailed, Retry::later, "the disk is full");
  if (!world_.faults || !world_.plan.sinkFaults || !world_.random.permille(20)) return;
  if (blames || world_.random.chance(60))
    refuse(ErrorCode::connectionFailed, Retry::later, fmt::format("{} fails", call));
  if (world_.random.chance(70)) refuse(ErrorCode::queryFailed, Retry::later, fmt::format("{} is aborted", call));
  refuse(ErrorCode::permissionDenied, Retry::afterOperator, fmt::format("{} is not permitted", call));
}

std::optional<std::string> EngineSink::open(const SinkContext& context) {
  process_->enter(target_.pipeline_.name, "open");
  if (context.pipeline != target_.pipeline_.name) fail("a sink is opened for its pipeline", context.pipeline);
  open_ = broken_ = false;
  pending_.clear();
  maybeRefuse("open");
  if (target_.held_) target_.held_.reset();
  writer_ = target_.opened_ = ++target_.writer_;
  working_ = target_.tables_;
  prepared_.clear();
  durablyPrepared_.clear();
  open_ = true;
  world_.trace.line(target_.pipeline_.name, "opens");
  process_->leave(target_.pipeline_.name, "open");
  return target_.pipeline_.traits.keepsCheckpoints ? target_.checkpoint_ : std::nullopt;
}

void EngineSink::requireOpen(const char* call) {
  if (!open_) fail("a sink is used only while it is open", call);
  if (broken_) fail("after a failure a sink is rolled back or opened anew", call);
}

void EngineSink::prepareTable(const Shape& shape) {
  process_->enter(target_.pipeline_.name, "prepareTable");
  requireOpen("prepareTable");
  maybeRefuse("prepareTable");
  TargetTable& table = working_[shape->schema.table];
  if (table.columns != shape->columns->names()) setColumns(table, shape->columns->names());
  prepared_[shape->schema.table] = shape->columns->names();
  process_->leave(target_.pipeline_.name, "prepareTable");
}

void EngineSink::apply(const ChangeBatch& batch) {
  process_->enter(target_.pipeline_.name, "apply");
  requireOpen("apply");
  dawdle();
  if (std::exchange(target_.skipNext_, false)) return;
  if (world_.aside && world_.mutation == EngineMutation::loseRepairs) return;
  const bool mayFail = world_.faults && world_.plan.partialBatches && world_.random.permille(15);
  const std::size_t upTo = mayFail ? static_cast<std::size_t>(world_.random.below(batch.size() + 1)) : batch.size();
  for (std::size_t i = 0; i < upTo; ++i) applyOne(batch[i]);
  if (mayFail) {
    target_.skipNext_ = world_.mutation == EngineMutation::dropFailedBatch;
    refuse(ErrorCode::connectionFailed, Retry::later,
           fmt::format("the connection breaks after {} of {} changes", upTo, batch.size()));
  }
  maybeRefuse("apply");
  process_->leave(target_.pipeline_.name, "apply");
}

void EngineSink::applyOne(const ChangeEvent& event) {
  const std::string& name = event.shape->schema.table;
  if (event.op == ChangeOp::progress) fail("progress never comes to a sink", event.position.octets);
  if (event.op == ChangeOp::schemaChange) prepared_[name] = event.shape->columns->names();
  const auto prepared = prepared_.find(name);
  if (prepared == prepared_.end()) fail("a table is prepared before it is changed", name);
  if (prepared->second != event.shape->columns->names()) fail("a table is prepared for the shape of its rows", name);
  TargetTable& table = working_[name];
  switch (event.op) {
    case ChangeOp::schemaChange:
      return follow(table, event);
    case ChangeOp::truncate:
      count(event);
      table.rows.clear();
      table.named.clear();
      return;
    case ChangeOp::baselineBegin:
      table.baselining = true;
      table.whole = false;
      table.named.clear();
      return;
    case ChangeOp::baselineEnd:
      if (!table.baselining) fail("a baseline begins before it ends", name);
      std::erase_if(table.rows, [&](const auto& row) { return !table.named.contains(row.first); });
      table.named.clear();
      table.baselining = false;
      table.whole = true;
      table.baseline = placeFromText(event.position.octets);
      table.baselineNumber = ++target_.baselines_;
      return;
    default:
      return applyRow(table, event);
  }
}

void EngineSink::follow(TargetTable& table, const ChangeEvent& event) {
  for (const auto& [from, to] : event.schemaChange->renamed) {
    for (auto& [key, row] : table.rows) {
      const auto old = row.find(from);
      if (old == row.end()) fail("a column that is renamed is there", from);
      Value value = old->second;
      row.erase(old);
      row[to] = std::move(value);
    }
  }
  setColumns(table, event.shape->columns->names());
  if (event.schemaChange->rowsChanged) table.whole = false;
}

void EngineSink::count(const ChangeEvent& event) {
  const AppliedChange change{placeFromText(event.position.octets), event.op};
  const bool twice =
      target_.changes_.contains(change) || std::find(pending_.begin(), pending_.end(), change) != pending_.end();
  if (twice && target_.exact()) {
    fail("each change is applied once", fmt::format("{} at {} comes twice", toString(event.op), event.position.octets));
  }
  pending_.push_back(change);
}

/// Whether the change meets the row that it was made on, which shows that none before it is missing.
void EngineSink::checkBefore(const TargetTable& table, const ChangeEvent& event, const SimRow* held) {
  const PipelinePlan& plan = target_.pipeline_;
  if (!target_.exact() || !table.whole || plan.failure == FailurePolicy::deadLetter ||
      plan.overflow == OverflowPolicy::dropOldest)
    return;
  const auto tell = [&](const std::string& what) {
    fail("a change meets the row that it was made on",
         fmt::format("{} at {} of {}: {}", toString(event.op), event.position.octets, event.shape->schema.table, what));
  };
  if (event.op == ChangeOp::insert) {
    if (held != nullptr && !target_.source().keyImages) tell("the row is there already");
    return;
  }
  if (target_.source().keyImages) return;
  if (held == nullptr) return tell("the row is not there");
  for (std::size_t i = 0; i < event.before.size(); ++i) {
    if (holds(event.beforeAbsent, i)) continue;
    const Value& has = held->at((*event.shape->columns)[i]);
    if (!(has == event.before[i])) {
      tell(fmt::format("{} is {}, not {}", (*event.shape->columns)[i], describe(has), describe(event.before[i])));
    }
  }
}

void EngineSink::applyRow(TargetTable& table, const ChangeEvent& event) {
  const TableShape& shape = *event.shape;
  const bool erases = event.op == ChangeOp::erase;
  const std::string key = targetKey(shape, erases ? event.before : event.after);
  const auto note = shape.columns->find("note");
  const bool blames = target_.pipeline_.failure == FailurePolicy::deadLetter;
  if (!world_.aside && !erases && blames && note && event.after[*note] == Value("poison")) {
    refuse(ErrorCode::queryFailed, Retry::never, "poison at " + event.position.octets);
  }
  const auto at = table.rows.find(key);
  const SimRow* held = at == table.rows.end() ? nullptr : &at->second;
  if (event.op != ChangeOp::read && !world_.aside) {
    count(event);
    checkBefore(table, event, held);
  }
  if (erases) {
    if (world_.mutation == EngineMutation::leaveWithoutErase && wasUpdate_(placeFromText(event.position.octets)))
      return;
    table.rows.erase(key);
    table.named.erase(key);
    return;
  }
  if (held == nullptr && !event.unchanged.empty()) return;
  SimRow row;
  for (std::size_t i = 0; i < shape.columns->size(); ++i) {
    const std::string& column = (*shape.columns)[i];
    const bool keep = holds(event.unchanged, i) && world_.mutation != EngineMutation::overwriteUnchanged;
    row[column] = keep ? held->at(column) : event.after[i];
  }
  table.rows[key] = std::move(row);
  if (table.baselining) table.named.insert(key);
}

void EngineSink::commit(std::string_view checkpoint) {
  const std::string& name = target_.pipeline_.name;
  process_->enter(name, "commit");
  requireOpen("commit");
  dawdle();
  if (writer_ != target_.writer_) refuse(ErrorCode::fenced, Retry::afterOperator, "another writer took over");
  maybeRefuse("commit");
  // Where nothing can be asked afterwards, an answer that is lost would be no defined failure.
  const bool asks = target_.pipeline_.traits.keepsCheckpoints;
  const bool unknown = asks && world_.faults && world_.plan.unknownCommits && world_.random.permille(20);
  if (!unknown || world_.random.chance(50)) {
    makeDurable(checkpoint);
    process_->leave(name, "commit");
  }
  if (!unknown) return;
  open_ = false;
  refuse(ErrorCode::connectionFailed, Retry::outcomeUnknown, "the connection is lost while committing");
}

void EngineSink::makeDurable(std::string_view checkpoint) {
  world_.trace.line(target_.pipeline_.name, "commits {} changes: {}", pending_.size(), checkpoint);
  if (world_.mutation == EngineMutation::commitBeforeApply) {
    if (target_.held_) target_.tables_ = std::move(*target_.held_);
    target_.held_ = working_;
  } else {
    target_.tables_ = working_;
  }
  if (world_.mutation != EngineMutation::applyBeforeCommit || !target_.checkpoint_ || world_.random.chance(80)) {
    target_.checkpoint_ = std::string(checkpoint);
  }
  std::set<std::uint64_t> transactions;
  for (const AppliedChange& change : pending_) {
    target_.changes_.insert(change);
    target_.places_.insert(change.place);
    transactions.insert(change.place.transaction);
  }
  pending_.clear();
  durablyPrepared_ = prepared_;
  onCommit_(*process_, transactions);
}

std::unique_ptr<RowStream> EngineSink::readTable(const Shape& shape, std::stop_token) {
  process_->enter(target_.pipeline_.name, "readTable");
  requireOpen("readTable");
  // Others write to it too, and no unit of work is open.
  working_ = target_.tables_;
  std::vector<std::vector<Value>> rows;
  for (const auto& [key, row] : working_[shape->schema.table].rows) {
    std::vector<Value>& read = rows.emplace_back();
    for (const std::string& column : shape->columns->names()) read.push_back(row.at(column));
  }
  if (world_.mutation == EngineMutation::blindVerify && !rows.empty()) rows.erase(rows.begin());
  return std::make_unique<SimRows>(shape->columns, std::move(rows));
}

void EngineSink::rollback() noexcept {
  if (!process_->enterQuietly(target_.pipeline_.name, "rollback")) return;
  working_ = target_.tables_;
  pending_.clear();
  prepared_ = durablyPrepared_;
  broken_ = false;
}

void EngineSink::close() noexcept {
  if (!process_->enterQuietly(target_.pipeline_.name, "close")) return;
  open_ = broken_ = false;
  pending_.clear();
}

}  // namespace tidegate::sim
