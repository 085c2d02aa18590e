#include "server/detail/sync_socket.h"

#include <fmt/format.h>

#include <utility>

#include "core/detail/json_tree.h"
#include "server/detail/identity_end.h"
#include "server/detail/sync_proto.h"
#include "tidegate/core/error.h"
#include "tidegate/core/json.h"

namespace tidegate::server::detail {
namespace {

constexpr std::size_t kInlinePullDeltas = 1'000;
constexpr std::uint16_t kPolicy = 1008;
constexpr std::uint16_t kUnknownMessage = 1002;
constexpr std::uint16_t kResync = 4009;  ///< ours: take a checkpoint, then connect again

/// `{"type":…,"id":…` without its end.
std::string jsonAnswer(std::string_view type, const std::string& id) {
  std::string out = "{\"type\":\"" + std::string(type) + '"';
  if (!id.empty()) out += ",\"id\":" + id;
  return out;
}

std::string withMembersOf(std::string answer, const std::string& object) { return answer + ',' + object.substr(1); }

}  // namespace

void SyncSocket::begin(const http::Request& request, std::string clientId, const Start& start,
                       http::Responder& answer) {
  clientId_ = std::move(clientId);
  // Before the handshake is answered: "now" is before the client learns that it is connected.
  if (start.follow) follower_ = follow(start.since);
  ++core_.webSockets;
  const auto self = shared_from_this();
  socket_ = http::acceptWebSocket(
      request, std::move(answer),
      {.onMessage = [self](const http::WebSocket&, std::string&& message,
                           bool binary) { self->onMessage(std::move(message), binary); },
       .onClosed = [self](std::uint16_t, std::string_view) { self->finish(); }},
      {.maxMessageBytes = core_.options.maxPushBytes, .pingInterval = core_.options.pingInterval});
  if (!socket_) return finish();
  whenEnded(*socket_, who_, core_.clock, [weak = weak_from_this()] {
    if (const auto socket = weak.lock()) socket->endWithToken();
  });
  if (follower_) beginFollowing(follower_);
}

void SyncSocket::endWithToken() {
  socket_->close(kPolicy, kTokenEnded);
  finish();
}

std::shared_ptr<Follower> SyncSocket::follow(std::optional<Hlc> since) {
  const auto self = shared_from_this();
  return core_.followers.follow({.gateway = served_.gateway,
                                 .clientId = clientId_,
                                 .claims = who_.claims,
                                 .since = since,
                                 .batch = [self](const PullResult& batch) { self->broadcast(batch); },
                                 .pending = [self] { return self->socket_->pending(); },
                                 .ended = [self] { self->finish(); }});
}

void SyncSocket::beginFollowing(const std::shared_ptr<Follower>& follower) {
  socket_->onDrained([follower] { follower->wake(); });
  follower->begin();
}

/// A client that has pulled to the log's end hears of what follows, from there on.
void SyncSocket::followFrom(Hlc reached) {
  std::shared_ptr<Follower> follower;
  {
    const std::lock_guard lock(mutex_);
    if (follower_ || finished_) return;
    follower = follower_ = follow(reached);
  }
  beginFollowing(follower);
}

void SyncSocket::finish() {
  std::shared_ptr<Follower> follower;
  {
    const std::lock_guard lock(mutex_);
    if (finished_.exchange(true)) return;
    follower = std::exchange(follower_, nullptr);
  }
  if (socket_) socket_->close(1001, "the server stops");
  if (follower) core_.followers.leave(follower);
  --core_.webSockets;
}

bool SyncSocket::tooMany() {
  if (core_.options.messagesPerSecond == 0) return false;
  const auto now = std::chrono::steady_clock::now();
  if (now - windowFrom_ >= std::chrono::seconds(1)) {
    windowFrom_ = now;
    inWindow_ = 0;
  }
  return ++inWindow_ > core_.options.messagesPerSecond;
}

void SyncSocket::onMessage(std::string&& message, bool binary) {
  if (hasEnded(who_, core_.clock)) return endWithToken();
  if (tooMany()) return socket_->close(kPolicy, "too many messages");
  const Asked asked{.json = !binary};
  json_ = asked.json;
  try {
    if (binary) {
      dispatchBinary(std::move(message));
    } else {
      dispatchJson(std::move(message));
    }
  } catch (...) {
    refuse(asked, syncRefusalFor(std::current_exception()));
  }
}

void SyncSocket::dispatchBinary(std::string&& message) {
  if (message.size() < 2) return socket_->close(kUnknownMessage, "message too short");
  const std::string_view payload = std::string_view(message).substr(1);
  switch (static_cast<SyncTag>(message[0])) {
    case SyncTag::push:
      return takePush({}, std::make_shared<const SyncPush>(pushFromProto(payload)), message.size());
    case SyncTag::pull:
      return takePull({}, pullFromProto(payload));
    default:
      return socket_->close(kUnknownMessage,
                            fmt::format("unknown message 0x{:02x}", static_cast<unsigned char>(message[0])));
  }
}

void SyncSocket::dispatchJson(std::string&& message) {
  Asked asked{.json = true};
  std::string type;
  {
    const tidegate::detail::JsonTree tree(message, tidegate::detail::JsonTree::kMessageDepth);
    type = tree.root().member("type").string();
    if (const auto id = tree.root().find("id"); id && id->height() == 0) asked.id = std::string(id->source());
  }
  try {
    if (type == "push") return takePush(asked, std::make_shared<const SyncPush>(pushFromJson(message)), message.size());
    if (type == "pull") return takePull(asked, pullFromJson(message));
    refuseSync(400, "VALIDATION_ERROR", "\"type\" must be \"push\" or \"pull\"");
  } catch (...) {
    refuse(asked, syncRefusalFor(std::current_exception()));
  }
}

void SyncSocket::takePush(const Asked& asked, std::shared_ptr<const SyncPush> push, std::size_t octets) {
  core_.checkClient(who_, push->clientId);
  const bool here = octets <= core_.options.inlineBytes && !served_.gateway->hasStore();
  run(here, asked, [this, asked, push = std::move(push)] { answerPush(asked, *push); });
}

void SyncSocket::takePull(const Asked& asked, const SyncPull& pull) {
  core_.checkClient(who_, pull.clientId);
  const bool here = pull.maxDeltas <= kInlinePullDeltas && served_.gateway->syncRules().buckets().empty();
  run(here, asked, [this, asked, pull] { answerPull(asked, pull); });
}

void SyncSocket::run(bool here, const Asked& asked, std::function<void()> work) {
  if (here) return work();
  socket_->pause();
  try {
    core_.pool.run([self = shared_from_this(), asked, work = std::move(work)] {
      try {
        work();
      } catch (...) {
        self->refuse(asked, syncRefusalFor(std::current_exception()));
      }
      self->socket_->resume();
    });
  } catch (...) {
    socket_->resume();
    throw;
  }
}

void SyncSocket::answerPush(const Asked& asked, const SyncPush& push) {
  const PushResult result = core_.push(served_, push);
  if (result.status != PushStatus::accepted) return refuse(asked, syncRefusalFor(result));
  const Hlc position = core_.pushPosition(served_, push.clientId, result);
  if (asked.json) {
    socket_->send(
        fmt::format(R"({},"serverHlc":"{}","accepted":{},"logHlc":"{}","applied":{},"duplicates":{},"noEffect":{}}})",
                    jsonAnswer("pushed", asked.id), position.raw, result.accepted(), result.serverHlc.raw,
                    result.applied, result.duplicates, result.noEffect));
    return;
  }
  std::string out;
  appendProto(PullResult{.deltas = {}, .serverHlc = position, .reason = {}}, out);
  socket_->send(std::move(out), true);
}

void SyncSocket::answerPull(const Asked& asked, const SyncPull& pull) {
  const PullResult page = core_.pull(served_, *served_.gateway, pull, who_.claims);
  std::string out;
  if (asked.json) {
    out = withMembersOf(jsonAnswer("page", asked.id), toJson(page));
  } else {
    appendProto(page, out);
  }
  socket_->send(std::move(out), !asked.json);
  if (!page.mustResync && !page.hasMore && pull.clientId == clientId_) followFrom(page.serverHlc);
}

void SyncSocket::refuse(const Asked& asked, const SyncRefusal& refusal) {
  if (!asked.json) return socket_->close(kPolicy, redactSecrets(refusal.message));
  std::string out =
      jsonAnswer("error", asked.id) + fmt::format(R"(,"code":"{}","status":{},"error":)", refusal.code, refusal.status);
  appendJsonString(redactSecrets(refusal.message), out);
  socket_->send(out + "}");
}

void SyncSocket::broadcast(const PullResult& batch) {
  if (batch.deltas.empty() && !batch.mustResync) return;
  if (!batch.mustResync) core_.positions.note(served_.name, clientId_, batch.serverHlc);
  const bool json = json_;
  std::string out;
  if (json) {
    out = withMembersOf(jsonAnswer(batch.mustResync ? "resync" : "broadcast", {}), toJson(batch));
  } else {
    out.push_back(static_cast<char>(SyncTag::broadcast));
    appendProto(batch, out);
  }
  socket_->send(std::move(out), !json);
  ++core_.followers.batches;
  if (!batch.mustResync) return;
  ++core_.followers.resyncs;
  socket_->close(kResync, "take a checkpoint, then connect again");
}

}  // namespace tidegate::server::detail
