/// The streams of a store and what may be done to them: everything but the disk.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "durable_streams/detail/journal.h"
#include "durable_streams/detail/json_body.h"
#include "durable_streams/detail/stream.h"

namespace tidegate::durable_streams::detail {

/// What is to be told, once no lock is held.
struct Aftermath {
  std::vector<std::pair<StreamDone, StreamResult>> answers{};
  std::vector<std::shared_ptr<Watcher>> watchers{};
  void run();
};

/// What a commit makes visible.
struct Effect {
  std::uint64_t stream = 0;  ///< 0: nothing to make visible, only to tell
  Position tail = 0;
  bool closed = false;
  StreamDone done{};
  StreamResult result{};
};

struct StoreCoreOptions {
  const Clock* clock = nullptr;
  StoreLimits limits{};
  std::size_t cacheBytes = 0;    ///< 0: everything stays in memory
  std::size_t pendingBytes = 0;  ///< of a journal's batch
};

/// A part of a read: from memory, or from the log.
struct ReadPiece {
  ContentSlice slice{};
  std::shared_ptr<File> file{};
  std::string name{};               ///< of the file, for messages
  std::vector<std::uint32_t> at{};  ///< of appends that follow each other in the stream
  std::vector<std::uint32_t> size{};
  std::uint32_t skip = 0;  ///< octets of the first append that are not wanted
  std::uint32_t drop = 0;  ///< and of the last
};

/// @thread Any, but for what is marked "under the lock".
class StoreCore {
 public:
  /// @param journal null: nothing is kept beyond the process.
  StoreCore(StoreCoreOptions options, Journal* journal);

  void create(std::string_view path, CreateStream&& request, StreamDone&& done);
  void append(std::string_view path, AppendToStream&& request, StreamDone&& done);
  void remove(std::string_view path, StreamDone&& done);
  StreamRead head(std::string_view path);
  StreamRead read(std::string_view path, Position from, std::size_t maxBytes);
  std::uint64_t watch(std::string_view path, StreamWatch&& watch);
  void unwatch(std::uint64_t id);
  std::vector<std::string> paths();
  std::size_t size();
  void putNote(std::string_view key, std::string_view value, StreamDone&& done);
  std::vector<std::pair<std::string, std::string>> notes();
  std::size_t sweep();

  std::mutex& lock() noexcept { return mutex_; }
  /// Called under the lock when a journal's batch got its first record.
  void onPending(std::function<void()> call) { onPending_ = std::move(call); }
  /// Under the lock: the effects of the batch that is being filled.
  std::vector<Effect> takeEffects() { return std::exchange(effects_, {}); }
  /// Under the lock.
  std::size_t waiting() const noexcept { return effects_.size(); }
  /// Under the lock.
  bool failed() const noexcept { return !failure_.empty(); }
  void publish(std::vector<Effect>& effects, std::uint64_t commit, Aftermath& aftermath);
  /// Under the lock: from now on every change is refused. What waits is told so.
  void fail(const std::string& why, std::vector<Effect>& effects, Aftermath& aftermath);

  /// Recovery, and the compactor, under the lock.
  std::unordered_map<std::uint64_t, std::unique_ptr<Stream>>& streams() noexcept { return streams_; }
  std::unordered_map<std::string, Note>& noteMap() noexcept { return notes_; }
  void adopt(std::unique_ptr<Stream> stream);
  void linkSources();
  void nextId(std::uint64_t id) { nextId_ = id; }
  std::uint64_t lastCommit() const noexcept { return committed_; }
  void committedUpTo(std::uint64_t commit) { committed_ = commit; }

 private:
  struct PathHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
  };
  struct Deadline {
    Clock::Micros at;
    std::uint64_t stream;
    bool operator>(const Deadline& other) const noexcept { return at > other.at; }
  };

  // All of these under the lock.
  Stream* find(std::string_view path, Clock::Micros now, Aftermath& aftermath);
  bool expired(const Stream& stream, Clock::Micros now) const;
  std::optional<Clock::Micros> deadlineOf(const Stream& stream) const;
  void watchDeadline(const Stream& stream);
  void dropStream(Stream& stream, Aftermath& aftermath);
  void erase(Stream& stream, Aftermath& aftermath);
  bool refused(StreamDone& done, Aftermath& aftermath);
  void answer(StreamDone&& done, StreamResult&& result, std::uint64_t ticket, Aftermath& aftermath);
  void changed(Stream& stream, StreamDone&& done, StreamResult&& result, Aftermath& aftermath);
  void makeVisible(Stream& stream, Position tail, bool closed, Aftermath& aftermath);
  void tellWatchers(Stream& stream, Aftermath& aftermath);
  void pending();
  Verdict checkWriter(Stream& stream, const AppendToStream& request, StreamResult& result, Clock::Micros now);
  Verdict checkProducer(Stream& stream, const ProducerStamp& stamp, StreamResult& result) const;
  bool roomForProducer(Stream& stream, const ProducerStamp& stamp, Clock::Micros now) const;
  void applyAppend(Stream& stream, const AppendToStream& request, std::string_view octets, Clock::Micros now);
  void putExtent(Stream& stream, std::string_view octets, const AppendRecord& record);
  StreamResult existing(Stream& stream, const CreateStream& request) const;
  Verdict describeStream(const CreateStream& request, Stream& stream, Clock::Micros now, Aftermath& aftermath);
  void admit(std::unique_ptr<Stream> stream, std::string_view content, bool closed, StreamDone&& done,
             Aftermath& aftermath);
  Verdict resolveFork(const CreateStream& request, Stream& stream, Clock::Micros now, Aftermath& aftermath);
  Verdict resolveSubPosition(Stream& source, Position anchor, std::uint64_t sub, Position& base);
  void planRead(const Stream& stream, Position from, Position to, std::vector<ReadPiece>& plan) const;
  void planFromLog(const Stream& stream, Position from, Position to, std::vector<ReadPiece>& plan) const;
  void account(std::uint64_t stream, std::size_t taken);

  const Clock& clock_;
  const StoreCoreOptions options_;
  Journal* const journal_;
  JsonChecker json_;

  std::mutex mutex_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Stream>> streams_;
  std::unordered_map<std::string, Stream*, PathHash, std::equal_to<>> byPath_;
  std::unordered_map<std::string, Note> notes_;
  std::unordered_map<std::uint64_t, std::uint64_t> watched_;  ///< watcher to stream
  std::priority_queue<Deadline, std::vector<Deadline>, std::greater<>> deadlines_;
  std::deque<std::uint64_t> cached_;  ///< streams in the order in which they took chunks
  std::size_t cachedBytes_ = 0;
  std::vector<Effect> effects_;
  std::function<void()> onPending_;
  std::string failure_;
  std::uint64_t committed_ = 0;
  std::uint64_t nextId_ = 1;
  std::uint64_t nextWatcher_ = 1;
};

/// Reads the pieces, checking those that come from the log. Under no lock.
/// @throws Error{storeCorrupt} naming file and offset.
std::string readPieces(const std::vector<ReadPiece>& plan, std::size_t octets);

}  // namespace tidegate::durable_streams::detail
