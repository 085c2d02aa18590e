/// The durable stream source without its interface: reading, delivering, and what is done when the stream breaks.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "durable_streams/detail/message_mapper.h"
#include "durable_streams/detail/stream_place.h"

namespace tidegate::durable_streams::detail {

/// Messages become events, and events go to the handler. One for each `baseline` and `stream`.
/// @thread One at a time.
class StreamDelivery {
 public:
  struct Hooks {
    /// Offers a batch until it is taken. @return false: stopped.
    std::function<bool(ChangeBatch& batch)> offer;
    /// A message that does not fit. Throws, or returns: it is left out.
    std::function<void(const Error& why, const StreamPlace& at)> malformed;
    std::function<std::int64_t()> nowMicros;
  };
  StreamDelivery(const MessageMapper& mapper, std::set<std::string> wanted, std::size_t batchEvents, bool asRead,
                 Hooks hooks)
      : mapper_(mapper),
        wanted_(std::move(wanted)),
        batchEvents_(batchEvents),
        asRead_(asRead),
        hooks_(std::move(hooks)) {}

  /// Goes on behind `from`.
  void begin(const StreamPlace& from);
  /// Takes a chunk. @return false: stopped.
  bool take(const Chunk& chunk);
  /// A border of a baseline, where it stands.
  bool border(ChangeOp op, const Shape& shape);
  bool flush();
  /// In a baseline: tells the rows that the messages came to. @return false: stopped.
  bool tellEntities();
  const StreamPlace& place() const noexcept { return place_; }
  std::int64_t lastCommitMicros() const noexcept { return lastCommitMicros_; }

 private:
  bool takeMessage(std::string_view message, const StreamPlace& after);
  ChangeEvent& add(ChangeEvent event, const StreamPlace& after);
  bool flushUnlessHeld();
  void tellProgress();
  void keepEntity(ChangeEvent event);

  const MessageMapper& mapper_;
  std::set<std::string> wanted_;
  std::size_t batchEvents_;
  bool asRead_;  ///< a baseline is read
  Hooks hooks_;
  StreamPlace place_{};
  std::uint64_t deliverAfter_ = 0;  ///< messages up to this number were told before
  std::uint32_t skipSteps_ = 0;     ///< and so many events of the next
  StreamPlace told_{};              ///< of the last event
  ChangeBatch batch_{};
  MappedMessage mapped_{};
  /// In a baseline: for each table of entities, its rows so far by key.
  std::map<Shape, std::map<std::string, std::vector<Value>>> entities_{};
  std::int64_t lastCommitMicros_ = 0;
};

/// @thread As SyncSource.
class SourceCore {
 public:
  explicit SourceCore(SourceOptions options);

  void init(const SourceContext& context);
  Shape shapeOf(const std::string& table) const { return mapper_.shapeOf(table); }
  std::string unknownTable(const std::string& table) const;
  /// What speaks against reading the stream.
  std::vector<TableIssue> streamIssues();
  tidegate::Position baseline(const std::vector<std::string>& tables, const ChangeHandler& handler,
                              const std::stop_token& stop);
  void stream(const std::vector<std::string>& tables, const tidegate::Position& from, const ChangeHandler& handler,
              const std::stop_token& stop);
  std::vector<std::vector<Value>> rowsOf(const std::string& table, const std::stop_token& stop);

  void ack(const tidegate::Position& position);
  tidegate::Position lastAcked() const;
  void setPaused(bool paused);
  SourceState state() const { return state_.state(); }
  SourceLag lag() const;
  void close() { state_.to(SourceState::closed, "closed"); }

 private:
  void requireOpen();
  void requireStream(const std::stop_token& stop);
  void catchUp(const std::string& from, const std::stop_token& stop,
               const std::function<bool(const Chunk& chunk)>& onChunk);
  StreamDelivery deliveryFor(const std::vector<std::string>& tables, const ChangeHandler& handler, SourceState back,
                             const std::stop_token& stop);
  bool waitWhilePaused(SourceState back, const std::stop_token& stop);
  void malformed(const Error& why, const StreamPlace& at);
  void follow(StreamDelivery& delivery, Backoff& backoff, const std::stop_token& stop);
  bool readOn(Reader& reader, StreamDelivery& delivery, Backoff& backoff, const std::stop_token& stop);
  void waitAtEnd(const std::stop_token& stop);
  void note(const StreamDelivery& delivery, bool upToDate);
  [[noreturn]] void refuse(const StreamError& e, bool hadPlace);
  DurableStream streamOf();

  const SourceOptions options_;
  const std::string name_;
  const MessageMapper mapper_;
  DurableStreamClient client_;
  SourceContext context_{};
  const Clock* clock_ = &systemClock();
  Scheduler* scheduler_ = &systemScheduler();
  SourceStateMachine state_;

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  // guarded by mutex_
  bool paused_ = false;
  bool upToDate_ = false;
  std::int64_t lastCommitMicros_ = 0;
  tidegate::Position acked_;
};

}  // namespace tidegate::durable_streams::detail
