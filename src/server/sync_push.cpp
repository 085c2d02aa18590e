#include <fmt/format.h>

#include <utility>

#include "server/detail/sync_core.h"

namespace tidegate::server::detail {
namespace {

http::Response pushedAnswer(SyncCore& core, const ServedGateway& served, const std::string& clientId,
                            const PushResult& result) {
  if (result.status != PushStatus::accepted) return syncAnswer(syncRefusalFor(result), refusedDeltas(result));
  return syncJson(
      fmt::format(R"({{"serverHlc":"{}","accepted":{},"logHlc":"{}","applied":{},"duplicates":{},"noEffect":{}}})",
                  core.pushPosition(served, clientId, result).raw, result.accepted(), result.serverHlc.raw,
                  result.applied, result.duplicates, result.noEffect));
}

http::Response takePush(SyncCore& core, const ServedGateway& served, const Call& call) {
  std::string clientId;
  const PushResult result = served.gateway->handlePushJson(call.request.body, [&](std::string_view named) {
    clientId = named;
    core.checkClient(call.who, clientId);
  });
  return pushedAnswer(core, served, clientId, result);
}

void servePush(SyncCore& core, Call&& given, http::Responder& answer) {
  const ServedGateway& served = core.gatewayFor(given);
  const std::size_t octets = given.request.body.size();
  if (octets > core.options.maxPushBytes) {
    refuseSync(413, "VALIDATION_ERROR",
               fmt::format("the push is over {} octets; send fewer deltas at once", core.options.maxPushBytes));
  }
  if (octets <= core.options.inlineBytes && !served.gateway->hasStore()) {
    return answer.send(takePush(core, served, given));
  }
  core.elsewhere(std::move(answer), [&core, &served, call = std::make_shared<Call>(std::move(given))](auto& later) {
    later.send(takePush(core, served, *call));
  });
}

}  // namespace

void addSyncPush(Api& api, SyncCore& core) {
  Operation push = syncOperation("POST", "/v1/sync/{gateway}/push", "syncPush", "Takes a client's deltas, all or none");
  push.body = R"({"$ref":"#/components/schemas/SyncPush"})";
  push.answers.push_back(
      {200, "All deltas were taken", "application/json", R"({"$ref":"#/components/schemas/SyncPushed"})"});
  for (const auto& [status, why] : {std::pair(400, "The body is malformed, or a delta breaks a limit"),
                                    {409, "A stamp lies too far ahead, or is older than what was forgotten"},
                                    {413, "The push is too large"},
                                    {422, "A column does not fit the schema of its table"},
                                    {503, "Back-pressure, or the store is away: nothing was taken; try again"}}) {
    push.answers.push_back({status, why, "application/problem+json", R"({"$ref":"#/components/schemas/SyncFailure"})"});
  }
  push.handler = [&core](Call&& call, http::Responder answer) {
    SyncCore::answering(answer, [&](http::Responder& to) { servePush(core, std::move(call), to); });
  };
  api.add(std::move(push));
}

}  // namespace tidegate::server::detail
