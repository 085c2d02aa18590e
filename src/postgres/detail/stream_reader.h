/// The stream's loop: reads the replication connection, delivers, and keeps the server informed meanwhile.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <set>
#include <stop_token>
#include <string>

#include "postgres/detail/change_decoder.h"
#include "postgres/detail/delivery.h"
#include "postgres/detail/feedback.h"
#include "postgres/detail/pgoutput.h"
#include "postgres/detail/pgoutput_relations.h"
#include "postgres/detail/replication_connection.h"
#include "postgres/detail/transaction_spill.h"
#include "postgres/detail/wake_up.h"
#include "tidegate/core/clock.h"

namespace tidegate::postgres::detail {

struct StreamReaderOptions {
  std::chrono::milliseconds statusInterval{5'000};    ///< feedback, and `progress` events of a quiet stream
  std::chrono::milliseconds monitorInterval{10'000};  ///< of `StreamHooks::monitor`
  DeliveryOptions delivery{};
  SpillOptions spill{};
  std::set<std::string, std::less<>> skipOrigins{};  ///< transactions whose changes are left out
};

/// What the loop asks of its owner. All on the stream's thread.
struct StreamHooks {
  std::function<bool()> paused;
  std::function<void()> enterPaused, leavePaused;  ///< for the state machine
  std::function<void()> monitor;                   ///< every `monitorInterval`
  /// The server asks for an answer while it waits for us to confirm something. It may be about to end, which it does
  /// not do before everything it sent is confirmed: then this throws, so that a slow sink does not keep it from ending.
  std::function<void()> askedForReply;
  /// Between transactions: schema changes to announce that the stream is past.
  std::function<void(Lsn received)> between;
  std::function<void()> worked;  ///< something was taken: failures before are forgotten
};

/// Parts that the loop works on; all outlive it.
struct StreamParts {
  const ChangeHandler& handler;
  Feedback& feedback;
  PgoutputRelations& relations;
  StreamInterleave* interleave;  ///< null: none
  FillUnchanged fill;
  const WakeUp& wake;
  const Clock& clock;
};

/// @thread The stream's.
class StreamReader {
 public:
  StreamReader(StreamParts parts, StreamReaderOptions options, StreamHooks hooks);

  /// Goes on on a connection that streams, behind `from`, until stopped.
  /// @throws StreamStopped, HandlerFailed; Error when the connection ended or says what cannot be read.
  void run(ReplicationConnection& connection, const Position& from, std::stop_token stop);
  /// Feedback is sent at least this often.
  void setStatusInterval(std::chrono::milliseconds interval) { options_.statusInterval = interval; }
  /// The position of the last event taken.
  const Position& taken() const noexcept { return delivery_.taken(); }
  Delivery& delivery() noexcept { return delivery_; }
  const TransactionSpill& spill() const noexcept { return spill_; }

 private:
  using Micros = Clock::Micros;
  void step();
  void drained();
  void whilePaused();
  void breathe();
  void keepUp(Micros now);
  void sendStatus(Micros now);
  std::chrono::milliseconds untilNextDuty(Micros now) const;

  void take(std::string_view octets);
  void takeOutput(std::string_view body);
  void takeInBlock(std::string_view body);
  void replay();
  bool isLeftOut() const;
  void takeLogicalMessage();
  void betweenTransactions();

  StreamParts parts_;
  StreamReaderOptions options_;
  StreamHooks hooks_;
  Delivery delivery_;
  ChangeDecoder decoder_;
  TransactionSpill spill_;
  PgoutputMessage message_;

  ReplicationConnection* connection_ = nullptr;
  std::stop_token stop_;
  bool skipping_ = false;      ///< the open transaction is of an origin that is left out
  bool inBlock_ = false;       ///< between streamStart and streamStop
  std::uint32_t block_ = 0;    ///< the transaction of that block
  bool askAgainSoon_ = false;  ///< the interleave has something under way
  std::uint64_t takenBefore_ = 0;
  std::uint32_t sinceClock_ = 0;  ///< messages since the clock was last read
  Micros lastStatus_{0}, lastMonitor_{0}, lastProgress_{0};
};

}  // namespace tidegate::postgres::detail
