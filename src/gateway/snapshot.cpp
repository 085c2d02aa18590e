#include <algorithm>
#include <functional>
#include <optional>
#include <unordered_map>
#include <utility>

#include "gateway/detail/gateway_parts.h"
#include "gateway/detail/log_judge.h"

namespace tidegate {

using detail::NameId;

struct GatewaySnapshot::Impl {
  Impl(std::shared_ptr<detail::GatewayCore> heart, detail::CompiledView compiled)
      : core(std::move(heart)), view(std::move(compiled)), judge(view.view, core->state.names) {}
  ~Impl() {
    if (!opened) return;
    const std::unique_lock lock(core->mutex);
    core->state.retained.close(sequence);
  }
  bool open(std::string_view clientId);
  bool openLocked();
  std::optional<std::uint64_t> stampLocked();

  void fill();
  void take(const detail::RowBlock& block);
  const std::vector<NameId>& ruleColumns(NameId table);

  const std::shared_ptr<detail::GatewayCore> core;
  const detail::CompiledView view;
  SyncRules rules;
  std::uint64_t sequence = 0;
  std::uint64_t serverHlc = 0;
  bool opened = false;  ///< registered with the retained blocks
  std::uint32_t nextSlot = 0;
  std::uint32_t endSlot = 0;

  detail::LogJudge judge;
  std::unordered_map<NameId, std::vector<NameId>> ruleColumnsOf;
  std::vector<RowDelta> rows;  ///< read ahead
  std::size_t nextRow = 0;
  detail::RowImage image;
  std::vector<std::optional<std::string_view>> cells;
};

/// @return false if the rules are no longer those of the view, or others' entries came between.
bool GatewaySnapshot::Impl::open(std::string_view clientId) {
  if (!core->shared() || view.view.seesEverything()) {
    const std::unique_lock lock(core->mutex);
    return openLocked();
  }
  // Under rules every gateway must know which view stands at the snapshot's stamp, before anybody holds it.
  detail::ReaderNote note;
  note.kind = detail::ReaderNote::Kind::snapshot;
  note.client = clientId;
  note.view = view.view.fingerprint();
  const std::function<void()> published = [this] { openLocked(); };
  core->shareNote(note, &published);
  return opened;
}

bool GatewaySnapshot::Impl::openLocked() {
  detail::BufferState& state = core->state;
  if (state.rulesGeneration != view.generation) return false;
  if (!view.view.seesEverything()) {
    const auto stamp = stampLocked();
    if (!stamp) return false;
    serverHlc = *stamp;
  } else {
    serverHlc = state.head;
  }
  rules = state.rules;
  sequence = state.sequence;
  endSlot = state.slots.end();
  state.retained.open(sequence);
  opened = true;
  return true;
}

/// The snapshot's stamp; nullopt where the note of it is overtaken.
std::optional<std::uint64_t> GatewaySnapshot::Impl::stampLocked() {
  detail::BufferState& state = core->state;
  const std::string& seen = view.view.fingerprint();
  if (core->shared()) {
    const auto at = std::find(state.snapshotViews.begin(), state.snapshotViews.end(), seen);
    if (at != state.snapshotViews.end())
      return state.head + 1 + static_cast<std::uint64_t>(at - state.snapshotViews.begin());
    return state.head == 0 ? std::optional<std::uint64_t>(0) : std::nullopt;
  }
  auto stamp = state.snapshotStamp(seen);
  if (!stamp && core->makeSnapshotRoom()) stamp = state.snapshotStamp(seen);
  if (!stamp) return state.head;
  core->clients.noteSnapshot(seen, *stamp);
  return stamp;
}

const std::vector<NameId>& GatewaySnapshot::Impl::ruleColumns(NameId table) {
  const auto known = ruleColumnsOf.find(table);
  if (known != ruleColumnsOf.end()) return known->second;
  std::vector<NameId> columns;
  for (const std::string& column : rules.columnsOf(core->state.names.at(table))) {
    columns.push_back(core->state.names.find(column).value_or(detail::kNoName));
  }
  return ruleColumnsOf.emplace(table, std::move(columns)).first->second;
}

void GatewaySnapshot::Impl::take(const detail::RowBlock& block) {
  if (block.visible == 0) return;
  const detail::NameTable& names = core->state.names;
  detail::readRow(block.octets(), image);
  if (!view.view.seesEverything()) {
    cells.clear();
    for (const NameId name : ruleColumns(image.table)) {
      auto& cell = cells.emplace_back();
      for (const detail::ColumnImage& column : image.columns) {
        if (column.hasRegister && column.name == name) cell = column.value;
      }
    }
    if (!judge.matches(names.at(image.table), cells)) return;
  }
  RowDelta& row = rows.emplace_back();
  const detail::PackedStamp stamp = detail::greatestStamp(image, names);
  row.op = DeltaOp::insert;
  row.table = names.at(image.table);
  row.rowId = image.rowId;
  row.clientId = names.at(stamp.client);
  row.hlc = Hlc{stamp.hlc};
  for (const detail::ColumnImage& column : image.columns) {
    if (!column.hasRegister) continue;
    row.columns.push_back({std::string(names.at(column.name)), detail::PackedReader(column.value).value()});
  }
}

void GatewaySnapshot::Impl::fill() {
  constexpr std::uint32_t kSlotsPerLook = 512;
  rows.clear();
  nextRow = 0;
  while (rows.empty() && nextSlot < endSlot) {
    const std::shared_lock lock(core->mutex);
    const detail::BufferState& state = core->state;
    const std::uint32_t until = std::min(endSlot, nextSlot + kSlotsPerLook);
    for (; nextSlot < until; ++nextSlot) {
      const detail::RowBlock* block = state.slots[nextSlot].committed;
      if (block == nullptr || block->sequence > sequence) block = state.retained.find(nextSlot, sequence);
      if (block != nullptr) take(*block);
    }
  }
}

GatewaySnapshot::GatewaySnapshot(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GatewaySnapshot::GatewaySnapshot(GatewaySnapshot&&) noexcept = default;
GatewaySnapshot& GatewaySnapshot::operator=(GatewaySnapshot&&) noexcept = default;
GatewaySnapshot::~GatewaySnapshot() = default;

Hlc GatewaySnapshot::serverHlc() const noexcept { return Hlc{impl_->serverHlc}; }

bool GatewaySnapshot::next(RowDelta& row) {
  if (impl_->nextRow == impl_->rows.size()) impl_->fill();
  if (impl_->nextRow == impl_->rows.size()) return false;
  row = std::move(impl_->rows[impl_->nextRow++]);
  return true;
}

namespace detail {

GatewaySnapshot takeSnapshot(std::shared_ptr<GatewayCore> core, const Claims& claims, std::string_view clientId) {
  if (!clientId.empty()) checkClientId(*core, clientId);
  core->catchUp();
  std::unique_ptr<GatewaySnapshot::Impl> impl;
  do impl = std::make_unique<GatewaySnapshot::Impl>(core, core->viewOf(claims));
  while (!impl->open(clientId));
  const ClientView& view = impl->view.view;
  if (!clientId.empty() && (!core->shared() || view.seesEverything())) {
    core->clients.noteSnapshot(clientId, impl->serverHlc, view.fingerprint(), core->nowMs(), !view.seesEverything());
  }
  return GatewaySnapshot(std::move(impl));
}

}  // namespace detail
}  // namespace tidegate
