#include <optional>

#include "durable_streams/detail/json_body.h"
#include "durable_streams/detail/server_core.h"

namespace tidegate::durable_streams::detail {

namespace {

/// One reader of server-sent events.
class EventStream final : public LiveReader {
 public:
  EventStream(ServerCore& core, StreamRequest&& r, Position from, const std::string& cursor)
      : core_(core.shared_from_this()),
        answer_(std::move(r.answer)),
        path_(std::move(r.path)),
        position_(from),
        leastCursor_(core.cursors().after(cursor)) {}

  void begin(const StreamInfo& stream) {
    const LiveHub::Joined joined = core_->hub().join(path_, stream.id, shared_from_this());
    if (joined == LiveHub::Joined::full)
      return core_->send(answer_, refusal(429, "too many readers wait; try again later"));
    if (joined == LiveHub::Joined::gone) return core_->send(answer_, refusal(404, "there is no such stream"));
    http::Response head = answerOf(200);
    head.headers.add("Content-Type", "text/event-stream");
    head.headers.add("Cache-Control", "no-cache");
    const bool text = stream.json || normalContentType(stream.contentType).starts_with("text/");
    if (!text) head.headers.add(std::string(kSseEncoding), "base64");
    const auto self = std::static_pointer_cast<EventStream>(shared_from_this());
    answer_->onGone([self] { self->finish(); });
    {
      const std::lock_guard guard(mutex_);
      body_ = answer_->stream(200, std::move(head.headers));
    }
    answer_->after(core_->options().sseDuration, [self] { self->finish(); });
    keepAliveLater();
    core_->hub().stopped() ? finish() : pump();
  }

  void wake() override { pump(); }
  void stop() override { finish(); }

 private:
  /// Writes what the reader lacks, until it has everything or enough is queued.
  void pump() {
    bool ended = false;
    {
      const std::lock_guard guard(mutex_);
      if (!body_ || ended_) return;
      ended = !writeAll();
      ended_ = ended;
    }
    if (ended) leave();
  }

  /// @return false where the reader has got everything that there will be.
  bool writeAll() {
    while (true) {
      if (body_->pending() > core_->options().sseBufferBytes) {
        // The reader is slower than the stream. What it lacks is in the store, and is read when there is room.
        const auto self = std::static_pointer_cast<EventStream>(shared_from_this());
        body_->onDrained([self] { self->pump(); });
        if (body_->pending() > 0) return true;
      }
      const auto piece = channel->piece(position_, core_->options().sseChunkBytes);
      if (!piece) return false;
      if (piece->data.empty() && said_ && !piece->closed) return true;
      if (write(*piece) == http::BodyStream::kGone || piece->closed) return false;
      position_ = piece->next;
      said_ = true;
      if (piece->upToDate) return true;
    }
  }

  std::size_t write(const EventPiece& piece) {
    std::string out;
    out.reserve(piece.data.size() + 128);
    out.append(piece.data);
    appendControl(out, piece.next, cursor(), piece.upToDate, piece.closed);
    wroteSince_ = true;
    return body_->write(std::move(out));
  }

  std::uint64_t cursor() const { return std::max(leastCursor_, core_->cursors().now()); }

  void keepAliveLater() {
    const auto self = std::static_pointer_cast<EventStream>(shared_from_this());
    answer_->after(core_->options().sseKeepAlive, [self] { self->keepAlive(); });
  }

  void keepAlive() {
    {
      const std::lock_guard guard(mutex_);
      if (ended_) return;
      if (!wroteSince_ && said_ && body_->pending() == 0) {
        std::string out;
        appendControl(out, position_, cursor(), true, false);
        body_->write(std::move(out));
      }
      wroteSince_ = false;
    }
    keepAliveLater();
  }

  void finish() {
    {
      const std::lock_guard guard(mutex_);
      if (ended_ || !body_) return;
      ended_ = true;
    }
    leave();
  }

  void leave() {
    core_->hub().leave(*this);
    body_->end();
  }

  const std::shared_ptr<ServerCore> core_;
  const SharedResponder answer_;
  const std::string path_;
  std::mutex mutex_;
  std::optional<http::BodyStream> body_{};
  Position position_;
  const std::uint64_t leastCursor_;
  bool said_ = false;        ///< a first control event was sent
  bool wroteSince_ = false;  ///< since the last keep-alive
  bool ended_ = false;
};

}  // namespace

void beginEvents(ServerCore& core, StreamRequest&& r, Position from, const std::string& cursor,
                 const StreamInfo& stream) {
  std::make_shared<EventStream>(core, std::move(r), from, cursor)->begin(stream);
}

}  // namespace tidegate::durable_streams::detail
