#include "tidegate/gateway/gateway.h"

#include "gateway/detail/gateway_core.h"
#include "gateway/detail/gateway_parts.h"

namespace tidegate {

struct Gateway::Impl {
  std::shared_ptr<detail::GatewayCore> core;
};

Gateway::Gateway(GatewayOptions options)
    : impl_(std::make_unique<Impl>(Impl{std::make_shared<detail::GatewayCore>(std::move(options))})) {
  impl_->core->open();
}

Gateway::~Gateway() { impl_->core->close(); }

PushResult Gateway::handlePush(const SyncPush& push, PushContext context) { return impl_->core->push(push, context); }

PushResult Gateway::handlePushJson(std::string_view json,
                                   const std::function<void(std::string_view clientId)>& mayPush) {
  if (auto result = impl_->core->pushText(json, mayPush)) return *std::move(result);
  const SyncPush push = pushFromJson(json);
  mayPush(push.clientId);
  return handlePush(push);
}

PushResult Gateway::checkPush(const SyncPush& push, PushContext context) const {
  return impl_->core->check(push, context);
}

PullResult Gateway::handlePull(const SyncPull& pull, const Claims& claims) {
  return detail::pullPage(*impl_->core, pull, claims);
}

GatewaySnapshot Gateway::snapshot(const Claims& claims, std::string_view clientId) {
  return detail::takeSnapshot(impl_->core, claims, clientId);
}

Subscription Gateway::subscribe(SubscribeOptions options, const Claims& claims) {
  return detail::openSubscription(impl_->core, std::move(options), claims);
}

std::optional<Row> Gateway::row(std::string_view table, std::string_view rowId) const {
  const std::shared_lock lock(impl_->core->mutex);
  return impl_->core->state.row(table, rowId);
}

std::vector<std::string> Gateway::ingestedRows(std::string_view table, std::string_view clientId) const {
  return detail::ingestedRowsOf(*impl_->core, table, clientId);
}

IngestState Gateway::takeIngest(std::string_view clientId) {
  detail::checkClientId(*impl_->core, clientId);
  return impl_->core->takeIngest(clientId);
}

IngestState Gateway::ingestState(std::string_view clientId) const {
  const std::shared_lock lock(impl_->core->mutex);
  return impl_->core->ingest.state(clientId);
}

GatewayStats Gateway::stats() const { return impl_->core->stats(); }

void Gateway::setSyncRules(SyncRules rules) { impl_->core->setRules(std::move(rules)); }

SyncRules Gateway::syncRules() const {
  const std::shared_lock lock(impl_->core->mutex);
  return impl_->core->state.rules;
}

void Gateway::setSchema(TableSchema schema) { impl_->core->setSchema(std::move(schema)); }

std::vector<TableSchema> Gateway::schemas() const { return *impl_->core->schemas(); }

std::optional<Hlc> Gateway::pulledTo(std::string_view clientId) const {
  const auto stamp = impl_->core->clients.pulledTo(clientId);
  return stamp ? std::optional(Hlc{*stamp}) : std::nullopt;
}

bool Gateway::hasStore() const noexcept { return impl_->core->options.store != nullptr || impl_->core->shared(); }

std::size_t Gateway::purgeTable(std::string_view table) { return impl_->core->purgeTable(table); }

bool Gateway::purgeClient(std::string_view clientId) { return impl_->core->purgeClient(clientId); }

std::size_t Gateway::enforceRetention() { return impl_->core->enforceRetention(); }

Hlc Gateway::catchUp() {
  impl_->core->catchUp();
  return Hlc{impl_->core->head()};
}

void Gateway::saveSnapshot() { impl_->core->saveSnapshot(); }

HlcClock& Gateway::clock() noexcept { return impl_->core->clock; }

}  // namespace tidegate
