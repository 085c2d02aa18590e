/// The parts of Gateway that live in files of their own.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/detail/gateway_core.h"

namespace tidegate::detail {

PullResult pullPage(GatewayCore& core, const SyncPull& pull, const Claims& claims);
GatewaySnapshot takeSnapshot(std::shared_ptr<GatewayCore> core, const Claims& claims, std::string_view clientId);
Subscription openSubscription(std::shared_ptr<GatewayCore> core, SubscribeOptions options, const Claims& claims);
std::vector<std::string> ingestedRowsOf(const GatewayCore& core, std::string_view table, std::string_view clientId);

/// Notes the client's pull. @param fromNow it asks for what is new only, whatever it holds. @return why it must resync,
/// or nullopt.
std::optional<std::string> admitReader(GatewayCore& core, std::string_view clientId, std::uint64_t since,
                                       const ClientView& view, bool fromNow = false);
/// @throws Error{invalidArgument} for an id that is empty, too long, or not UTF-8 without NUL.
void checkClientId(const GatewayCore& core, std::string_view clientId);

}  // namespace tidegate::detail
