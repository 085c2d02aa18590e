/// What a change feed keeps, shared with its observers, sinks and listeners.
#pragma once

#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/server/change_feed.h"

namespace tidegate::server {

/// @thread Any.
struct ChangeFeed::Impl {
  explicit Impl(const ChangeFeedOptions& given);

  void event(std::string_view where, std::string_view what, std::string_view text);
  /// Numbers them, and stamps them with the time.
  /// @param more of the same commit that are not among them.
  void changes(std::deque<FeedEntry>&& entries, std::uint64_t more);
  std::vector<FeedEntry> since(std::uint64_t after) const;

  const ChangeFeedOptions options;
  const Clock& clock;
  mutable std::mutex mutex;
  std::uint64_t lastId = 0;          ///< guarded by mutex
  std::deque<FeedEntry> changeRing;  ///< guarded by mutex
  std::deque<FeedEntry> eventRing;   ///< guarded by mutex
  std::size_t listeners = 0;         ///< guarded by mutex
};

namespace detail {
/// An engine's observer, a jobs' one and a sink that write into a feed.
std::shared_ptr<EngineObserver> feedEngineObserver(std::shared_ptr<ChangeFeed::Impl> feed, std::string engine);
std::shared_ptr<JobObserver> feedJobObserver(std::shared_ptr<ChangeFeed::Impl> feed, std::shared_ptr<JobObserver> next);
std::shared_ptr<Sink> feedSink(std::shared_ptr<ChangeFeed::Impl> feed, std::shared_ptr<Sink> sink);
}  // namespace detail

}  // namespace tidegate::server
