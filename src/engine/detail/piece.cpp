#include "engine/detail/piece.h"

namespace tidegate::detail {

ChangeEvent Piece::original(std::uint32_t origin) const {
  ChangeEvent event = source_->events[origin];
  if (inPlace_) event.shape = source_->shapes[origin];
  return event;
}

void Piece::giveBack() noexcept {
  if (!source_ || !inPlace_) return;
  ChangeBatch& events = source_->events;
  for (std::size_t i = 0; i < events.size(); ++i) events[i].shape.swap(source_->shapes[i]);
  inPlace_ = false;
}

}  // namespace tidegate::detail
