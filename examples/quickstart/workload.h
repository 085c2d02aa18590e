// A second thread that keeps changing the shop, as the shop's own programs would.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <stop_token>
#include <thread>

#include "shop.h"

namespace quickstart {

/// Changes the shop from its construction until `stop`.
class Workload {
 public:
  explicit Workload(Shop& shop) : thread_([this, &shop](std::stop_token stop) { run(shop, stop); }) {}

  /// Rows changed so far.
  std::size_t changes() const { return changes_; }
  /// Ends the thread; throws what ended it early, if something did.
  void stop();

 private:
  void run(Shop& shop, const std::stop_token& stop);

  std::atomic<std::size_t> changes_ = 0;
  std::exception_ptr failure_;  ///< written by the thread, read after it has ended
  std::jthread thread_;
};

}  // namespace quickstart
