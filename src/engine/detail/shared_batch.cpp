#include "engine/detail/shared_batch.h"

namespace tidegate::detail {

void BatchRef::reset() noexcept {
  SharedBatch* const batch = std::exchange(batch_, nullptr);
  if (batch != nullptr && batch->holders.fetch_sub(1, std::memory_order_acq_rel) == 1) batch->pool->give(batch);
}

BatchPool::~BatchPool() = default;

BatchRef BatchPool::take() {
  std::unique_ptr<SharedBatch> batch;
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      batch = std::move(free_.back());
      free_.pop_back();
      freeBytes_ -= batch->bytes;
    }
  }
  if (!batch) batch = std::make_unique<SharedBatch>();
  batch->pool = this;
  batch->bytes = 0;
  batch->holders.store(1, std::memory_order_relaxed);
  return BatchRef(batch.release());
}

void BatchPool::give(SharedBatch* batch) noexcept {
  std::unique_ptr<SharedBatch> owned(batch);
  owned->events.clear();
  const std::lock_guard lock(mutex_);
  if (free_.size() >= kMostKept || freeBytes_ + owned->bytes > kMostKeptBytes) return;
  if (free_.capacity() == 0) free_.reserve(kMostKept);
  freeBytes_ += owned->bytes;
  free_.push_back(std::move(owned));
}

}  // namespace tidegate::detail
