/// Turns what a poller pushes into events and hands them to whoever reads the source.
#pragma once

#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "source/detail/delta_shapes.h"
#include "source/detail/poll_context.h"
#include "source/detail/polling_place.h"
#include "tidegate/source/sync_source.h"

namespace tidegate::detail {

/// One reading: of a baseline, or of a stream.
/// @thread The driving thread.
class PollingFeed {
 public:
  struct Options {
    const ChangeHandler& handler;
    DeltaShapes& shapes;
    std::mutex& shapesMutex;
    PollingPlace& place;                          ///< of the last event made
    std::map<std::string, PollingPlace>& lastOf;  ///< the same by table
    std::size_t batchEvents = 1'000;
    bool baseline = false;
    std::int64_t micros = 0;                                ///< of the events, until `setMicros`
    std::function<bool()> mayDeliver;                       ///< waits while paused; false: stopped
    std::function<void()> readerFailed;                     ///< the handler threw: nothing more is to be read
    std::function<void(const std::string& table)> learned;  ///< before it is delivered
  };
  explicit PollingFeed(Options options) : options_(std::move(options)) {}

  void setMicros(std::int64_t micros) { options_.micros = micros; }
  /// For the next deltas, in their order.
  void image(SeenRow image) { images_.push_back(std::move(image)); }
  /// The key's kinds, seen in a row that is not pushed yet.
  void keyKinds(const std::vector<ValueKind>& kinds) { keyKinds_ = kinds; }
  /// Delivers a push. @throws Error{queryCancelled} if it was not delivered whole.
  PushResult push(const SyncPush& push);
  /// A row as it was read, for a baseline.
  void row(const std::string& table, const Columns& columns, std::vector<Value>& values);
  void border(ChangeOp op, const std::string& table);
  /// Delivers what is gathered. @throws Error{queryCancelled}
  void flush();
  /// What the handler threw, if it did.
  const std::exception_ptr& readerFailure() const noexcept { return readerFailure_; }

 private:
  ChangeEvent& begin(ChangeOp op, const std::string& table);
  /// Takes in columns, kinds and key kinds that the shape lacks, and says so.
  void learn(const RowDelta& delta);
  void fromDelta(const RowDelta& delta);
  void fromImage(const RowDelta& delta, SeenRow image);

  Options options_;
  ChangeBatch batch_;
  std::deque<SeenRow> images_;
  std::vector<ValueKind> keyKinds_;  ///< empty: nothing new
  std::exception_ptr readerFailure_;
};

}  // namespace tidegate::detail
