/// Threads for calls that wait for something, so that those of the server never do.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace tidegate::server::detail {

/// @thread Any. Its threads start with the first call.
class BlockingPool {
 public:
  BlockingPool(std::size_t threads, std::size_t queue) : size_(threads), room_(queue) {}
  /// Runs what is queued to its end.
  ~BlockingPool();
  BlockingPool(const BlockingPool&) = delete;
  BlockingPool& operator=(const BlockingPool&) = delete;

  /// @throws Error{storeUnavailable} where too many wait already.
  void run(std::function<void()> call);

 private:
  void addThread();
  void work();

  const std::size_t size_;
  const std::size_t room_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> waiting_;
  bool ending_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace tidegate::server::detail
