#include "durable_streams/detail/live.h"

#include <algorithm>

#include "core/detail/octet_text.h"
#include "durable_streams/detail/json_body.h"

namespace tidegate::durable_streams::detail {

namespace {

bool isTextStream(const StreamInfo& stream) {
  return stream.json || normalContentType(stream.contentType).starts_with("text/");
}

std::string dataEvent(StreamRead& read) {
  std::string out;
  if (read.octets.empty()) return out;
  out.reserve(read.octets.size() + 32);
  if (read.stream.json) {
    appendEvent(out, "data", jsonArray(std::move(read.octets)));
  } else if (isTextStream(read.stream)) {
    appendEvent(out, "data", read.octets);
  } else {
    appendEvent(out, "data", tidegate::detail::base64Of(read.octets));
  }
  return out;
}

}  // namespace

std::shared_ptr<const EventPiece> Channel::piece(Position from, std::size_t maxBytes) {
  const std::uint64_t version = version_.load(std::memory_order_acquire);
  {
    const std::lock_guard guard(mutex_);
    if (last_ && last_->version == version && last_->from == from) return last_;
  }
  StreamRead read = store_.read(path_, from, maxBytes);
  if (read.verdict != ReadVerdict::data || read.stream.id != stream_) return nullptr;
  auto piece = std::make_shared<EventPiece>();
  piece->version = version;
  piece->from = from;
  piece->next = read.next;
  piece->upToDate = read.upToDate;
  piece->closed = read.stream.closed && read.upToDate;
  piece->data = dataEvent(read);
  const std::lock_guard guard(mutex_);
  last_ = piece;
  return piece;
}

void Channel::changed() {
  version_.fetch_add(1, std::memory_order_release);
  std::vector<std::shared_ptr<LiveReader>> readers;
  {
    const std::lock_guard guard(mutex_);
    readers = readers_;
  }
  for (const auto& reader : readers) reader->wake();
}

LiveHub::Joined LiveHub::join(const std::string& path, std::uint64_t stream,
                              const std::shared_ptr<LiveReader>& reader) {
  const std::lock_guard guard(mutex_);
  if (stopped_ || count_.load(std::memory_order_relaxed) >= limit_) return Joined::full;
  auto& channel = channels_[stream];
  if (!channel) {
    channel = std::make_shared<Channel>(store_, path, stream);
    // The store calls under no lock, so asking it under ours is safe.
    channel->watch_ = store_.watch(path, [weak = std::weak_ptr(channel)] {
      if (const auto alive = weak.lock()) alive->changed();
    });
    // Deleted, and perhaps made anew, since the reader looked.
    if (channel->watch_ == 0 || store_.head(path).stream.id != stream) {
      store_.unwatch(channel->watch_);
      channels_.erase(stream);
      return Joined::gone;
    }
  }
  reader->channel = channel;
  const std::lock_guard inside(channel->mutex_);
  channel->readers_.push_back(reader);
  count_.fetch_add(1, std::memory_order_relaxed);
  return Joined::yes;
}

void LiveHub::leave(LiveReader& reader) {
  std::uint64_t watch = 0;
  {
    const std::lock_guard guard(mutex_);
    const std::shared_ptr<Channel> channel = reader.channel;
    if (!channel) return;
    const std::lock_guard inside(channel->mutex_);
    const auto at = std::find_if(channel->readers_.begin(), channel->readers_.end(),
                                 [&](const auto& one) { return one.get() == &reader; });
    if (at == channel->readers_.end()) return;
    std::swap(*at, channel->readers_.back());
    channel->readers_.pop_back();
    count_.fetch_sub(1, std::memory_order_relaxed);
    if (channel->readers_.empty()) {
      watch = channel->watch_;
      channels_.erase(channel->stream_);
    }
  }
  if (watch != 0) store_.unwatch(watch);
}

void LiveHub::stopAll() {
  // All leave here: also one that has joined and not begun, which owns the server that owns this.
  std::vector<std::shared_ptr<LiveReader>> readers;
  std::vector<std::uint64_t> watches;
  {
    const std::lock_guard guard(mutex_);
    stopped_ = true;
    for (const auto& [id, channel] : channels_) {
      const std::lock_guard inside(channel->mutex_);
      readers.insert(readers.end(), channel->readers_.begin(), channel->readers_.end());
      channel->readers_.clear();
      watches.push_back(channel->watch_);
    }
    channels_.clear();
    count_.store(0, std::memory_order_relaxed);
  }
  for (const std::uint64_t watch : watches) store_.unwatch(watch);
  for (const auto& reader : readers) reader->stop();
}

}  // namespace tidegate::durable_streams::detail
