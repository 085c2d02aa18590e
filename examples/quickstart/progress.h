// What the poller tells, added up, and a line about it every second.
#pragma once

#include <fmt/core.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

#include "tidegate/source/source_poller.h"

namespace quickstart {

/// @thread The poller's thread calls it; the numbers may be read, and lines printed, from another.
class Progress final : public tidegate::PollObserver {
 public:
  void onPoll(const std::string&, const tidegate::PollReport& report) override {
    for (const tidegate::TableReport& table : report.tables) {
      rowsRead_ += table.rowsRead;
      applied_ += table.applied;
      if (table.error) fmt::print("  {}: {}\n", table.table, table.error->what());
    }
    if (report.ok()) ++polls_;
  }
  void onWarning(const std::string&, const std::string& message) override { fmt::print("  warning: {}\n", message); }

  /// Polls that ended without an error.
  std::uint64_t polls() const { return polls_; }

  /// Prints a line if the last one is a second old.
  void print(std::size_t changed, std::size_t pulled) {
    const auto now = std::chrono::steady_clock::now();
    if (now < nextLine_) return;
    nextLine_ += std::chrono::seconds(1);
    fmt::print(
        "{:3.0f} s | shop: {:6} rows changed | poller: {:3} polls, {:7} rows read, {:6} changes | client: {:6} "
        "deltas\n",
        std::chrono::duration<double>(now - start_).count(), changed, polls_.load(), rowsRead_.load(), applied_.load(),
        pulled);
    std::fflush(stdout);
  }

 private:
  std::atomic<std::uint64_t> polls_ = 0, rowsRead_ = 0, applied_ = 0;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point nextLine_ = start_;
};

}  // namespace quickstart
