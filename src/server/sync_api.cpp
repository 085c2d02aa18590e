#include "tidegate/server/sync_api.h"

#include <utility>

#include "server/detail/sync_core.h"

namespace tidegate::server {

struct SyncApi::Impl {
  Impl(std::vector<ServedGateway> gateways, SyncApiOptions options) : core(std::move(gateways), std::move(options)) {}

  detail::SyncCore core;
};

SyncApi::SyncApi(std::vector<ServedGateway> gateways, SyncApiOptions options)
    : impl_(std::make_shared<Impl>(std::move(gateways), std::move(options))) {}

SyncApi::~SyncApi() { stop(); }

void SyncApi::addTo(Api& api) {
  detail::addSyncSchemas(api);
  detail::addSyncPush(api, impl_->core);
  detail::addSyncPull(api, impl_->core);
  detail::addSyncCheckpoint(api, impl_->core);
  detail::addSyncEvents(api, impl_->core);
  detail::addSyncWebSocket(api, impl_->core);
  detail::addSyncAdmin(api, impl_->core);
}

void SyncApi::stop() noexcept { impl_->core.followers.stop(); }

SyncApiStats SyncApi::stats() const {
  const detail::SyncCore& core = impl_->core;
  return {core.eventStreams, core.webSockets, core.followers.batches, core.followers.resyncs};
}

}  // namespace tidegate::server
