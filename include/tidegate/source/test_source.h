/// A source for tests, of this library and of its users: reads a TestDatabase, and fails in every way that one asks
/// for.
///
///     auto db = std::make_shared<TestDatabase>();
///     auto source = std::make_shared<TestSource>(db);
///     …                                              // the engine streams from it on its own thread
///     db->insert("users", {1, "Ada"});
///     source->disconnect();                          // it reconnects by itself
///     source->failAtEvent(3, Error(ErrorCode::positionLost, Retry::afterOperator, "as scripted"));
///
/// With an injected Clock and Scheduler, and `onIdle`, it is deterministic on one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/source/backoff.h"
#include "tidegate/source/sync_source.h"
#include "tidegate/source/test_database.h"

namespace tidegate {

/// A mistake to make on purpose, to show that a test notices it. Each is one that real sources have made.
enum class TestDefect {
  none,
  gapAfterBaseline,        ///< the stream begins one transaction late
  repeatsAfterBaseline,    ///< and one early
  losesWhenFull,           ///< a batch that was declined is not offered again
  repeatsWhenFull,         ///< it was declined, and comes again with its first event twice
  losesWhilePaused,        ///< what is committed during a pause never comes
  losesOnDisconnect,       ///< goes on after what was read, not after what was taken
  repeatsOnDisconnect,     ///< goes on at the beginning of the last transaction taken
  resumesAtTransactions,   ///< drops the rest of a transaction that a position lies in
  noPositions,             ///< events without a position
  samePositions,           ///< all events of a transaction have its end as their position
  noTransactionEnd,        ///< leaves out the border
  swapsTransactions,       ///< delivers two transactions that wait in the wrong order
  meetIsLater,             ///< the greater of two instead of the lesser
  textForgetsTransaction,  ///< positions go to text without how far their transaction is
  ackGoesBack,
  swallowsException,  ///< of the handler
  noLag,
  blindValidation  ///< finds no fault with any table
};

struct TestSourceOptions {
  std::size_t batchEvents = 100;  ///< at most; transactions may be split between batches
  BackoffOptions backoff{};
  OrderingGuarantee ordering = OrderingGuarantee::total;
  bool resumes = true;       ///< `supportsResume`
  std::string slot{"test"};  ///< under which the database remembers what was acknowledged
  /// Acknowledged log is forgotten at once, as a slot does: who acknowledges too much finds `positionLost`.
  bool forgetsAcknowledged = false;
  /// Waited, with the scheduler, before each batch.
  std::chrono::microseconds delay{0};
  /// Asked when there is nothing to deliver, instead of waiting: it may commit more. `stream` returns if it gives
  /// false. Without it `stream` waits until something is committed.
  std::function<bool()> onIdle{};
  /// Called after each batch of a baseline: a place for concurrent writes.
  std::function<void()> onBaselineBatch{};
  TestDefect defect = TestDefect::none;
};

/// Calls that can be made to fail.
enum class TestCall { init, validateTables, describeTable, baseline, connect, readTable };

/// @thread As SyncSource; the script and what it counts: any.
class TestSource final : public SyncSource {
 public:
  explicit TestSource(std::shared_ptr<TestDatabase> database, TestSourceOptions options = {});
  ~TestSource() override;

  /// The connection breaks at the next batch; the source connects again by itself.
  void disconnect();
  /// The next `times` calls of this kind throw. `connect` is every attempt to connect, that of `init` included.
  void failCalls(TestCall call, const Error& error, std::uint32_t times = 1);
  /// After `events` more events of `baseline` or `stream` were taken, the source fails: connectionFailed breaks the
  /// connection, anything else ends the call.
  void failAtEvent(std::uint64_t events, const Error& error);
  /// The stream goes back to `from`: an at-least-once source after a reconnect. What follows comes again.
  void redeliverFrom(const Position& from);
  /// What `lag` says from now on; nullopt: the truth again.
  void setLag(std::optional<SourceLag> lag);
  /// Every `ack`, ignored ones included, in order.
  std::vector<Position> acks() const;
  /// Events taken, batches declined, connections made.
  std::uint64_t delivered() const;
  std::uint64_t declined() const;
  std::uint64_t connects() const;
  /// The position after everything committed so far.
  Position end() const;
  /// Waits until the stream has delivered everything committed so far. @return false after `timeout` of real time.
  bool awaitDelivered(std::chrono::milliseconds timeout) const;

  void init(const SourceContext& context) override;
  std::vector<TableIssue> validateTables(const std::vector<std::string>& tables) override;
  Shape describeTable(const std::string& table) override;
  Position baseline(const std::vector<std::string>& tables, const ChangeHandler& handler,
                    std::stop_token stop) override;
  void stream(const std::vector<std::string>& tables, const Position& from, const ChangeHandler& handler,
              std::stop_token stop) override;
  void ack(const Position& position) override;
  Position lastAckedPosition() const override;
  bool supportsResume() const override;
  std::partial_ordering comparePositions(const Position& a, const Position& b) const override;
  Position meet(const Position& a, const Position& b) const override;
  std::string positionToText(const Position& position) const override;
  Position positionFromText(std::string_view text) const override;
  OrderingGuarantee orderingGuarantee() const override;
  void pause() override;
  void resume() override;
  SourceState state() const override;
  SourceLag lag() const override;
  void close() override;
  std::unique_ptr<RowStream> readTable(const std::string& table, std::stop_token stop) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidegate
