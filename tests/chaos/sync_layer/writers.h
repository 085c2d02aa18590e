/// Who writes on both sides of the sync layer: a program on the database, and a client of the stream.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

namespace tidegate::chaos {

/// Items with a version that each update raises by one: so a change that is lost or doubled shows by key.
void prepareItems();

class SyncWriters {
 public:
  SyncWriters(std::string streamUrl, std::uint64_t seed) : streamUrl_(std::move(streamUrl)), seed_(seed) {}
  void start();
  /// Ends both, once what they had begun is known to be done.
  void stop();
  std::uint64_t commits() const { return commits_; }
  std::uint64_t posts() const { return posts_; }

 private:
  void writeItems(const std::stop_token& stop);
  void postEvents(const std::stop_token& stop);

  std::string streamUrl_;
  std::uint64_t seed_;
  std::atomic<std::uint64_t> commits_{0}, posts_{0};
  std::jthread items_, events_;
};

}  // namespace tidegate::chaos
