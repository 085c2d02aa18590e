/// What a source's calls share, from whichever thread they come.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "sqlite/detail/source_position.h"
#include "tidegate/sqlite/source.h"

namespace tidegate::sqlite::detail {

/// What the handler threw, on its way out past all that handles failures of the source's own.
struct SourceHandlerFailed {
  std::exception_ptr cause;
};

/// @throws Error{invalidConfig}
void checkSourceOptions(const SourceOptions& options);

struct SourceCore {
  explicit SourceCore(SourceOptions given);

  const SourceOptions options;
  SourceContext context;
  const Clock* clock;
  Scheduler* scheduler;
  SourceStateMachine state;
  std::atomic<bool> paused{false};

  // Of the thread that runs the source.
  std::set<std::string> asked;  ///< every table that this process ever asked for
  /// Where units of work that were told ended, by seq: a later stream of this process has the same ones. Bounded; of
  /// older ones and of other processes several may come as one.
  std::set<std::uint64_t> borders;
  std::uint32_t bordersToken = 0;

  // What `lag` says.
  std::atomic<std::uint32_t> token{0};  ///< of the change table; 0: not seen yet
  std::atomic<std::uint64_t> endSeq{0}, deliveredSeq{0}, trimmedSeq{0};
  std::atomic<std::uint64_t> rowOctets{0};  ///< of a change, in the mean
  std::atomic<std::int64_t> lastCommitMicros{0};

  void requireOpen() const;
  /// Goes to CONNECTED, from wherever.
  void connected(const std::string& reason);
  void warn(const std::string& message) const;
  void remember(const std::vector<std::string>& tables) { asked.insert(tables.begin(), tables.end()); }
  void addBorder(std::uint32_t ofToken, std::uint64_t seq);
  void dropBordersBefore(std::uint64_t seq);

  bool ack(const Position& position);
  Position acked() const;

  /// Waits while the source is paused. @return false: stopped.
  bool waitWhilePaused(SourceState back, const std::stop_token& stop);
  /// Offers the batch until it is taken, and clears it. @param between each time that the handler has no room.
  /// @return false: stopped; the batch was not taken.
  bool offer(ChangeBatch& batch, const ChangeHandler& handler, SourceState back, const std::stop_token& stop,
             const std::function<void()>& between);

 private:
  mutable std::mutex mutex_;
  Position acked_;  ///< guarded by mutex_
};

}  // namespace tidegate::sqlite::detail
