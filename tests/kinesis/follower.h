/// A source that a test follows, and places to begin at.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tidegate/core/error.h"
#include "tidegate/kinesis/source.h"

namespace tidegate::kinesis::testing {

/// Follows a source on a thread of its own, and keeps the ids of what came.
class Follower {
 public:
  Follower(SourceOptions options, Position from) : source_(source(std::move(options))) {
    SourceContext context;
    context.jitterSeed = 1;
    context.onWarning = [this](const std::string& warning) {
      const std::lock_guard lock(mutex_);
      warnings_.push_back(warning);
      changed_.notify_all();
    };
    source_->init(context);
    thread_ = std::jthread([this, from](const std::stop_token& stop) {
      std::optional<Error> failure;
      try {
        source_->stream(
            {"t"}, from, [this](ChangeBatch& batch) { return take(batch); }, stop);
      } catch (const Error& e) {
        failure = e;
      }
      const std::lock_guard lock(mutex_);
      failure_ = failure;
      ended_ = true;
      changed_.notify_all();
    });
  }
  ~Follower() { stop(); }
  void stop() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
  }
  template <class Holds>
  bool await(Holds&& holds) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return holds(); });
  }
  bool awaitIds(std::size_t count) {
    return await([&] { return ids.size() >= count; });
  }
  Error awaitFailure() {
    if (!await([&] { return ended_; }) || !failure_) return Error(ErrorCode::internal, Retry::never, "it did not fail");
    return *failure_;
  }
  std::string lastPosition() {
    const std::lock_guard lock(mutex_);
    return positions.empty() ? "" : positions.back().octets;
  }
  bool warned(const std::string& of) {
    return await([&] {
      return std::any_of(warnings_.begin(), warnings_.end(),
                         [&](const std::string& w) { return w.find(of) != std::string::npos; });
    });
  }
  SyncSource& of() { return *source_; }

  std::vector<std::int64_t> ids;  ///< guarded by the lock of `await`, as `positions`
  std::vector<Position> positions;
  std::atomic<bool> full{false};          ///< takes nothing while it is set
  std::atomic<std::uint64_t> refused{0};  ///< how often it did not

 private:
  Taken take(ChangeBatch& batch) {
    if (full) {
      ++refused;
      return Taken::full;
    }
    const std::lock_guard lock(mutex_);
    for (const ChangeEvent& event : batch) {
      if (event.op == ChangeOp::insert) ids.push_back(event.after[0].as<std::int64_t>());
      positions.push_back(event.position);
    }
    changed_.notify_all();
    return Taken::yes;
  }

  std::shared_ptr<SyncSource> source_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> warnings_;
  std::optional<Error> failure_;
  bool ended_ = false;
  std::jthread thread_;
};

inline Position from(const std::string& shards) { return {"k1|" + shards + "|"}; }
inline std::string begun(const std::string& shard) {
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(systemClock().wallNow()).count();
  return fmt::format("{}=t@{}", shard, millis);
}
inline std::string afterRecord(const std::string& shard, const std::string& sequence, std::chrono::hours ago = {}) {
  const auto at = std::chrono::duration_cast<std::chrono::milliseconds>(systemClock().wallNow() - ago).count();
  return fmt::format("{}={}@{}", shard, sequence, at);
}

}  // namespace tidegate::kinesis::testing
