#include <atomic>
#include <mutex>
#include <optional>
#include <utility>

#include "server/detail/identity_end.h"
#include "server/detail/sync_core.h"
#include "server/detail/sync_proto.h"
#include "tidegate/core/json.h"

namespace tidegate::server::detail {
namespace {

constexpr std::string_view kFrames = "application/x-lakesync-checkpoint-stream";
constexpr std::size_t kLengthOctets = 4;  ///< before each frame, big-endian

/// A snapshot on its way to a client, as fast as the client reads: one chunk is made whenever the last one has left.
/// @thread Its steps run on the pool, one at a time.
class CheckpointBody : public std::enable_shared_from_this<CheckpointBody> {
 public:
  CheckpointBody(SyncCore& core, const ServedGateway& served, Identity who, std::string clientId,
                 GatewaySnapshot snapshot, bool json)
      : core_(core),
        served_(served),
        who_(std::move(who)),
        clientId_(std::move(clientId)),
        hlc_(snapshot.serverHlc()),
        snapshot_(std::move(snapshot)),
        json_(json) {}

  void begin(http::Responder& answer) {
    http::Headers headers{{"content-type", json_ ? "application/json" : std::string(kFrames)},
                          {"cache-control", "no-store"},
                          {"x-checkpoint-hlc", hlc_.text()}};
    stream_.emplace(answer.stream(200, std::move(headers)));
    stream_->onGone([self = shared_from_this()] { self->gone_ = true; });
    stream_->onDrained([self = shared_from_this()] { self->wake(); });
    // Also of a client that has ceased to read. Cut off, the answer is seen not to be whole.
    whenEnded(*stream_, who_, core_.clock, [self = shared_from_this()] { self->cut(); });
    step();
  }

 private:
  /// A thread of the server's.
  void wake() {
    if (busy_.exchange(true)) return;
    try {
      core_.pool.run([self = shared_from_this()] { self->step(); });
    } catch (...) {
      stream_->abort();  // too many wait; the client sees that it has not all of it
    }
  }

  void cut() {
    gone_ = true;
    stream_->abort();
  }

  void step() {
    try {
      do {
        busy_ = true;
        if (done_ || gone_) return;
        if (hasEnded(who_, core_.clock)) return cut();
        done_ = !writeChunk();
        if (done_) return finish();
        busy_ = false;
        // It may have drained before it was said that this step is over.
      } while (stream_->pending() == 0 && !busy_.exchange(true));
    } catch (...) {
      syncRefusalFor(std::current_exception());  // logs it
      stream_->abort();
    }
  }

  /// @return false at the end.
  bool writeChunk() {
    std::string out;
    std::string scratch;
    if (json_ && !begun_) out = "{\"snapshotHlc\":\"" + hlc_.text() + "\",\"deltas\":[";
    if (!json_) out.assign(kLengthOctets, '\0');
    RowDelta row;
    bool more = true;
    while (out.size() < core_.options.checkpointChunk && (more = snapshot_->next(row))) {
      if (!json_) {
        appendProtoDelta(row, out, scratch);
      } else {
        if (std::exchange(begun_, true)) out += ',';
        appendJson(row, out);
      }
    }
    begun_ = true;
    if (json_) {
      if (!more) out += "]}";
    } else if (out.size() > kLengthOctets) {
      closeFrame(out);
    } else {
      out.clear();
    }
    if (!out.empty()) stream_->write(std::move(out));
    return more;
  }

  void closeFrame(std::string& out) const {
    appendProto(PullResult{.deltas = {}, .serverHlc = hlc_, .reason = {}}, out);
    const std::size_t length = out.size() - kLengthOctets;
    for (std::size_t i = 0; i < kLengthOctets; ++i) out[i] = static_cast<char>(length >> (8 * (kLengthOctets - 1 - i)));
  }

  void finish() {
    snapshot_.reset();  // the rows that it keeps may go
    if (!clientId_.empty()) core_.positions.note(served_.name, clientId_, hlc_);
    stream_->end();
  }

  SyncCore& core_;
  const ServedGateway& served_;
  const Identity who_;
  const std::string clientId_;
  const Hlc hlc_;
  std::optional<GatewaySnapshot> snapshot_;
  const bool json_;
  std::optional<http::BodyStream> stream_{};
  bool begun_ = false;
  bool done_ = false;
  std::atomic<bool> busy_{true};
  std::atomic<bool> gone_{false};
};

void serveCheckpoint(SyncCore& core, Call&& given, http::Responder& answer) {
  const ServedGateway& served = core.gatewayFor(given);
  auto clientId = http::queryParameter(given.request.query, "clientId").value_or(core.ownClient(given.who));
  if (!clientId.empty()) core.checkClient(given.who, clientId);
  const std::string_view accept = given.request.headers.get("accept");
  const bool json = accept.find("json") != accept.npos && accept.find(kFrames) == accept.npos;
  core.elsewhere(std::move(answer), [&core, &served, clientId = std::move(clientId), json,
                                     who = std::move(given.who)](http::Responder& later) {
    std::make_shared<CheckpointBody>(core, served, who, clientId, served.gateway->snapshot(who.claims, clientId), json)
        ->begin(later);
  });
}

}  // namespace

void addSyncCheckpoint(Api& api, SyncCore& core) {
  Operation checkpoint = syncOperation("GET", "/v1/sync/{gateway}/checkpoint", "syncCheckpoint",
                                       "Streams the rows that the caller may see; pull from its X-Checkpoint-Hlc next");
  checkpoint.query = {{"clientId", "Who takes it, where the token does not say it alone"}};
  checkpoint.answers.push_back({200, "Frames of four octets of length and a SyncResponse (protobuf)",
                                std::string(kFrames), R"({"type":"string","format":"binary"})"});
  checkpoint.handler = [&core](Call&& call, http::Responder answer) {
    SyncCore::answering(answer, [&](http::Responder& to) { serveCheckpoint(core, std::move(call), to); });
  };
  api.add(std::move(checkpoint));
}

}  // namespace tidegate::server::detail
