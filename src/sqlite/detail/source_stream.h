/// One call of `stream`: rows of the change table as events, in units of work.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "sqlite/detail/source_core.h"
#include "sqlite/detail/source_log.h"

namespace tidegate::sqlite::detail {

/// A read transaction sees whole transactions of writers only, so the end of what it sees is the end of one. What it
/// sees is told as one unit, divided where a writer wrote a border, and where an earlier look ended.
class SourceStream {
 public:
  SourceStream(SourceCore& core, const std::vector<std::string>& tables, const Position& from,
               const ChangeHandler& handler, std::stop_token stop);
  /// Until stopped. @throws SourceHandlerFailed, Error
  void run();

 private:
  /// What belongs to one opening of the file.
  struct Session {
    explicit Session(const SourceOptions& options, std::stop_token stop)
        : file(options, std::move(stop)), log(file, options), version(file.prepare("PRAGMA main.data_version")) {}
    SourceFile file;
    SourceLog log;
    StatementPtr version;
    StatementPtr rows{};
    std::int64_t seenVersion = -1;
  };

  void open();
  void followAnew();
  void loop();
  std::int64_t dataVersion();
  /// Reads what is new. @return whether there may be more at once.
  bool look();
  void readRows();
  /// @return whether the row was taken.
  bool takeRow(sqlite3_stmt* row);
  void addChange(sqlite3_stmt* row, const LoggedShape& shape, LogOp op);
  void addSchema(sqlite3_stmt* row, const LoggedShape& shape);
  void added(ChangeEvent& event);
  void endUnit();
  bool full() const { return batch_.size() >= core_.options.batchEvents || octets_ >= kMaxOctets; }
  /// @return false: stopped.
  bool deliver();
  bool offer(std::uint64_t events);
  void tellProgress();
  void measure();
  void trim();
  Error lost(const std::string& why) const;

  static constexpr std::size_t kMaxOctets = 8u << 20;

  SourceCore& core_;
  const std::set<std::string> tables_;
  const ChangeHandler& handler_;
  const std::stop_token stop_;
  Backoff backoff_;
  std::unique_ptr<Session> session_;

  LogPlace taken_;  ///< behind what the handler took
  LogPlace read_;   ///< behind the last row read
  ChangeBatch batch_;
  std::size_t octets_ = 0;
  bool unitOpen_ = false;
  bool afterSchema_ = false;  ///< the last row read was a unit by itself
  bool atEnd_ = false;        ///< nothing more is known to wait
  std::uint64_t unit_ = 0;    ///< seq of its first change
  std::int64_t rowMicros_ = 0;
  Clock::Micros nextTrim_{0}, nextCheck_{0};
  bool warnedOfRows_ = false;
};

}  // namespace tidegate::sqlite::detail
