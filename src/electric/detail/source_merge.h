/// Makes one stream of several shapes: transactions in the order of their commits, each between its borders, each event
/// with a position that says how far every shape was told.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "electric/detail/source_reader.h"
#include "tidegate/source/change_event.h"

namespace tidegate::electric::reading {

/// @thread The stream's.
class ShapeMerge {
 public:
  /// @param from  where the stream begins; it has a place for each shape that will be added.
  ShapeMerge(const SourceOptions& options, SourcePlaces from);

  /// All readers, in the order of their names, before anything else.
  void add(ShapeReader& reader);
  /// Appends what may be told by now, up to `most` events in the batch.
  void fill(ChangeBatch& out, std::size_t most, Clock::Micros now);
  /// How far every shape was told with the last event made.
  const SourcePlaces& places() const noexcept { return places_; }

  /// For whom the next transaction waits.
  const std::vector<ShapeReader*>& waitedFor() const noexcept { return waitedFor_; }
  /// When it waits no longer.
  std::optional<Clock::Micros> due() const;

  /// Of transactions received, and of the one that was told in part; -1: none. Readers hold on to them.
  const std::int64_t& newestLsn() const noexcept { return newest_; }
  const std::int64_t& openLsn() const noexcept { return open_; }
  /// Of the last transaction told.
  std::int64_t toldLsn() const noexcept { return told_; }

 private:
  struct Part {
    ShapeReader* reader;
    std::string encoded;  ///< its place, as it stands in a position
  };

  bool tellAlone(ChangeBatch& out, std::size_t most);
  Part* earliest();
  Part* readyAlone();
  bool isWhole(std::int64_t lsn, const Part& part);
  bool isWholeInAll(std::int64_t lsn);
  bool hasMore(std::int64_t lsn, const Part& part) const;
  bool tellNext(ChangeBatch& out, Clock::Micros now);
  void tell(Part& part, ChangeBatch& out, bool begins, bool ends);
  void waitFor(std::int64_t lsn, Clock::Micros now);

  const SourceOptions& options_;
  const bool byCommit_;
  SourcePlaces places_;
  std::vector<Part> parts_{};
  std::int64_t newest_ = -1;
  std::int64_t open_ = -1;
  std::int64_t told_ = -1;
  ShapeReader* openReader_ = nullptr;  ///< whose transaction is open, where each shape has its own
  std::vector<ShapeReader*> waitedFor_{};
  std::int64_t waitLsn_ = -1;
  Clock::Micros waitSince_{0};
};

}  // namespace tidegate::electric::reading
