/// Reads a source on a thread of its own, as an engine would: keeps what came, and what was wrong with it.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "contract/source_rig.h"

namespace tidegate::contract {

/// @thread `handler` is for the source's thread; the rest for the test's.
class SourceReader {
 public:
  /// Asked before each batch is taken, under no lock; may say `full`, or throw.
  using Gate = std::function<Taken(const ChangeBatch& batch)>;

  SourceReader(SyncSource& source, SourceAbilities can) : source_(source), replica_(can) {}
  /// Goes on from what another reader had.
  SourceReader(SyncSource& source, SourceReplica replica) : source_(source), replica_(std::move(replica)) {}
  ~SourceReader() { stop(); }
  SourceReader(const SourceReader&) = delete;
  SourceReader& operator=(const SourceReader&) = delete;

  void setGate(Gate gate) {
    const std::lock_guard lock(mutex_);
    gate_ = std::move(gate);
  }
  /// Events not to apply, as an engine leaves out what a pipeline has. Set while no stream runs.
  void setSkip(std::function<bool(const ChangeEvent&)> skip) { skip_ = std::move(skip); }

  Position baseline(const std::vector<std::string>& tables, std::stop_token stop = {}) {
    return source_.baseline(tables, handler(), std::move(stop));
  }
  void start(const std::vector<std::string>& tables, const Position& from) {
    stop();
    stop_ = std::stop_source();
    failure_ = nullptr;
    ended_ = false;
    last_.reset();
    streaming_ = true;
    thread_ = std::thread([this, tables, from, token = stop_.get_token()] {
      std::exception_ptr failure;
      try {
        source_.stream(tables, from, handler(), token);
      } catch (...) {
        failure = std::current_exception();
      }
      const std::lock_guard lock(mutex_);
      failure_ = failure;
      ended_ = true;
      changed_.notify_all();
    });
  }
  /// Stops the stream and waits for its end.
  void stop() {
    stop_.request_stop();
    if (thread_.joinable()) thread_.join();
    streaming_ = false;
  }
  /// Waits until the stream ended by itself. @return false after the deadline.
  bool awaitEnd() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, sourceDeadline(), [&] { return ended_; });
  }
  /// What the stream threw; null if it only ended.
  std::exception_ptr failure() const {
    const std::lock_guard lock(mutex_);
    return failure_;
  }
  /// Waits until `holds`, which is asked under the lock after each batch. @return false after the deadline, or if the
  /// stream ended without.
  bool await(const std::function<bool()>& holds) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, sourceDeadline(), [&] { return holds() || ended_; });
    return holds();
  }
  bool awaitTables(const SourceTables& wanted) {
    return await([&] { return tablesEqual(wanted); });
  }
  /// Waits until the last baseline of each table was read to its end.
  bool awaitWhole(const std::vector<std::string>& tables) {
    return await([&] {
      return std::all_of(tables.begin(), tables.end(), [&](const std::string& t) { return replica_.isWhole(t); });
    });
  }
  bool awaitEvents(std::size_t count) {
    return await([&] { return events_.size() >= count; });
  }

  std::vector<ChangeEvent> events() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  /// The same without a copy: within `await`, or while no stream runs.
  const std::vector<ChangeEvent>& eventsHeld() const { return events_; }
  std::size_t count() const {
    const std::lock_guard lock(mutex_);
    return events_.size();
  }
  SourceReplica replica() const {
    const std::lock_guard lock(mutex_);
    return replica_;
  }
  /// What was wrong with the events, the order of positions included.
  std::vector<std::string> faults() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> all = replica_.faults();
    all.insert(all.end(), faults_.begin(), faults_.end());
    return all;
  }

  ChangeHandler handler() {
    return [this](ChangeBatch& batch) {
      if (const Gate gate = currentGate(); gate && gate(batch) == Taken::full) return Taken::full;
      const std::lock_guard lock(mutex_);
      for (const ChangeEvent& event : batch) take(event);
      changed_.notify_all();
      // Takes the memory, as an engine does: what the source does with the batch afterwards must not need it.
      ChangeBatch other;
      batch.swap(other);
      return Taken::yes;
    };
  }

 private:
  bool tablesEqual(const SourceTables& wanted) const {
    for (const auto& [name, rows] : wanted) {
      const auto at = replica_.tables().find(name);
      if (at == replica_.tables().end() ? !rows.empty() : at->second != rows) return false;
    }
    return true;
  }
  void take(const ChangeEvent& event) {
    if (event.position.empty()) fault("an event without a position: " + std::string(toString(event.op)));
    if (streaming_) {
      if (last_ && source_.comparePositions(*last_, event.position) != std::partial_ordering::less) {
        fault("position " + std::to_string(events_.size()) + " is not after the one before it");
      }
      last_ = event.position;
    }
    events_.push_back(event);
    if (!skip_ || !skip_(event)) replica_.apply(event);
  }
  void fault(std::string what) {
    if (faults_.size() < 5) faults_.push_back(std::move(what));
  }

  Gate currentGate() {
    const std::lock_guard lock(mutex_);
    return gate_;
  }

  SyncSource& source_;
  Gate gate_;
  std::function<bool(const ChangeEvent&)> skip_;
  std::stop_source stop_;
  std::thread thread_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // guarded by mutex_
  SourceReplica replica_;
  std::vector<ChangeEvent> events_;
  std::vector<std::string> faults_;
  std::optional<Position> last_;
  std::exception_ptr failure_;
  bool ended_ = false;
  bool streaming_ = false;  ///< set while no thread runs
};

}  // namespace tidegate::contract
