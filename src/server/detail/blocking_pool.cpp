#include "server/detail/blocking_pool.h"

#include <system_error>
#include <utility>

#include "tidegate/core/error.h"

namespace tidegate::server::detail {

BlockingPool::~BlockingPool() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  threads_.clear();
}

void BlockingPool::run(std::function<void()> call) {
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= room_) {
      throw Error(ErrorCode::storeUnavailable, Retry::later,
                  "too many calls wait for a database or a job; ask again later");
    }
    // First, so that a call is refused or runs, and never both.
    if (!ending_ && threads_.size() < size_) addThread();
    waiting_.push_back(std::move(call));
  }
  wake_.notify_one();
}

void BlockingPool::addThread() {
  try {
    threads_.emplace_back([this] { work(); });
  } catch (const std::system_error&) {
    if (threads_.empty()) throw Error(ErrorCode::storeUnavailable, Retry::later, "no thread could be started");
  }
}

void BlockingPool::work() {
  while (true) {
    std::function<void()> call;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      call = std::move(waiting_.front());
      waiting_.pop_front();
    }
    // Also destroyed outside the lock: it may own what asks for another call when it goes.
    call();
  }
}

}  // namespace tidegate::server::detail
