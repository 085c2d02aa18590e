/// Drives readers of shapes over HTTP until the stream is stopped or the baseline is whole.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "electric/detail/source_exchange.h"
#include "electric/detail/source_merge.h"
#include "electric/detail/source_reader.h"
#include "tidegate/http/client.h"
#include "tidegate/source/sync_source.h"

namespace tidegate::electric::reading {

/// What a reader's handler threw: never taken for a failure of the source.
struct ReaderFailed {
  std::exception_ptr cause;
};

/// How far a run lies behind, for whoever asks from another thread.
struct RunLag {
  bool known = false;
  bool waiting = false;  ///< something was not told yet, or is not known to have been
  std::uint64_t bytes = 0;
  Clock::Micros since{0};  ///< when all had been told, steady
};

/// What a run works with. All of it outlives the run.
struct RunParts {
  const SourceOptions& options;
  const Clock& clock;
  Scheduler& scheduler;
  http::Client& client;
  Epochs& epochs;
  std::function<void(const std::string&)> warn{};
  std::uint64_t seed = 0;
  const std::atomic<bool>* paused = nullptr;  ///< null: it cannot be paused
  SourceStateMachine* state = nullptr;        ///< null: nobody looks
  std::function<void(const RunLag&)> onLag{};
  std::function<void(const SourcePlaces& told)> onTold{};  ///< after each batch that was taken
};

struct RunTask {
  std::vector<const SourceShape*> shapes{};
  SourcePlaces from{};                  ///< with a place for each shape
  std::map<std::string, Shape> told{};  ///< the shapes that the handler knows
  std::set<std::string> mayRefetch{};   ///< shapes of whose places nobody has a later one
  bool baseline = false;                ///< ends when all shapes are up to date; reads one after the other
};

/// @thread The one that runs it.
class SourceRun {
 public:
  SourceRun(RunParts parts, RunTask task, const ChangeHandler& handler, std::stop_token stop);
  ~SourceRun();
  SourceRun(const SourceRun&) = delete;
  SourceRun& operator=(const SourceRun&) = delete;

  /// @return whether the baseline is whole; false: stopped. @throws ReaderFailed, or what ends the stream.
  bool run();
  const SourcePlaces& places() const noexcept { return merge_.places(); }
  std::map<std::string, Shape> shapes() const;

 private:
  friend class Exchange;
  bool offer();
  bool waitWhilePaused();
  bool baselineDone() const;
  void startRequests();
  void start(ShapeReader& reader, ReadRequest request);
  void endForgotten();
  void needReadable() const;
  void showState();
  void showLag();
  void wait();
  std::chrono::milliseconds pause() const;
  ShapeReader* activeReader() const;
  SourceState steadyState() const { return task_.baseline ? SourceState::connected : SourceState::streaming; }

  RunParts parts_;
  const RunTask task_;
  const ChangeHandler& handler_;
  const std::stop_token stop_;
  ShapeMerge merge_;
  std::vector<std::unique_ptr<ShapeReader>> readers_;
  std::list<std::shared_ptr<Exchange>> exchanges_;
  ChangeBatch batch_;
  Clock::Micros allTold_;
};

}  // namespace tidegate::electric::reading
