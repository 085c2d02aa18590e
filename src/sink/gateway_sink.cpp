#include "tidegate/sink/gateway_sink.h"

#include <algorithm>

#include "sink/detail/gateway_sink_unit.h"
#include "source/detail/row_shape.h"

namespace tidegate {

namespace {

using detail::GatewayStep;
using detail::GatewayUnit;

constexpr std::string_view kCheckpoint = "checkpoint";

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

const ColumnList& noColumns() {
  static const ColumnList none{{}};
  return none;
}

}  // namespace

struct GatewaySink::Impl {
  Impl(Gateway& g, GatewaySinkOptions o) : gateway(g), options(o) {}

  Impl& opened();
  void applyOne(const ChangeEvent& event);
  void addRow(const ChangeEvent& event);
  void addErase(const ChangeEvent& event);
  DeltaContext contextOf(const ChangeEvent& event, const std::vector<Value>& row);
  const std::vector<std::uint32_t>& leftOut(const ChangeEvent& event);
  RowDelta& slot();
  void step(GatewayStep step);
  void checkAlone();
  void build();
  PushResult pushed(const IngestNotes& notes);
  static void require(const PushResult& result);
  void clear() noexcept;

  Gateway& gateway;
  const GatewaySinkOptions options;
  std::string sender{};
  std::uint64_t epoch = 0;  ///< 0: not open
  detail::GatewayBaselines baselines{};
  bool stale = false;  ///< `baselines` is of a unit that failed

  std::vector<RowDelta> deltas{};  ///< of the open unit: the first `count`; the others are memory to use again
  std::size_t count = 0;
  bool partial = false;  ///< whether one must not make its row
  std::vector<GatewayStep> steps{};

  SyncPush push{};
  std::string rowId{};
  std::vector<const Value*> key{};
  std::vector<std::uint32_t> absent{};
};

GatewaySink::Impl& GatewaySink::Impl::opened() {
  if (epoch == 0) throw Error(ErrorCode::connectionFailed, Retry::later, "gateway sink: not open; call open first");
  if (std::exchange(stale, false)) baselines.read(gateway.ingestState(sender));
  return *this;
}

RowDelta& GatewaySink::Impl::slot() {
  if (count == deltas.size()) deltas.emplace_back();
  return deltas[count];
}

void GatewaySink::Impl::step(GatewayStep step) {
  step.before = count;
  steps.push_back(std::move(step));
}

DeltaContext GatewaySink::Impl::contextOf(const ChangeEvent& event, const std::vector<Value>& row) {
  const TableShape& shape = *event.shape;
  if (row.size() != shape.columns->size()) {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                "gateway table \"" + shape.schema.table + "\": a row has another number of values than columns");
  }
  key.clear();
  for (const std::uint32_t i : shape.key) key.push_back(&row[i]);
  rowId.clear();
  detail::appendRowId(key, shape.schema.primaryKey, rowId);
  // Stamps come with the push; ids are computed when somebody reads them.
  return {.table = shape.schema.table, .rowId = rowId, .clientId = sender, .computeId = false};
}

/// Columns that the event does not bring, and those that the row id holds where deltas are to hold no key.
const std::vector<std::uint32_t>& GatewaySink::Impl::leftOut(const ChangeEvent& event) {
  if (options.keyColumns) return event.unchanged;
  absent = event.unchanged;
  absent.insert(absent.end(), event.shape->key.begin(), event.shape->key.end());
  std::sort(absent.begin(), absent.end());
  absent.erase(std::unique(absent.begin(), absent.end()), absent.end());
  return absent;
}

void GatewaySink::Impl::addRow(const ChangeEvent& event) {
  const DeltaContext context = contextOf(event, event.after);
  const RowView after{*event.shape->columns, event.after, leftOut(event)};
  // A row that came whole is an insert, which the gateway takes for an update of what changed where the row is there.
  // What the source says of the row before is not asked: the gateway knows what this pipeline brought last.
  const RowView nothing{noColumns(), {}};
  const bool whole = event.op != ChangeOp::update || event.unchanged.empty();
  if (!extractDelta(whole ? nullptr : &nothing, &after, context, slot())) return;
  partial |= !whole;
  ++count;
}

void GatewaySink::Impl::addErase(const ChangeEvent& event) {
  const DeltaContext context = contextOf(event, event.before);
  const RowView before{*event.shape->columns, event.before};
  if (extractDelta(&before, nullptr, context, slot())) ++count;
}

void GatewaySink::Impl::applyOne(const ChangeEvent& event) {
  switch (event.op) {
    case ChangeOp::insert:
    case ChangeOp::read:
    case ChangeOp::update:
      return addRow(event);
    case ChangeOp::erase:
      return addErase(event);
    case ChangeOp::progress:
      return;
    default:
      return step({.op = event.op, .shape = event.shape, .change = event.schemaChange});
  }
}

void GatewaySink::Impl::require(const PushResult& result) {
  if (result.status == PushStatus::backPressure) throw Error(ErrorCode::backPressure, Retry::later, result.message);
  if (result.status == PushStatus::rejected) throw Error(ErrorCode::queryFailed, Retry::never, result.message);
}

/// A change that the gateway will refuse is refused here where it came alone, so that the engine learns which it is.
void GatewaySink::Impl::checkAlone() {
  if (count == 0) return;
  push.clientId = sender;
  push.deltas.assign(1, deltas[count - 1]);
  require(gateway.checkPush(push, {.trusted = true, .ingest = true}));
}

/// What the unit comes to, where its deltas are not simply all of it.
void GatewaySink::Impl::build() {
  if (steps.empty() && !partial) {
    if (baselines.empty()) return;
    for (std::size_t i = 0; i < count; ++i) {
      if (deltas[i].op != DeltaOp::erase) baselines.name(deltas[i].table, deltas[i].rowId);
    }
    return;
  }
  GatewayUnit unit(gateway, sender, baselines);
  auto next = steps.begin();
  for (std::size_t i = 0; i <= count; ++i) {
    for (; next != steps.end() && next->before == i; ++next) unit.run(*next);
    if (i < count) unit.add(std::move(deltas[i]));
  }
  deltas = unit.take();
  count = deltas.size();
}

PushResult GatewaySink::Impl::pushed(const IngestNotes& notes) {
  push.clientId = sender;
  push.deltas.resize(count);
  // Swapped, not copied, and swapped back: the slots' memory serves the next unit.
  std::swap_ranges(push.deltas.begin(), push.deltas.end(), deltas.begin());
  if (count > 0) {
    Hlc stamp = gateway.clock().reserve(count);
    for (RowDelta& delta : push.deltas) delta.hlc.raw = stamp.raw++;
  }
  PushResult result = gateway.handlePush(push, {.trusted = true, .ingest = true, .notes = &notes});
  std::swap_ranges(push.deltas.begin(), push.deltas.end(), deltas.begin());
  return result;
}

void GatewaySink::Impl::clear() noexcept {
  count = 0;
  partial = false;
  steps.clear();
}

GatewaySink::GatewaySink(Gateway& gateway, GatewaySinkOptions options)
    : impl_(std::make_unique<Impl>(gateway, options)) {}

GatewaySink::~GatewaySink() = default;

SinkTraits GatewaySink::traits() const { return {.wholeTransactions = impl_->options.wholeTransactions}; }

std::optional<std::string> GatewaySink::open(const SinkContext& context) {
  close();
  impl_->sender = "ingest:" + context.pipeline;
  const IngestState state = impl_->gateway.takeIngest(impl_->sender);
  impl_->baselines.read(state);
  impl_->epoch = state.epoch;
  const auto checkpoint = state.notes.find(kCheckpoint);
  return checkpoint == state.notes.end() ? std::nullopt : std::optional(checkpoint->second);
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
    if (batch.size() == 1) impl.checkAlone();
  } catch (...) {
    impl.clear();
    throw;
  }
}

void GatewaySink::commit(std::string_view checkpoint) {
  Impl& impl = impl_->opened();
  try {
    impl.build();
    IngestNotes notes{impl.epoch, impl.baselines.takeNotes()};
    notes.notes.push_back({std::string(kCheckpoint), std::string(checkpoint)});
    impl.require(impl.pushed(notes));
  } catch (...) {
    impl.clear();
    impl.stale = true;
    throw;
  }
  impl.clear();
}

void GatewaySink::rollback() noexcept { impl_->clear(); }

void GatewaySink::close() noexcept {
  impl_->clear();
  impl_->epoch = 0;
  impl_->stale = false;
}

std::unique_ptr<RowStream> GatewaySink::readTable(const Shape& shape, std::stop_token stop) {
  if (!impl_->options.keyColumns) return Sink::readTable(shape, std::move(stop));
  std::vector<std::vector<Value>> rows;
  for (const std::string& id : impl_->gateway.ingestedRows(shape->schema.table, impl_->sender)) {
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
  GatewayStep step{.shape = shape, .column = std::string(column), .cutoff = cutoff};
  const std::uint64_t rows = detail::expiredRows(impl.gateway, impl.sender, step).size();
  impl.step(std::move(step));
  return rows;
}

}  // namespace tidegate
