#include <atomic>
#include <optional>
#include <utility>

#include "server/detail/followers.h"
#include "server/detail/identity_end.h"
#include "server/detail/sync_core.h"
#include "tidegate/core/json.h"
#include "tidegate/http/sse.h"

namespace tidegate::server::detail {
namespace {

/// One event stream.
/// @thread `batch`: a fan-out thread; the rest: its connection's, unless said otherwise.
class EventStream : public std::enable_shared_from_this<EventStream> {
 public:
  EventStream(SyncCore& core, Identity who) : core_(core), who_(std::move(who)) {}

  /// @throws as `Followers::follow`; nothing was answered then.
  void begin(Following following, http::Responder& answer) {
    following.batch = [self = shared_from_this()](const PullResult& batch) { self->batch(batch); };
    following.pending = [self = shared_from_this()] { return self->stream_->pending(); };
    following.ended = [self = shared_from_this()] { self->finish(); };
    follower_ = core_.followers.follow(std::move(following));
    ++core_.eventStreams;
    stream_.emplace(answer.stream(200, {{"content-type", "text/event-stream"}, {"cache-control", "no-store"}}));
    stream_->onGone([self = shared_from_this()] { self->finish(); });
    stream_->onDrained([follower = follower_] { follower->wake(); });
    stream_->write(": follows\n\n");
    beat();
    whenEnded(*stream_, who_, core_.clock, [weak = weak_from_this()] {
      if (const auto stream = weak.lock()) stream->endWithToken();
    });
    const std::shared_ptr<Follower> follower = follower_;
    follower->begin();
  }

 private:
  void batch(const PullResult& batch) {
    std::string out;
    if (batch.mustResync) {
      std::string data = "{\"serverHlc\":\"" + batch.serverHlc.text() + "\",\"reason\":";
      appendJsonString(batch.reason, data);
      http::appendSse(out, "resync", data + "}");
      ++core_.followers.resyncs;
    } else if (batch.deltas.empty()) {
      reached_ = batch.serverHlc.raw;  // said with the next heartbeat
      return;
    } else {
      reached_ = 0;
      http::appendSse(out, "deltas", toJson(batch), batch.serverHlc.text());
      ++core_.followers.batches;
    }
    stream_->write(std::move(out));
    if (batch.mustResync) finish();
  }

  /// A sign of life; and an id alone, so that who comes back need not read again what it may not see.
  void beat() {
    stream_->after(core_.options.heartbeat, [self = shared_from_this()] {
      const std::uint64_t reached = self->reached_.exchange(0);
      if (self->stream_->pending() == 0) {
        self->stream_->write(reached != 0 ? "id: " + std::to_string(reached) + "\n\n" : std::string(":\n\n"));
      }
      self->beat();
    });
  }

  void endWithToken() {
    std::string out;
    http::appendSse(out, "ended", "{\"reason\":\"" + std::string(kTokenEnded) + "\"}");
    stream_->write(std::move(out));
    finish();
  }

  /// Any thread, as often as it likes.
  void finish() {
    if (finished_.exchange(true)) return;
    stream_->end();
    core_.followers.leave(std::exchange(follower_, nullptr));
    --core_.eventStreams;
  }

  SyncCore& core_;
  const Identity who_;
  std::optional<http::BodyStream> stream_{};
  std::shared_ptr<Follower> follower_{};
  std::atomic<std::uint64_t> reached_{0};
  std::atomic<bool> finished_{false};
};

std::optional<Hlc> eventsSince(const http::Request& request) {
  std::string text(request.headers.get("last-event-id"));
  if (text.empty()) text = http::queryParameter(request.query, "since").value_or("");
  if (text.empty()) return std::nullopt;
  const auto since = Hlc::parse(text);
  if (!since) refuseSync(400, "VALIDATION_ERROR", "\"since\" and Last-Event-ID must be decimal numbers of 64 bits");
  return since;
}

void serveEvents(SyncCore& core, Call&& call, http::Responder& answer) {
  const ServedGateway& served = core.gatewayFor(call);
  Following following{.gateway = served.gateway,
                      .clientId = core.followingClient(call),
                      .claims = call.who.claims,
                      .since = eventsSince(call.request)};
  std::make_shared<EventStream>(core, std::move(call.who))->begin(std::move(following), answer);
}

}  // namespace

void addSyncEvents(Api& api, SyncCore& core) {
  Operation events = syncOperation("GET", "/v1/sync/{gateway}/events", "syncEvents",
                                   "Follows what the caller may see of the log, as server-sent events");
  events.query = {{"since", "Where to begin; Last-Event-ID goes before it; neither: from now on",
                   R"({"type":"string","pattern":"^[0-9]{1,20}$"})"},
                  {"clientId", "Who follows, where the token does not say it alone"}};
  events.answers.push_back({200,
                            "Events \"deltas\" with the id to come back with, \"resync\", and \"ended\" with the token",
                            "text/event-stream", R"({"type":"string"})"});
  events.handler = [&core](Call&& call, http::Responder answer) {
    SyncCore::answering(answer, [&](http::Responder& to) { serveEvents(core, std::move(call), to); });
  };
  api.add(std::move(events));
}

}  // namespace tidegate::server::detail
