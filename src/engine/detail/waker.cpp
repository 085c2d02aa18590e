#include "engine/detail/waker.h"

namespace tidegate::detail {

void Waker::wake() {
  std::optional<std::stop_source> sleep;
  {
    const std::lock_guard lock(mutex_);
    if (woken_) return;
    woken_ = true;
    sleep = sleep_;
  }
  if (sleep)
    sleep->request_stop();
  else
    changed_.notify_one();
}

void Waker::wait(std::optional<std::chrono::microseconds> atMost) {
  std::unique_lock lock(mutex_);
  if (!woken_ && !atMost) changed_.wait(lock, [this] { return woken_; });
  if (!woken_ && atMost->count() > 0) {
    sleep_.emplace();
    const std::stop_token woken = sleep_->get_token();
    lock.unlock();
    scheduler_.waitFor(*atMost, woken);
    lock.lock();
    sleep_.reset();
  }
  woken_ = false;
}

}  // namespace tidegate::detail
