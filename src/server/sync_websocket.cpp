#include <utility>

#include "server/detail/sync_core.h"
#include "server/detail/sync_socket.h"

namespace tidegate::server::detail {
namespace {

void serveWebSocket(SyncCore& core, Call&& call, http::Responder& answer) {
  const ServedGateway& served = core.gatewayFor(call);
  std::string clientId = core.followingClient(call);
  SyncSocket::Start start;
  if (const auto text = http::queryParameter(call.request.query, "since")) {
    start.follow = true;
    if (*text != "now") start.since = Hlc::parse(*text);
    if (*text != "now" && !start.since) {
      refuseSync(400, "VALIDATION_ERROR", "\"since\" must be a decimal number of 64 bits, or \"now\"");
    }
  }
  const bool json = http::queryParameter(call.request.query, "format") == "json";
  std::make_shared<SyncSocket>(core, served, std::move(call.who), json)
      ->begin(call.request, std::move(clientId), start, answer);
}

Operation webSocketOperation(SyncCore& core, std::string pattern, std::string name, std::string summary) {
  Operation socket = syncOperation("GET", std::move(pattern), std::move(name), std::move(summary));
  socket.query = {
      {"since", "Where broadcasts begin, or \"now\"; without it: where the first pull ends that reaches the log's end",
       R"({"type":"string","pattern":"^([0-9]{1,20}|now)$"})"},
      {"clientId", "Who follows, where the token does not say it alone"},
      {"format", "json: text messages from the start", R"({"enum":["json","protobuf"]})"}};
  socket.answers.push_back({101, "A WebSocket", {}, {}});
  socket.answers.push_back({426, "The request is no WebSocket handshake", "application/problem+json", {}});
  socket.handler = [&core](Call&& call, http::Responder answer) {
    SyncCore::answering(answer, [&](http::Responder& to) { serveWebSocket(core, std::move(call), to); });
  };
  return socket;
}

}  // namespace

void addSyncWebSocket(Api& api, SyncCore& core) {
  api.add(webSocketOperation(core, "/v1/sync/{gateway}/ws", "syncWebSocket",
                             "Pushes, pulls and hears of changes on one WebSocket"));
  // LakeSync's own clients are configured with this path, and a WebSocket follows no redirect.
  api.add(webSocketOperation(core, "/sync/{gateway}/ws", "syncWebSocketUnversioned", "The same, at LakeSync's path"));
}

}  // namespace tidegate::server::detail
