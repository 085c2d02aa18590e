#include "durable_streams/detail/server_core.h"

namespace tidegate::durable_streams::detail {

namespace {

/// One long poll that waits: answered once, by whatever comes first.
class LongPoll final : public LiveReader {
 public:
  LongPoll(ServerCore& core, StreamRequest&& r, ReadQuery query)
      : core_(core.shared_from_this()),
        answer_(std::move(r.answer)),
        path_(std::move(r.path)),
        query_(std::move(query)) {}

  void begin(std::uint64_t stream) {
    stream_ = stream;
    const LiveHub::Joined joined = core_->hub().join(path_, stream, shared_from_this());
    if (joined == LiveHub::Joined::full)
      return core_->send(answer_, refusal(429, "too many readers wait; try again later"));
    if (joined == LiveHub::Joined::gone) return core_->send(answer_, refusal(404, "there is no such stream"));
    const auto self = std::static_pointer_cast<LongPoll>(shared_from_this());
    answer_->after(core_->options().longPollTimeout, [self] { self->timeOut(); });
    answer_->onGone([self] {
      if (!self->done_.exchange(true)) self->core_->hub().leave(*self);
    });
    // What came between the look that found nothing and the joining.
    wake();
  }

  void wake() override {
    if (done_.load()) return;
    StreamRead read = core_->store().read(path_, query_.from, core_->options().chunkBytes);
    const bool here = read.verdict == ReadVerdict::data && read.stream.id == stream_;
    if (here && read.octets.empty() && !read.stream.closed) return;
    if (done_.exchange(true)) return;
    core_->hub().leave(*this);
    if (!here) return core_->send(answer_, refusal(404, "the stream was deleted"));
    if (read.octets.empty()) return core_->send(answer_, empty(true));
    const bool closed = read.stream.closed && read.upToDate;
    http::Response response = readAnswer(query_, read, core_->options().publicCache);
    if (!closed) response.headers.add(std::string(kCursor), std::to_string(core_->cursors().after(query_.cursor)));
    core_->send(answer_, std::move(response));
  }

  void stop() override { timeOut(); }

 private:
  void timeOut() {
    if (done_.exchange(true)) return;
    core_->hub().leave(*this);
    core_->send(answer_, empty(false));
  }

  http::Response empty(bool closed) const {
    http::Response response = answerOf(204);
    response.headers.add(std::string(kNextOffset), formatPosition(query_.from));
    response.headers.add(std::string(kUpToDate), "true");
    response.headers.add("Cache-Control", "no-store");
    if (closed) {
      response.headers.add(std::string(kClosed), "true");
    } else {
      response.headers.add(std::string(kCursor), std::to_string(core_->cursors().after(query_.cursor)));
    }
    return response;
  }

  const std::shared_ptr<ServerCore> core_;
  const SharedResponder answer_;
  const std::string path_;
  const ReadQuery query_;
  std::uint64_t stream_ = 0;
  std::atomic<bool> done_{false};
};

}  // namespace

void waitForLongPoll(ServerCore& core, StreamRequest&& r, const ReadQuery& query, std::uint64_t stream) {
  std::make_shared<LongPoll>(core, std::move(r), query)->begin(stream);
}

}  // namespace tidegate::durable_streams::detail
