/// Batches that the pipelines of a source share without copying, and the free list that they come from.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "tidegate/source/change_event.h"

namespace tidegate::detail {

class BatchPool;

/// A batch as its source gave it. Whoever holds it alone may change it in place.
struct SharedBatch {
  ChangeBatch events{};
  std::size_t bytes = 0;
  /// The shapes that a pipeline last put in the slots' place. Kept beside them, because exchanging two pointers costs
  /// no atomic operation and the shapes' counters are shared with the source's thread.
  std::vector<Shape> shapes{};

 private:
  friend class BatchRef;
  friend class BatchPool;
  std::atomic<std::uint32_t> holders{0};
  BatchPool* pool = nullptr;
};

/// A counted reference. The last one gives the batch back to its pool.
/// @thread Distinct references from distinct threads.
class BatchRef {
 public:
  BatchRef() = default;
  BatchRef(const BatchRef& other) noexcept : batch_(other.batch_) {
    if (batch_ != nullptr) batch_->holders.fetch_add(1, std::memory_order_relaxed);
  }
  BatchRef(BatchRef&& other) noexcept : batch_(std::exchange(other.batch_, nullptr)) {}
  BatchRef& operator=(BatchRef other) noexcept {
    std::swap(batch_, other.batch_);
    return *this;
  }
  ~BatchRef() { reset(); }

  void reset() noexcept;
  explicit operator bool() const noexcept { return batch_ != nullptr; }
  SharedBatch& operator*() const noexcept { return *batch_; }
  SharedBatch* operator->() const noexcept { return batch_; }
  /// Whether nobody else holds it; then nobody else can come to hold it either.
  bool alone() const noexcept { return batch_->holders.load(std::memory_order_acquire) == 1; }

 private:
  friend class BatchPool;
  explicit BatchRef(SharedBatch* batch) noexcept : batch_(batch) {}
  SharedBatch* batch_ = nullptr;
};

/// Keeps a few used batches. Must outlive every reference.
/// @thread Any.
class BatchPool {
 public:
  ~BatchPool();
  /// An empty batch.
  BatchRef take();

 private:
  friend class BatchRef;
  void give(SharedBatch* batch) noexcept;

  static constexpr std::size_t kMostKept = 256;
  static constexpr std::size_t kMostKeptBytes = 16u << 20;  ///< of what they held last
  std::mutex mutex_;
  // guarded by mutex_
  std::vector<std::unique_ptr<SharedBatch>> free_;
  std::size_t freeBytes_ = 0;
};

}  // namespace tidegate::detail
