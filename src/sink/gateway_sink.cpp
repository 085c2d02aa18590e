#include "tidegate/sink/gateway_sink.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "sink/detail/gateway_sink_state.h"
#include "source/detail/row_shape.h"

namespace tidegate {

namespace {

/// Something between pushes, for which the gateway must have all that came before.
struct Step {
  ChangeOp op = ChangeOp::progress;  ///< truncate, baselineEnd, schemaChange, or progress for an expiry
  Shape shape{};
  std::shared_ptr<const SchemaChange> change{};
  std::string column{};
  Value cutoff{};
  std::optional<std::unordered_set<std::string>> named{};  ///< by the baseline that ends
};

/// Deltas in slots that are filled again and again, then a step.
struct Stretch {
  std::vector<RowDelta> deltas{};
  std::size_t count = 0;
  bool partial = false;  ///< whether one must not make its row
  Step step{};
};

/// Hands out rows that were read already.
class ReadRows final : public RowStream {
 public:
  ReadRows(Columns columns, std::vector<std::vector<Value>> rows)
      : columns_(std::move(columns)), rows_(std::move(rows)) {}
  const Columns& columns() const override { return columns_; }
  bool next(std::vector<Value>& values) override {
    if (at_ == rows_.size()) return false;
    values.swap(rows_[at_++]);
    return true;
  }

 private:
  const Columns columns_;
  std::vector<std::vector<Value>> rows_;
  std::size_t at_ = 0;
};

}  // namespace

struct GatewaySink::Impl {
  Impl(Gateway& g, GatewaySinkOptions o) : gateway(g), options(std::move(o)) {
    if (!options.state) options.state = std::make_shared<MemoryStateStore>();
  }

  Impl& opened();
  RowDelta& add(const ChangeEvent& event, DeltaOp op, const std::vector<Value>& row);
  void fill(RowDelta& delta, const ChangeEvent& event) const;
  void name(const ChangeEvent& event, const std::string& rowId);
  void applyOne(const ChangeEvent& event);
  void endStretch(Step step);
  void send(Stretch& stretch);
  void dropDeadPartials(Stretch& stretch);
  void run(const Step& step);
  void erase(const std::string& table, const std::vector<std::string>& rowIds);
  void rename(const Step& step);
  std::vector<std::string> expired(const Step& step) const;
  void push(std::vector<RowDelta>& deltas, std::size_t count);
  void clear() noexcept;
  std::vector<std::string> owned(const std::string& table) const { return gateway.ingestedRows(table, sender); }

  Gateway& gateway;
  GatewaySinkOptions options;
  std::string sender{};
  std::optional<detail::GatewaySinkState> state{};  ///< nullopt: not open
  bool stateIsOld = false;                          ///< what was named is of a unit that is undone
  std::vector<Stretch> stretches{1};
  std::size_t open = 0;  ///< the stretch that is filled
  SyncPush sending{};
  std::vector<const Value*> key{};
};

GatewaySink::Impl& GatewaySink::Impl::opened() {
  if (!state) throw Error(ErrorCode::connectionFailed, Retry::later, "gateway sink: not open; call open first");
  if (std::exchange(stateIsOld, false)) state->reload();
  return *this;
}

RowDelta& GatewaySink::Impl::add(const ChangeEvent& event, DeltaOp op, const std::vector<Value>& row) {
  const TableShape& shape = *event.shape;
  if (row.size() != shape.columns->size()) {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                "gateway table \"" + shape.schema.table + "\": a row has another number of values than columns");
  }
  Stretch& stretch = stretches[open];
  if (stretch.count == stretch.deltas.size()) stretch.deltas.emplace_back();
  RowDelta& delta = stretch.deltas[stretch.count];
  delta.op = op;
  delta.table = shape.schema.table;
  delta.clientId = sender;
  key.clear();
  for (const std::uint32_t i : shape.key) key.push_back(&row[i]);
  delta.rowId.clear();
  detail::appendRowId(key, shape.schema.primaryKey, delta.rowId);
  delta.deltaId = {};
  ++stretch.count;
  return delta;
}

void GatewaySink::Impl::fill(RowDelta& delta, const ChangeEvent& event) const {
  const TableShape& shape = *event.shape;
  std::size_t used = 0;
  auto unchanged = event.unchanged.begin();
  for (std::uint32_t i = 0; i < event.after.size(); ++i) {
    if (unchanged != event.unchanged.end() && *unchanged == i) {
      ++unchanged;
      continue;
    }
    if (!options.keyColumns && std::find(shape.key.begin(), shape.key.end(), i) != shape.key.end()) continue;
    if (used == delta.columns.size()) delta.columns.emplace_back();
    ColumnValue& column = delta.columns[used++];
    if (column.column != (*shape.columns)[i]) column.column = (*shape.columns)[i];
    column.value = event.after[i];
  }
  delta.columns.resize(used);
}

void GatewaySink::Impl::name(const ChangeEvent& event, const std::string& rowId) {
  if (state->baselines.empty()) return;
  const auto baseline = state->baselines.find(event.shape->schema.table);
  if (baseline != state->baselines.end()) baseline->second.name(rowId);
}

void GatewaySink::Impl::endStretch(Step step) {
  stretches[open].step = std::move(step);
  if (++open == stretches.size()) stretches.emplace_back();
}

void GatewaySink::Impl::applyOne(const ChangeEvent& event) {
  switch (event.op) {
    case ChangeOp::insert:
    case ChangeOp::read:
    case ChangeOp::update: {
      // A whole row is an insert, which the gateway takes for an update where the row is there.
      const bool partial = event.op == ChangeOp::update && !event.unchanged.empty();
      RowDelta& delta = add(event, partial ? DeltaOp::update : DeltaOp::insert, event.after);
      fill(delta, event);
      stretches[open].partial |= partial;
      return name(event, delta.rowId);
    }
    case ChangeOp::erase:
      add(event, DeltaOp::erase, event.before).columns.clear();
      return;
    case ChangeOp::progress:
      return;
    case ChangeOp::baselineBegin:
      state->baselines[event.shape->schema.table] = {};
      return;
    case ChangeOp::baselineEnd: {
      Step step{.op = event.op, .shape = event.shape};
      const auto baseline = state->baselines.find(event.shape->schema.table);
      if (baseline == state->baselines.end()) return;
      step.named = std::move(baseline->second.ids);
      state->baselines.erase(baseline);
      return endStretch(std::move(step));
    }
    case ChangeOp::truncate:
      if (const auto baseline = state->baselines.find(event.shape->schema.table); baseline != state->baselines.end()) {
        baseline->second = {};
      }
      return endStretch({.op = event.op, .shape = event.shape});
    case ChangeOp::schemaChange:
      return endStretch({.op = event.op, .shape = event.shape, .change = event.schemaChange});
  }
}

/// An update that leaves columns out must not make a row.
void GatewaySink::Impl::dropDeadPartials(Stretch& stretch) {
  std::unordered_map<std::string, bool> alive;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < stretch.count; ++i) {
    RowDelta& delta = stretch.deltas[i];
    const auto id = delta.table + '\0' + delta.rowId;
    if (delta.op == DeltaOp::update) {
      const auto known = alive.find(id);
      if (known != alive.end() ? !known->second : !gateway.row(delta.table, delta.rowId)) continue;
    } else {
      alive[id] = delta.op == DeltaOp::insert;
    }
    if (kept != i) std::swap(stretch.deltas[kept], delta);
    ++kept;
  }
  stretch.count = kept;
}

void GatewaySink::Impl::push(std::vector<RowDelta>& deltas, std::size_t count) {
  for (std::size_t at = 0; at < count;) {
    const std::size_t size = std::min(options.pushDeltas, count - at);
    sending.clientId = sender;
    sending.deltas.resize(size);
    // Swapped, not copied, and swapped back: the slots' memory serves the next unit.
    std::swap_ranges(sending.deltas.begin(), sending.deltas.end(), deltas.begin() + static_cast<std::ptrdiff_t>(at));
    // Stamped here, so that stamps are in the order of pushes: a truncate's erases come between earlier and later rows.
    Hlc stamp = gateway.clock().reserve(size);
    for (RowDelta& delta : sending.deltas) delta.hlc.raw = stamp.raw++;
    const PushResult result = gateway.handlePush(sending, {.trusted = true, .ingest = true});
    std::swap_ranges(sending.deltas.begin(), sending.deltas.end(), deltas.begin() + static_cast<std::ptrdiff_t>(at));
    if (result.status == PushStatus::backPressure) throw Error(ErrorCode::backPressure, Retry::later, result.message);
    if (result.status == PushStatus::rejected) throw Error(ErrorCode::queryFailed, Retry::never, result.message);
    at += size;
  }
}

void GatewaySink::Impl::send(Stretch& stretch) {
  if (stretch.partial) dropDeadPartials(stretch);
  push(stretch.deltas, stretch.count);
}

void GatewaySink::Impl::erase(const std::string& table, const std::vector<std::string>& rowIds) {
  std::vector<RowDelta> deltas;
  for (const std::string& id : rowIds) {
    deltas.push_back({.op = DeltaOp::erase, .table = table, .rowId = id, .clientId = sender});
  }
  push(deltas, deltas.size());
}

void GatewaySink::Impl::rename(const Step& step) {
  const std::string& table = step.shape->schema.table;
  if (!step.change || step.change->renamed.empty()) return;
  std::vector<RowDelta> deltas;
  for (const std::string& id : owned(table)) {
    const auto row = gateway.row(table, id);
    if (!row) continue;
    std::vector<ColumnValue> columns;
    for (const auto& [from, to] : step.change->renamed) {
      if (const Value* value = row->find(from)) columns.push_back({to, *value});
    }
    for (const auto& [from, to] : step.change->renamed) {
      const auto same = [&, name = from](const ColumnValue& c) { return c.column == name; };
      if (row->find(from) != nullptr && std::none_of(columns.begin(), columns.end(), same)) {
        columns.push_back({from, nullptr});
      }
    }
    if (columns.empty()) continue;
    deltas.push_back(
        {.op = DeltaOp::update, .table = table, .rowId = id, .clientId = sender, .columns = std::move(columns)});
  }
  push(deltas, deltas.size());
}

std::vector<std::string> GatewaySink::Impl::expired(const Step& step) const {
  std::vector<std::string> old;
  for (std::string& id : owned(step.shape->schema.table)) {
    const auto row = gateway.row(step.shape->schema.table, id);
    const Value* value = row ? row->find(step.column) : nullptr;
    if (value != nullptr && compareValues(*value, step.cutoff) == std::partial_ordering::less) {
      old.push_back(std::move(id));
    }
  }
  return old;
}

void GatewaySink::Impl::run(const Step& step) {
  const std::string& table = step.shape->schema.table;
  switch (step.op) {
    case ChangeOp::truncate:
      return erase(table, owned(table));
    case ChangeOp::progress:
      return erase(table, expired(step));
    case ChangeOp::schemaChange:
      return rename(step);
    default:
      break;
  }
  if (!step.named) return;
  std::vector<std::string> gone = owned(table);
  std::erase_if(gone, [&](const std::string& id) { return step.named->contains(id); });
  erase(table, gone);
}

void GatewaySink::Impl::clear() noexcept {
  for (std::size_t i = 0; i <= open; ++i) {
    stretches[i].count = 0;
    stretches[i].partial = false;
    stretches[i].step = {};
  }
  open = 0;
}

GatewaySink::GatewaySink(Gateway& gateway, GatewaySinkOptions options)
    : impl_(std::make_unique<Impl>(gateway, std::move(options))) {
  if (impl_->options.pushDeltas == 0) {
    throw Error(ErrorCode::invalidConfig, Retry::never, "gateway sink: pushDeltas is 0; give 1 or more");
  }
}

GatewaySink::~GatewaySink() = default;

SinkTraits GatewaySink::traits() const { return {.wholeTransactions = false}; }

std::optional<std::string> GatewaySink::open(const SinkContext& context) {
  close();
  impl_->sender = "ingest:" + context.pipeline;
  impl_->state.emplace(impl_->options.state, context.pipeline);
  impl_->stateIsOld = false;
  return impl_->state->open();
}

void GatewaySink::prepareTable(const Shape& shape) {
  impl_->opened();
  if (!shape->key.empty()) return;
  throw Error(ErrorCode::invalidConfig, Retry::afterOperator,
              "gateway table \"" + shape->schema.table +
                  "\": its source has no key, so rows would have no id; give it a primary key");
}

void GatewaySink::apply(const ChangeBatch& batch) {
  Impl& impl = impl_->opened();
  try {
    for (const ChangeEvent& event : batch) impl.applyOne(event);
  } catch (...) {
    rollback();
    throw;
  }
}

void GatewaySink::commit(std::string_view checkpoint) {
  Impl& impl = impl_->opened();
  try {
    impl.state->checkFence();
    for (std::size_t i = 0; i <= impl.open; ++i) {
      impl.send(impl.stretches[i]);
      if (i < impl.open) impl.run(impl.stretches[i].step);
    }
    impl.state->keep(checkpoint);
  } catch (...) {
    rollback();
    throw;
  }
  impl.clear();
}

void GatewaySink::rollback() noexcept {
  impl_->clear();
  impl_->stateIsOld = true;
}

void GatewaySink::close() noexcept {
  impl_->clear();
  impl_->state.reset();
}

std::unique_ptr<RowStream> GatewaySink::readTable(const Shape& shape, std::stop_token stop) {
  if (!impl_->options.keyColumns) return Sink::readTable(shape, std::move(stop));
  std::vector<std::vector<Value>> rows;
  for (const std::string& id : impl_->owned(shape->schema.table)) {
    if (stop.stop_requested()) {
      throw Error(ErrorCode::queryCancelled, Retry::later, "gateway sink: reading was stopped");
    }
    const auto row = impl_->gateway.row(shape->schema.table, id);
    if (!row) continue;
    std::vector<Value>& out = rows.emplace_back();
    for (const std::string& name : shape->columns->names()) {
      const Value* value = row->find(name);
      out.push_back(value != nullptr ? *value : Value());
    }
  }
  return std::make_unique<ReadRows>(shape->columns, std::move(rows));
}

std::uint64_t GatewaySink::expire(const Shape& shape, std::string_view column, const Value& cutoff) {
  Impl& impl = impl_->opened();
  Step step{.shape = shape, .column = std::string(column), .cutoff = cutoff};
  const std::uint64_t count = impl.expired(step).size();
  impl.endStretch(std::move(step));
  return count;
}

}  // namespace tidegate
