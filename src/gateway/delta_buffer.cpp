#include "tidegate/gateway/delta_buffer.h"

#include <utility>

#include "gateway/detail/gateway_core.h"

namespace tidegate {
namespace {

/// What the host appends to its own buffer is bounded by the buffer, not per push.
GatewayOptions unboundedPushes(DeltaBuffer::Options options) {
  GatewayOptions all;
  all.retention = options.retention;
  all.clock = options.clock;
  all.limits.maxBufferBytes = options.maxBytes;
  all.limits.maxNames = options.maxNames;
  all.limits.maxDeltasPerPush = SIZE_MAX;
  all.limits.maxPushBytes = SIZE_MAX;
  return all;
}

}  // namespace

struct DeltaBuffer::Impl {
  explicit Impl(Options options) : core(std::make_shared<detail::GatewayCore>(unboundedPushes(std::move(options)))) {
    core->open();
  }
  const std::shared_ptr<detail::GatewayCore> core;
};

DeltaBuffer::DeltaBuffer() : DeltaBuffer(Options{}) {}
DeltaBuffer::DeltaBuffer(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
DeltaBuffer::~DeltaBuffer() = default;
DeltaBuffer::DeltaBuffer(DeltaBuffer&&) noexcept = default;
DeltaBuffer& DeltaBuffer::operator=(DeltaBuffer&&) noexcept = default;

PushResult DeltaBuffer::append(std::span<const RowDelta> deltas, bool ingest) {
  const SyncPush push{"buffer", {deltas.begin(), deltas.end()}, {}};
  return impl_->core->push(push, {.trusted = true, .ingest = ingest});
}

DeltaBuffer::Page DeltaBuffer::read(Hlc since, std::size_t maxDeltas) const {
  detail::GatewayCore& core = *impl_->core;
  const detail::CompiledView everything = core.viewOf({});
  Page page;
  page.next = since;
  page.reachesBack = !core.resyncReason(since.raw, everything.view);
  if (!page.reachesBack) return page;
  const detail::LogReading reading = core.read(since.raw, everything, maxDeltas, page.deltas);
  page.next = Hlc{reading.position};
  page.hasMore = reading.more;
  return page;
}

std::optional<Row> DeltaBuffer::row(std::string_view table, std::string_view rowId) const {
  return impl_->core->state.row(table, rowId);
}

void DeltaBuffer::noteClient(std::string_view clientId, Hlc pulledTo) {
  detail::GatewayCore& core = *impl_->core;
  core.clients.noteSnapshot(clientId, pulledTo.raw, {}, core.nowMs());
}

bool DeltaBuffer::purgeClient(std::string_view clientId) { return impl_->core->clients.forget(clientId); }
std::size_t DeltaBuffer::purgeTable(std::string_view table) { return impl_->core->purgeTable(table); }
std::size_t DeltaBuffer::trim() { return impl_->core->enforceRetention(); }
GatewayStats DeltaBuffer::stats() const { return impl_->core->stats(); }

}  // namespace tidegate
