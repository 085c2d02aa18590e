/// Reads one connection's binlog: groups of events become transactions, their rows changes.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "mysql/detail/binlog_delivery.h"
#include "mysql/detail/binlog_event.h"
#include "mysql/detail/binlog_link.h"
#include "mysql/detail/binlog_tables.h"
#include "mysql/detail/row_changes.h"
#include "mysql/detail/source_core.h"

namespace tidegate::mysql::detail {

/// A prepared XA transaction that is not decided yet.
struct PreparedXa {
  Border before{};                  ///< where it was prepared
  std::vector<std::string> events;  ///< its TABLE_MAP and row events, without checksums
};

/// @thread The stream's.
class BinlogReader {
 public:
  struct Hooks {
    std::function<void()> enterPaused{}, leavePaused{};
    std::function<void()> monitor{};
    std::function<void()> worked{};  ///< something was delivered
  };
  /// @param chunks of a baseline that is read beside the stream; null: none.
  BinlogReader(SourceCore& core, const ChangeHandler& handler, BinlogTables& tables, RowChanges::Fill fill, Hooks hooks,
               ChunkedBaseline* chunks = nullptr);

  /// Until stopped, by StreamStopped. @throws Error, HandlerFailed
  void run(BinlogLink& link, const Position& from, std::stop_token stop);
  const Position& taken() const noexcept { return delivery_.taken(); }

  /// Takes one event's octets, as they come from the server; `run` without a server.
  void take(std::string_view octets);
  void restart(const Position& from);

 private:
  using Micros = Clock::Micros;
  void step();
  bool burstGoesOn();
  void drained();
  void interleave();
  void checkSilence();
  void whilePaused();
  void breathe();
  void keepUp(Micros now);
  std::chrono::milliseconds untilNextDuty(Micros now) const;

  void dispatch(const BinlogEvent& event);
  void rotate(const BinlogEvent& event);
  void gtid(const BinlogEvent& event);
  void mySqlGtid(const BinlogEvent& event);
  void query(const BinlogEvent& event);
  void payload(const BinlogEvent& event);
  void rowEvent(const BinlogEvent& event);
  void definition(const LoggedStatement& statement);
  void renamed(const LoggedStatement& statement);
  void announce(const TableName& name, const Alteration& alteration);
  void emptied(const TableName& name);
  void gone(const TableName& name);

  void open(const BinlogEvent& event);
  void close();
  void prepared(bool onePhase);
  void decide(bool commit);
  void noteOffset(const BinlogEvent& event);
  Border borderNow() const;
  std::optional<Border> restartBorder() const;
  Place placeNow() const;
  bool readsRows() const noexcept { return chunks_ != nullptr && chunks_->pending(); }

  SourceCore& core_;
  ChunkedBaseline* chunks_;
  BinlogTables& tables_;
  Hooks hooks_;
  BinlogDelivery delivery_;
  RowChanges changes_;
  BinlogLink* link_ = nullptr;
  std::stop_token stop_;

  BinlogFormat format_;
  Place from_;
  Border border_;                        ///< behind the last group
  std::uint64_t file_ = 0, offset_ = 0;  ///< of what was read last
  Gtid current_;                         ///< of the open group
  bool inGroup_ = false;
  bool sawBegin_ = false;  ///< a COMMIT follows; else one statement, and nothing behind it
  bool skip_ = false;      ///< the group was delivered before
  std::string xid_;        ///< of an XA transaction that the group prepares or decides
  bool preparing_ = false, deciding_ = false;
  bool halfAltered_ = false;  ///< the statement that comes has not taken effect
  std::map<std::string, PreparedXa> prepared_;
  std::size_t preparedBytes_ = 0;
  std::string inflated_;

  Micros lastMonitor_{0}, lastProgress_{0}, quietSince_{0};
  bool quiet_ = false;  ///< nothing has come since `quietSince_`
  std::uint32_t sinceClock_ = 0, sinceRows_ = 0;
  std::uint32_t burst_ = 0;  ///< events since the last wait
  bool tookRows_ = false;    ///< the baseline appended rows when it was last asked
  std::uint64_t takenBefore_ = 0;
};

}  // namespace tidegate::mysql::detail
