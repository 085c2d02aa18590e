/// Drops what a pipeline already has, after a stream began again at an earlier place.
#pragma once

#include <cstddef>

#include "tidegate/source/sync_source.h"

namespace tidegate::detail {

/// @thread One at a time.
class DropRule {
 public:
  /// Sources without order are never judged: their sinks take a change twice.
  explicit DropRule(const SyncSource& source)
      : source_(source),
        judges_(source.orderingGuarantee() != OrderingGuarantee::bestEffort),
        total_(source.orderingGuarantee() == OrderingGuarantee::total) {}

  /// A stream begins somewhere at or before `seen`.
  void streamBegins(Position seen) {
    seen_ = std::move(seen);
    open_ = !judges_ || seen_.empty();
  }
  /// The first of `events[from, to)` that is new. Costs nothing once the stream has passed `seen`, and one comparison
  /// for each batch before that.
  std::size_t firstNew(const ChangeBatch& events, std::size_t from, std::size_t to);
  /// Whether a later event of the same batch is old too: only where the order is not total.
  bool isOld(const ChangeEvent& event) const { return !open_ && atOrBefore(event.position, seen_); }
  bool passed() const noexcept { return open_; }
  bool judges() const noexcept { return judges_; }
  bool total() const noexcept { return total_; }

  /// Whether `a` is at or before `b`, as far as the source can tell.
  bool atOrBefore(const Position& a, const Position& b) const { return judges_ && source_.comparePositions(a, b) <= 0; }

 private:
  const SyncSource& source_;
  bool judges_, total_;
  Position seen_{};
  bool open_ = true;
};

}  // namespace tidegate::detail
