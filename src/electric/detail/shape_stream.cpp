#include <utility>

#include "electric/detail/shape_exchange.h"

namespace tidegate::electric::detail {
namespace {

void appendEvent(std::string_view json, std::string& out) { out.append("data: ").append(json).append("\n\n"); }

}  // namespace

void ShapeExchange::beginStream() {
  const ShapeAnswer answer{.handle = handle_, .offset = request_.offsetText};
  stream_ = responder_.stream(200, fields_.events(request_, answer));
  wroteMicros_ = feed_->hub.clock().steadyNow().count();
  const auto self = shared_from_this();
  responder_.onGone([self] {
    self->done_ = true;
    self->leave();
  });
  responder_.after(core_->options.eventStream, [self] { self->endStream(); });
  responder_.after(core_->options.keepAlive, [self] { self->keepAlive(); });
  feedStream();
}

/// Writes until nothing is left, then waits for more. A client that reads slower than it is written to is left alone
/// until it has caught up: it then gets what is still in the log, or has to fetch again.
void ShapeExchange::feedStream() {
  for (;;) {
    if (done_) return;
    if (core_->finishing) return endStream();
    const std::size_t pending = stream_->pending();
    if (pending == http::BodyStream::kGone) {
      done_ = true;
      return leave();
    }
    if (pending > core_->options.maxStreamBytes) {
      return stream_->onDrained([self = shared_from_this()] {
        self->stream_->onDrained({});
        self->feedStream();
      });
    }
    if (!writeEvents()) return;
    if (await()) return;
  }
}

bool ShapeExchange::writeEvents() {
  for (bool complete = false; !complete;) {
    const ShapeReading reading = feed_->hub.read(*shape_, offset_);
    // The client asks again, and is told then.
    if (reading.kind != ShapeReading::found) {
      endStream();
      return false;
    }
    complete = reading.piece.complete;
    if (reading.piece.messages.empty()) return true;
    std::string events;
    for (const auto& message : reading.piece.messages) appendEvent(*message, events);
    // Its number stands for the whole transaction, and for everything before it: all of that has been written.
    if (complete) appendEvent(upToDate(reading.last.tx), events);
    offset_ = complete ? ShapeOffset{reading.last.tx, kWholeTransaction} : reading.piece.end;
    wroteMicros_ = feed_->hub.clock().steadyNow().count();
    if (stream_->write(std::move(events)) > core_->options.maxStreamBytes) return true;
  }
  return true;
}

void ShapeExchange::keepAlive() {
  if (done_) return;
  const std::int64_t now = feed_->hub.clock().steadyNow().count();
  const auto interval = std::chrono::duration_cast<std::chrono::microseconds>(core_->options.keepAlive).count();
  const std::int64_t silent = now - wroteMicros_;
  if (silent >= interval) {
    stream_->write(": keep-alive\n\n");
    wroteMicros_ = now;
  }
  const std::int64_t left = silent >= interval ? interval : interval - silent;
  responder_.after(std::chrono::milliseconds(left / 1'000 + 1), [self = shared_from_this()] { self->keepAlive(); });
}

void ShapeExchange::endStream() {
  if (std::exchange(done_, true)) return;
  leave();
  stream_->end();
}

}  // namespace tidegate::electric::detail
