/// What the server may be told: what is durable elsewhere, and nothing else.
///
/// Where nothing comes for us, `progress` events carry the place on, and it is confirmed once a checkpoint has it. So
/// nobody who goes on from a checkpoint can lie before what was confirmed, unless something is lost to him.
#pragma once

#include <atomic>
#include <mutex>

#include "postgres/detail/position.h"

namespace tidegate::postgres::detail {

/// The first octet of log that the server must keep for somebody who goes on after `place`.
///
/// The server sends again every transaction whose commit record begins at or behind what was confirmed; so one octet
/// behind that beginning confirms the transaction.
Lsn confirmedBy(const Place& place) noexcept;

/// @thread `ack`, `acked`, and what is only read: any. The rest: the stream's.
class Feedback {
 public:
  /// All up to here is durable. @return whether that is news.
  bool ack(const Position& position);
  /// The greatest acknowledged; empty: none.
  Position acked() const;

  /// Whether something was acknowledged since this was last asked.
  bool takeNews() noexcept { return news_.exchange(false); }

  /// The slot is a new one: what was said of another says nothing.
  void forget();
  /// The stream begins (again) behind `from`; nothing of it has been received.
  void restart(const Place& from);
  /// All that committed before has been read, and is delivered or waits in hand.
  void received(Lsn lsn) noexcept;
  Lsn received() const noexcept { return received_; }

  /// For the lag: all before `lsn` was handed over, the last of it committed then (0: unknown).
  void reached(Lsn lsn, std::int64_t commitMicros) noexcept {
    reached_ = lsn;
    lastCommitMicros_ = commitMicros;
  }
  Lsn reached() const noexcept { return reached_; }
  std::int64_t lastCommitMicros() const noexcept { return lastCommitMicros_; }

  /// How far the server may forget: never past what it has sent. 0: nothing yet. Never goes back.
  Lsn durable();
  /// What `durable` last gave.
  Lsn confirmed() const noexcept { return confirmed_.load(); }

 private:
  mutable std::mutex mutex_;
  Position acked_;  ///< guarded by mutex_
  std::atomic<bool> news_{false};
  Lsn received_ = 0;
  std::atomic<Lsn> confirmed_{0};
  std::atomic<Lsn> reached_{0};
  std::atomic<std::int64_t> lastCommitMicros_{0};
};

}  // namespace tidegate::postgres::detail
