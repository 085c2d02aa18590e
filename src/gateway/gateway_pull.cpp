#include <fmt/format.h>

#include <utility>

#include "gateway/detail/gateway_parts.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {

void checkClientId(const GatewayCore& core, std::string_view clientId) {
  const std::size_t most = core.options.limits.maxClientIdBytes;
  if (!clientId.empty() && clientId.size() <= most && clientId.find('\0') == clientId.npos && isUtf8(clientId)) return;
  throw Error(ErrorCode::invalidArgument, Retry::never,
              fmt::format("clientId must be 1 to {} bytes of UTF-8 without NUL", most));
}

namespace {

/// Whoever may come to another gateway next is told of there before it is answered here.
std::optional<std::string> noteSharedPull(GatewayCore& core, const ClientRegistry::Pull& pull) {
  auto judgement = core.clients.judge(pull);
  if (judgement.resync && judgement.news) {
    core.catchUp();  // what another gateway knows of the client may not have come here yet
    judgement = core.clients.judge(pull);
  }
  if (!judgement.news) return core.clients.notePull(pull);
  ReaderNote note;
  note.client = pull.clientId;
  note.known = *judgement.news;
  core.shareNote(note);
  return judgement.resync;
}

}  // namespace

std::optional<std::string> admitReader(GatewayCore& core, std::string_view clientId, std::uint64_t since,
                                       const ClientView& view, bool fromNow) {
  std::uint64_t head = 0, purgedTo = 0;
  {
    const std::shared_lock lock(core.mutex);
    head = core.state.head;
    purgedTo = core.state.tombstonesPurgedTo;
  }
  auto reason = core.resyncReason(since, view);
  const ClientRegistry::Pull pull{clientId, since,        view.fingerprint(),     head,
                                  purgedTo, core.nowMs(), !view.seesEverything(), fromNow};
  auto byClient = core.shared() ? noteSharedPull(core, pull) : core.clients.notePull(pull);
  return reason ? reason : byClient;
}

PullResult pullPage(GatewayCore& core, const SyncPull& pull, const Claims& claims) {
  checkClientId(core, pull.clientId);
  if (pull.maxDeltas == 0 || pull.maxDeltas > core.options.limits.maxPullDeltas) {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                fmt::format("maxDeltas {} is outside 1 to {}", pull.maxDeltas, core.options.limits.maxPullDeltas));
  }
  core.counters.pulls.fetch_add(1, std::memory_order_relaxed);
  core.catchUpBeyond(pull.sinceHlc.raw);
  CompiledView view = core.viewOf(claims);
  PullResult result;
  result.serverHlc = pull.sinceHlc;
  auto resync = admitReader(core, pull.clientId, pull.sinceHlc.raw, view.view);
  while (core.shared()) {  // admitting may have brought other rules
    CompiledView now = core.viewOf(claims);
    if (now.generation == view.generation) break;
    view = std::move(now);
    resync = admitReader(core, pull.clientId, pull.sinceHlc.raw, view.view);
  }
  if (!resync) {
    LogReading reading =
        core.read(pull.sinceHlc.raw, view, pull.maxDeltas, result.deltas, pull.stamps ? &result.stamps : nullptr);
    result.serverHlc = Hlc{reading.position};
    result.hasMore = reading.more;
    resync = std::move(reading.resync);
  }
  if (resync) {
    core.counters.resyncs.fetch_add(1, std::memory_order_relaxed);
    result =
        PullResult{{}, pull.sinceHlc, false, true, std::move(*resync) + "; take a snapshot, then pull from it", {}};
  }
  return result;
}

}  // namespace tidegate::detail
