/// One call of `stream`: connects, reads, and begins again behind what was taken.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "mysql/detail/binlog_reader.h"
#include "mysql/detail/source_core.h"
#include "tidegate/source/backoff.h"

namespace tidegate::mysql::detail {

/// @thread The stream's.
class BinlogStream {
 public:
  BinlogStream(SourceCore& core, const std::vector<std::string>& tables, const Position& from,
               const ChangeHandler& handler, std::stop_token stop);

  /// Until stopped. @throws Error, and whatever the handler threw.
  void run();
  /// The place behind what was handed over; empty: it has not begun.
  const Position& taken() const noexcept { return reader_.taken(); }

 private:
  void attempt();
  void learnNames();
  BinlogStart startOf(const Border& border);
  void requireExecuted(const Place& place);
  bool fill(const TableBinding& table, std::vector<Value>& row, const std::vector<std::uint32_t>& columns);
  void monitor();
  BinlogReader::Hooks hooks();

  SourceCore& core_;
  Position from_;
  std::stop_token stop_;
  BinlogTables tables_;
  ChunkedBaseline chunks_;
  BinlogReader reader_;
  Backoff backoff_;
  bool begun_ = false;  ///< the server accepted a stream in this call
  bool lagDenied_ = false;
  Clock::Micros startedAt_{0};
};

/// Where the server is asked to begin for what lies behind a border by file. It takes 32 bits of an offset. Beyond,
/// only the end of the file's last group of commits can lie, since the server rotates behind it: where no more is left
/// than a rotation, the next file's beginning; else that of the file itself, and what lies before the border is passed
/// over.
Border startBorder(const Border& from, const std::vector<BinlogFile>& files);

}  // namespace tidegate::mysql::detail
