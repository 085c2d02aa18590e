#include "server/detail/sync_core.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <utility>

#include "tidegate/core/error.h"

namespace tidegate::server::detail {
namespace {

constexpr std::size_t kPositionsKept = 200'000;

Error badSyncOption(std::string_view what) {
  return Error(ErrorCode::invalidConfig, Retry::never, "SyncApi: " + std::string(what));
}

void checkSyncOptions(const SyncApiOptions& options) {
  const auto within = [](std::size_t value, std::size_t most) { return value >= 1 && value <= most; };
  if (!within(options.threads, 64)) throw badSyncOption("threads must be 1 to 64");
  if (!within(options.fanOutThreads, 16)) throw badSyncOption("fanOutThreads must be 1 to 16");
  if (!within(options.batch, 10'000)) throw badSyncOption("batch must be 1 to 10,000");
  if (options.maxPushBytes == 0 || options.queue == 0) throw badSyncOption("maxPushBytes and queue must not be 0");
  if (options.heartbeat.count() <= 0 || options.pingInterval.count() <= 0) {
    throw badSyncOption("heartbeat and pingInterval must be more than 0");
  }
}

/// Values of a claim; none where it is missing.
const std::vector<std::string>* claimOf(const Identity& who, const std::string& name) {
  if (name.empty()) return nullptr;
  const auto at = who.claims.find(name);
  return at == who.claims.end() ? nullptr : &at->second;
}

bool holds(const std::vector<std::string>* values, std::string_view wanted) {
  return values != nullptr && std::find(values->begin(), values->end(), wanted) != values->end();
}

}  // namespace

void tellOwnInserts(std::vector<RowDelta>& deltas, std::string_view clientId) {
  for (RowDelta& delta : deltas) {
    if (delta.op == DeltaOp::insert && delta.clientId == clientId) delta.op = DeltaOp::update;
  }
}

std::string ClientPositions::key(std::string_view gateway, std::string_view clientId) {
  return std::string(gateway) + '/' + std::string(clientId);
}

void ClientPositions::note(std::string_view gateway, std::string_view clientId, Hlc given) {
  const std::lock_guard lock(mutex_);
  // Who is forgotten here is answered what the gateway knows of it, which is never too late a position.
  if (given_.size() >= kPositionsKept) given_.clear();
  given_[key(gateway, clientId)] = given;
}

std::optional<Hlc> ClientPositions::find(std::string_view gateway, std::string_view clientId) const {
  const std::lock_guard lock(mutex_);
  const auto at = given_.find(key(gateway, clientId));
  return at == given_.end() ? std::nullopt : std::optional(at->second);
}

SyncCore::SyncCore(std::vector<ServedGateway> given, SyncApiOptions settings)
    : options((checkSyncOptions(settings), std::move(settings))),
      clock(options.clock != nullptr ? *options.clock : systemClock()),
      followers(options),
      pool(options.threads, options.queue) {
  if (given.empty()) throw badSyncOption("no gateway to serve");
  for (ServedGateway& one : given) {
    if (one.name.empty() || one.name.size() > 255 || one.name.find('/') != std::string::npos) {
      throw badSyncOption("a gateway's name must be 1 to 255 bytes without '/'");
    }
    const bool whole =
        one.gateway != nullptr && std::all_of(one.sources.begin(), one.sources.end(),
                                              [](const auto& source) { return source.second != nullptr; });
    if (!whole) throw badSyncOption("\"" + one.name + "\" has a gateway or source that is null");
    const std::string name = one.name;
    if (!gateways.emplace(name, std::move(one)).second) throw badSyncOption("\"" + name + "\" is served twice");
  }
}

const ServedGateway& SyncCore::gatewayFor(const Call& call) const {
  const std::string_view name = call.path("gateway");
  // Before the name is looked up: who may not use a gateway does not learn whether there is one.
  const auto* named = claimOf(call.who, options.gatewayClaim);
  const bool missing = named == nullptr && options.requireGatewayClaim && call.who.role != Role::admin;
  if (missing || (named != nullptr && !holds(named, name))) {
    refuseSync(403, "FORBIDDEN", "the token is for another gateway (claim \"" + options.gatewayClaim + "\")");
  }
  const auto at = gateways.find(name);
  if (at == gateways.end()) refuseSync(404, "NOT_FOUND", "no gateway of that name is served here");
  return at->second;
}

void SyncCore::checkClient(const Identity& who, std::string_view clientId) const {
  if (who.role == Role::admin) return;
  if (!who.subject.empty() && who.subject == clientId) return;
  if (holds(claimOf(who, options.clientClaim), clientId)) return;
  refuseSync(403, "FORBIDDEN",
             "clientId is not the caller's: it must be the token's subject, or one of its claim \"" +
                 options.clientClaim + "\"");
}

std::string SyncCore::ownClient(const Identity& who) const {
  if (!who.subject.empty()) return who.subject;
  const auto* named = claimOf(who, options.clientClaim);
  return named != nullptr && named->size() == 1 ? named->front() : std::string();
}

PushResult SyncCore::push(const ServedGateway& served, const SyncPush& push) const {
  return served.gateway->handlePush(push);
}

std::string SyncCore::followingClient(const Call& call) const {
  if (auto named = http::queryParameter(call.request.query, "clientId")) {
    checkClient(call.who, *named);
    return *std::move(named);
  }
  if (std::string own = ownClient(call.who); !own.empty()) return own;
  std::random_device chance;
  return fmt::format("anonymous-{:08x}{:08x}", chance(), chance());
}

PullResult SyncCore::pull(const ServedGateway& served, Gateway& from, const SyncPull& pull, const Claims& claims) {
  PullResult result = from.handlePull(pull, claims);
  tellOwnInserts(result.deltas, pull.clientId);
  if (&from == served.gateway && !result.mustResync) positions.note(served.name, pull.clientId, result.serverHlc);
  return result;
}

Hlc SyncCore::pushPosition(const ServedGateway& served, const std::string& clientId, const PushResult& result) {
  const auto given = positions.find(served.name, clientId);
  const Hlc held = given ? *given : served.gateway->pulledTo(clientId).value_or(Hlc{});
  // Under rules its own change may take a row out of its view: that it must be told.
  const bool nothingToTell = held == Hlc{} || served.gateway->syncRules().buckets().empty();
  if (held < result.previousHlc || !nothingToTell) return held;
  positions.note(served.name, clientId, result.serverHlc);
  return result.serverHlc;
}

void SyncCore::answering(http::Responder& answer, const std::function<void(http::Responder&)>& work) {
  try {
    work(answer);
  } catch (...) {
    answer.send(syncAnswer(syncRefusalFor(std::current_exception())));
  }
}

http::Response SyncCore::answered(const std::function<http::Response()>& work) {
  try {
    return work();
  } catch (...) {
    return syncAnswer(syncRefusalFor(std::current_exception()));
  }
}

http::Response syncJson(std::string body) {
  return {.headers = {{"content-type", "application/json"}, {"cache-control", "no-store"}, {"api-version", "v1"}},
          .body = std::move(body)};
}

Operation syncOperation(std::string method, std::string pattern, std::string name, std::string summary) {
  Operation operation{.method = std::move(method),
                      .pattern = std::move(pattern),
                      .role = Role::client,
                      .name = std::move(name),
                      .summary = std::move(summary),
                      .tag = "sync"};
  operation.answers.push_back(
      {404, "No gateway of that name", "application/problem+json", R"({"$ref":"#/components/schemas/SyncFailure"})"});
  return operation;
}

void SyncCore::elsewhere(http::Responder answer, std::function<void(http::Responder&)> work) {
  struct Waiting {
    http::Responder answer;
    std::function<void(http::Responder&)> work;
  };
  auto waiting = std::make_shared<Waiting>(Waiting{std::move(answer), std::move(work)});
  try {
    pool.run([waiting] { answering(waiting->answer, waiting->work); });
  } catch (...) {
    waiting->answer.send(syncAnswer(syncRefusalFor(std::current_exception())));
  }
}

}  // namespace tidegate::server::detail
