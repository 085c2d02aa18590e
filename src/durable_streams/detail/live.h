/// Readers that wait: long polls and event streams, gathered by stream.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "durable_streams/detail/protocol.h"
#include "tidegate/durable_streams/stream_store.h"
#include "tidegate/http/server.h"

namespace tidegate::durable_streams::detail {

class LiveReader;

/// A piece of a stream as events, made once for all readers that are at the same place.
struct EventPiece {
  std::uint64_t version = 0;  ///< of the channel, when it was made
  Position from = 0;
  Position next = 0;
  bool closed = false;
  bool upToDate = false;
  std::string data{};  ///< the data event; empty where there is no data
};

/// The readers of one stream.
class Channel : public std::enable_shared_from_this<Channel> {
 public:
  Channel(StreamStore& store, std::string path, std::uint64_t stream)
      : store_(store), path_(std::move(path)), stream_(stream) {}
  /// The stream's events from `from` on; null where the stream is gone.
  std::shared_ptr<const EventPiece> piece(Position from, std::size_t maxBytes);
  const std::string& path() const noexcept { return path_; }
  std::uint64_t stream() const noexcept { return stream_; }
  StreamStore& store() const noexcept { return store_; }

 private:
  friend class LiveHub;
  void changed();

  StreamStore& store_;
  const std::string path_;
  const std::uint64_t stream_;
  std::uint64_t watch_ = 0;
  std::atomic<std::uint64_t> version_{1};
  std::mutex mutex_;  ///< guards what follows
  std::vector<std::shared_ptr<LiveReader>> readers_;
  std::shared_ptr<const EventPiece> last_;
};

/// @thread Any.
class LiveReader : public std::enable_shared_from_this<LiveReader> {
 public:
  virtual ~LiveReader() = default;
  /// The stream changed, or may have.
  virtual void wake() = 0;
  /// The server is stopping.
  virtual void stop() = 0;

  std::shared_ptr<Channel> channel{};
};

/// All channels of a server.
/// @thread Any.
class LiveHub {
 public:
  LiveHub(StreamStore& store, std::size_t limit) : store_(store), limit_(limit) {}
  enum class Joined { yes, gone, full };
  /// Puts the reader to its stream's; it must look once more after it, for what came meanwhile.
  Joined join(const std::string& path, std::uint64_t stream, const std::shared_ptr<LiveReader>& reader);
  void leave(LiveReader& reader);
  /// Tells all readers to stop, and takes no more.
  void stopAll();
  /// For a reader that begins after it joined: it may not have been there to be told.
  bool stopped() const {
    const std::lock_guard guard(mutex_);
    return stopped_;
  }
  std::size_t size() const noexcept { return count_.load(std::memory_order_relaxed); }

 private:
  StreamStore& store_;
  const std::size_t limit_;
  mutable std::mutex mutex_;
  bool stopped_ = false;
  std::unordered_map<std::uint64_t, std::shared_ptr<Channel>> channels_;
  std::atomic<std::size_t> count_{0};
};

}  // namespace tidegate::durable_streams::detail
