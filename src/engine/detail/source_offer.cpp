/// How a source hands batches to its pipelines.
#include <algorithm>

#include "engine/detail/source_runner.h"

namespace tidegate::detail {
namespace {

/// Longer than this a source is not kept from answering keep-alives.
constexpr std::chrono::milliseconds kLongestWait{200};

}  // namespace

Taken SourceRunner::offer(ChangeBatch& batch, bool baseline) {
  if (batch.empty()) return Taken::yes;
  const std::size_t bytes = batch.bytes();
  if (paused_ || !roomForAll(batch.size(), bytes)) {
    if (!waitForRoom(batch.size(), bytes)) return Taken::full;
  }
  deliver(batch, bytes, baseline);
  return Taken::yes;
}

bool SourceRunner::waitForRoom(std::size_t events, std::size_t bytes) {
  const Micros until = parts_.clock.steadyNow() + kLongestWait;
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (call_.stop_requested()) return false;
    }
    if (!paused_ && roomForAll(events, bytes)) return true;
    const Micros now = parts_.clock.steadyNow();
    if (now >= until) return false;
    waitABit(until - now);
  }
}

void SourceRunner::waitABit(Micros atMost) {
  if (inline_.wait)
    inline_.wait(atMost);
  else
    waker_.wait(atMost);
}

bool SourceRunner::roomForAll(std::size_t events, std::size_t bytes) {
  return std::all_of(taking_.begin(), taking_.end(),
                     [&](PipelineRunner* pipeline) { return roomFor(*pipeline, events, bytes); });
}

bool SourceRunner::roomFor(PipelineRunner& pipeline, std::size_t events, std::size_t bytes) {
  EventQueue& queue = pipeline.link().queue;
  if (queue.hasRoom(events, bytes) || !queue.accepting()) return true;
  switch (pipeline.spec().overflow) {
    case OverflowPolicy::block:
      return false;
    case OverflowPolicy::dropOldest: {
      const std::size_t dropped = queue.dropOldest(events, bytes);
      if (dropped > 0) pipeline.countDropped(dropped);
      return queue.hasRoom(events, bytes);
    }
    case OverflowPolicy::error:
      queue.refuse();
      pipeline.fail(Error(ErrorCode::backPressure, Retry::never,
                          "the queue of pipeline \"" + pipeline.spec().name +
                              "\" is full and its overflow policy is error; raise maxQueuedEvents or maxQueuedBytes, "
                              "make its sink faster, then retryIsolated"));
      return true;
  }
  return true;
}

void SourceRunner::deliver(ChangeBatch& batch, std::size_t bytes, bool baseline) {
  BatchRef shared = pool_.take();
  shared->events.swap(batch);
  shared->bytes = bytes;
  const std::size_t events = shared->events.size();
  {
    const std::lock_guard lock(mutex_);
    status_.events += events;
    if (!baseline) received_ = shared->events.back().position;
  }
  if (!baseline) parts_.acks.received(shared->events.back().position);
  for (std::size_t i = 0; i < taking_.size(); ++i) {
    QueueItem item;
    item.last = events;
    item.bytes = bytes;
    item.baseline = baseline;
    if (i + 1 < taking_.size())
      item.batch = shared;
    else
      item.batch = std::move(shared);
    taking_[i]->link().queue.push(std::move(item));
  }
  const bool done = taking_.size() == 1 && !inline_.delivered && taking_.front()->workAtSource();
  if (!done) {
    for (PipelineRunner* pipeline : taking_) pipeline->link().waker.wake();
  }
  backoff_.succeeded();
  if (inline_.delivered) inline_.delivered();
  if (++batches_ >= inline_.batchesPerTurn) endTurn();
}

}  // namespace tidegate::detail
