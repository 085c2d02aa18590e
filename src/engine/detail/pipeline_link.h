/// Where a pipeline's thread, its source's thread and the host meet.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/detail/event_queue.h"
#include "engine/detail/waker.h"
#include "tidegate/core/error.h"
#include "tidegate/engine/status.h"
#include "tidegate/source/sync_source.h"

namespace tidegate::detail {

/// How far a pipeline is, as it last told.
struct PipelineProgress {
  Position durable{};               ///< of its checkpoint; empty: none
  std::vector<Position> froms{};    ///< of baselines that the checkpoint has not passed yet
  std::set<std::string> missing{};  ///< tables that need a call of `baseline`
  bool whole = false;               ///< every table's baseline is durable
};

/// Something to be done on the pipeline's thread.
struct PipelineCommand {
  bool needsSink = false;  ///< waits until the sink works and no unit of work is open
  std::function<void()> run{};
};

/// @thread Any.
class PipelineLink {
 public:
  PipelineLink(std::size_t maxEvents, std::size_t maxBytes, Scheduler& scheduler)
      : queue(maxEvents, maxBytes), waker(scheduler) {}

  EventQueue queue;
  Waker waker;  ///< of the pipeline's thread

  // The pipeline's side.
  void publish(PipelineProgress progress);
  /// It can take part in the next stream or baseline.
  void offer();
  /// It cannot, and what is queued is thrown away.
  void leave();
  /// What a `baselineEnds` brought is durable. @param round the item's.
  void baselineArrived(const std::vector<std::string>& tables, std::uint64_t round);
  std::optional<PipelineCommand> nextCommand(bool sinkWorks);
  bool hasCommands() const;
  /// Forgets commands, and any that come from here on; those who wait for them are told by their promises.
  void end();

  // The source's side.
  /// Takes part from here on, if it offered to.
  bool join();
  bool joined() const;
  /// The tables to be read for it; `baselineBegins` is queued.
  std::vector<std::string> beginBaseline();
  /// The call returned; `baselineEnds` is queued.
  void endBaseline(const std::vector<std::string>& tables, const Position& from);
  /// A call failed: what it did not bring to its end is missing again.
  void abandonBaseline();
  /// Where the stream has to begin for it: all of them together.
  std::vector<Position> resumeFrom() const;

  // Anyone's.
  void post(PipelineCommand command);
  /// The tables shall be read anew, whatever the pipeline says of them.
  void force(const std::vector<std::string>& tables);
  bool whole() const;

 private:
  void forgetStarted();

  mutable std::mutex mutex_;
  // guarded by mutex_
  PipelineProgress progress_;
  bool offered_ = false, joined_ = false;
  std::map<std::string, std::uint64_t> started_;  ///< handed to the source, and not yet durable; with their round
  bool allStarted_ = false;                       ///< `started_` is every table: the old position says nothing any more
  std::map<std::uint64_t, Position> ends_;  ///< by round, what calls of `baseline` returned that is not yet durable
  std::uint64_t round_ = 0;                 ///< of the last call. The pipeline may still work on an older one
  std::set<std::string> forced_;            ///< to be read anew
  std::size_t tables_ = 0;
  std::deque<PipelineCommand> commands_;
  bool ended_ = false;  ///< nobody will run commands any more

 public:
  void tableCount(std::size_t tables);
};

}  // namespace tidegate::detail
