#include "engine/detail/drop_rule.h"

namespace tidegate::detail {

std::size_t DropRule::firstNew(const ChangeBatch& events, std::size_t from, std::size_t to) {
  if (open_ || from == to) return from;
  if (atOrBefore(events[to - 1].position, seen_) && total_) return to;
  while (from < to && atOrBefore(events[from].position, seen_)) ++from;
  if (from == to) return to;
  // In a total order everything after the first new event is new. Else only what is after all that was seen says so.
  open_ = total_ || source_.comparePositions(events[from].position, seen_) > 0;
  return from;
}

}  // namespace tidegate::detail
