/// One poll as the table pollers see it: how to ask the source, and when to end early.
#pragma once

#include <atomic>
#include <optional>
#include <stop_token>
#include <vector>

#include "source/detail/poll_guard.h"
#include "tidegate/core/query.h"
#include "tidegate/source/ingest_config.h"

namespace tidegate::detail {

/// Rows of one answer. Every step into the driver crosses the guard, and a crossing costs as much as reading a short
/// row, so a few rows are taken at each.
class GuardedRows {
 public:
  GuardedRows(ResultSet rows, PollGuard& guard)
      : rows_(std::move(rows)), guard_(&guard), width_(rows_->columns()->size()) {}
  GuardedRows(GuardedRows&&) noexcept = default;
  GuardedRows& operator=(GuardedRows&&) = delete;
  /// Ending a query early may wait for the driver.
  ~GuardedRows();

  const Columns& columns() const { return rows_->columns(); }
  /// Swaps the next row into `values`, so that strings' capacity goes round.
  /// @throws Error as the driver's; Error{queryFailed} for a row that does not fit its columns.
  bool next(std::vector<Value>& values) {
    if (at_ == taken_ && !take()) return false;
    values.swap(ahead_[at_++]);
    return true;
  }

 private:
  static constexpr std::size_t kRowsAhead = 16;

  /// Takes rows from the driver. @return whether there were any.
  bool take();

  std::optional<ResultSet> rows_;
  std::vector<std::vector<Value>> ahead_{kRowsAhead};
  std::size_t at_ = 0, taken_ = 0;
  bool ended_ = false;
  PollGuard* guard_;
  std::size_t width_;
};

/// @thread The polling thread; `requestStop` through the token from any.
class PollRun {
 public:
  struct Control {
    PollGuard& guard;
    std::stop_token stop;             ///< ends the poll with an error, and cancels the running query
    const std::atomic<bool>& paused;  ///< ends it after the next push, without one
  };
  PollRun(const IngestSourceConfig& config, Control control) : config_(config), control_(std::move(control)) {}

  /// Asks the source, with the stop token and the configured timeout.
  GuardedRows ask(Query query);
  /// Between two pushes: whether to end there. @throws Error{queryCancelled} if the poll was stopped.
  bool endsHere() const;
  PollGuard& guard() const noexcept { return control_.guard; }

 private:
  const IngestSourceConfig& config_;
  Control control_;
};

}  // namespace tidegate::detail
