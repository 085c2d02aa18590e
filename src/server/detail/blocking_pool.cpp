#include "server/detail/blocking_pool.h"

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
    waiting_.push_back(std::move(call));
    if (threads_.size() < size_) threads_.emplace_back([this] { work(); });
  }
  wake_.notify_one();
}

void BlockingPool::work() {
  for (std::unique_lock lock(mutex_);;) {
    wake_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    const std::function<void()> call = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    call();
    lock.lock();
  }
}

}  // namespace tidegate::server::detail
