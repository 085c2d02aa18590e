/// The NATS source without its interface: reading, delivering, and what is done when the connection breaks.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "nats/detail/read_table.h"
#include "tidegate/nats/source.h"

namespace tidegate::nats::detail {

/// A place in a stream. `incarnation` tells streams of one name apart.
struct StreamPlace {
  std::uint64_t sequence = 0;
  std::uint64_t incarnation = 0;  ///< 48 bits
  bool operator==(const StreamPlace&) const = default;
};
/// 14 octets. "17@0123456789ab" as text.
Position positionOf(const StreamPlace& place);
std::optional<StreamPlace> placeOf(const Position& position) noexcept;
/// @throws Error{invalidArgument}
StreamPlace requirePlace(const Position& position);
std::string placeText(const StreamPlace& place);
std::optional<StreamPlace> placeFromText(std::string_view text) noexcept;
std::uint64_t incarnationOf(const StreamInfo& info);

/// Collects the events of some tables into batches, with transactions' borders where a left out table had them.
/// @thread One at a time.
class EventDelivery {
 public:
  /// Offers a batch until it is taken. @return false: stopped.
  using Offer = std::function<bool(ChangeBatch& batch)>;
  EventDelivery(std::set<std::string> wanted, std::size_t batchEvents, std::uint64_t incarnation, Offer offer)
      : wanted_(std::move(wanted)), batchEvents_(batchEvents), incarnation_(incarnation), offer_(std::move(offer)) {}

  /// @return false: stopped.
  bool take(ChangeEvent& event, std::uint64_t sequence);
  /// After a unit: tells what is in hand, or only that the stream went on. `empty`: the unit had no events at all.
  /// @return false: stopped.
  bool endUnit(std::uint64_t sequence, bool empty);
  /// What was offered last and taken.
  std::uint64_t told() const noexcept { return told_; }
  void setTold(std::uint64_t sequence) noexcept { told_ = sequence; }
  std::int64_t lastCommitMicros() const noexcept { return lastCommitMicros_; }
  /// Lets go of what was not told: it will come again.
  void forget() noexcept {
    batch_.clear();
    begins_ = false;
  }

 private:
  bool flush(std::size_t keep);

  const std::set<std::string> wanted_;
  const std::size_t batchEvents_;
  const std::uint64_t incarnation_;
  const Offer offer_;
  ChangeBatch batch_;
  std::uint64_t told_ = 0;
  bool dropped_ = false;  ///< an event that nobody wants came since the last that was told
  bool begins_ = false;   ///< the transaction began with an event that nobody wants
  std::int64_t lastCommitMicros_ = 0;
};

/// @thread As SyncSource.
class SourceCore {
 public:
  explicit SourceCore(SourceOptions options) : options_(std::move(options)) {}

  void init(const SourceContext& context);
  /// The tables of the stream's last commit, by name. @throws Error{tableNotFound} where there is no such stream.
  std::map<std::string, Shape> tables(const std::stop_token& stop);
  std::vector<TableIssue> validate(const std::vector<std::string>& tables);
  Shape describe(const std::string& table);
  Position baseline(const std::vector<std::string>& tables, const ChangeHandler& handler, const std::stop_token& stop);
  void stream(const std::vector<std::string>& tables, const Position& from, const ChangeHandler& handler,
              const std::stop_token& stop);
  std::unique_ptr<RowStream> readTable(const std::string& table, const std::stop_token& stop);

  void ack(const Position& position);
  Position lastAcked() const;
  void setPaused(bool paused);
  SourceState state() const { return state_.state(); }
  SourceLag lag() const;
  void close();

 private:
  struct Session {
    explicit Session(const ConnectOptions& options) : connection(options, {.reconnects = false}), js(connection) {}
    Connection connection;
    JetStream js;
  };
  void requireOpen();
  /// Runs `work` with a connection, and again with another while that breaks. @return false: stopped.
  bool connected(const std::stop_token& stop, const std::function<void(Session& session)>& work);
  Session& session();
  bool waitWhilePaused(SourceState back, const std::stop_token& stop);
  bool offer(ChangeBatch& batch, const ChangeHandler& handler, SourceState back, const std::stop_token& stop);
  void follow(EventDelivery& delivery, Backoff& backoff, const StreamPlace& from, const std::stop_token& stop);
  void readOn(EventDelivery& delivery, Backoff& backoff, const StreamPlace& from, const std::stop_token& stop);
  void checkPlace(const StreamInfo& info, const StreamPlace& place, std::uint64_t told) const;
  void requireWhole(const FoldedStream& folded, const std::string& table) const;
  bool tellRows(const FoldedStream& folded, const std::vector<std::string>& tables, const Position& at,
                const std::function<bool(ChangeBatch&)>& offer);
  void endStream(const std::exception_ptr& failure);
  void noteLag(const EventDelivery& delivery, std::uint64_t waitingBytes);
  void noteInHand(const ChangeBatch& batch);
  std::string unknownTable(const std::string& table) const;

  const SourceOptions options_;
  SourceContext context_{};
  const Clock* clock_ = &systemClock();
  Scheduler* scheduler_ = &systemScheduler();
  SourceStateMachine state_;
  std::unique_ptr<Session> session_;

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  // guarded by mutex_
  bool paused_ = false;
  std::uint64_t waitingBytes_ = 0;
  std::int64_t lastCommitMicros_ = 0;
  Position acked_{};
};

}  // namespace tidegate::nats::detail
