/// Polls one table by its cursor (docs/decisions/0005).
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "source/detail/commit_horizon.h"
#include "source/detail/cursor_page.h"
#include "source/detail/cursor_sql.h"
#include "source/detail/poll_context.h"
#include "source/detail/poll_state.h"

namespace tidegate::detail {

/// What lasts from poll to poll. Members change only after what they stand for was accepted; only fingerprints of rows
/// about to be pushed are forgotten before, here and in the saved state, since nobody may live to note the outcome.
/// @thread The polling thread.
class CursorPoller final : public TablePoller {
 public:
  CursorPoller(const PollContext& context, const IngestTableConfig& table);
  void poll(PollRun& run, TableReport& report) override;

 private:
  friend class CursorPoll;
  void load();
  /// Saves what was accepted since the last save. Windows of more than `mostPrints` fingerprints are left out: between
  /// the pushes of a long poll their size would multiply.
  void save(std::size_t mostPrints);
  void forgot() { forgot_ = dirty_ = true; }

  const PollContext& context_;
  const IngestTableConfig& table_;
  const CursorStrategy& strategy_;
  const bool streams_;             ///< rows come as they are read; else a page is in memory, and is one push
  const std::size_t pushRows_;     ///< rows read for one push
  const std::size_t catchUpRows_;  ///< rows a page from the second on
  const std::chrono::milliseconds streamTime_;
  const CursorSql sql_;
  const std::uint64_t config_;
  bool loaded_ = false;
  bool dirty_ = false;   ///< something is not saved
  bool forgot_ = false;  ///< fingerprints that the saved state may still hold: no push before it is saved anew
  CursorState state_;
  std::uint64_t nextNumber_ = 2;  ///< of the next row read; 1 is for rows from a saved state
};

}  // namespace tidegate::detail
