#include "engine/detail/piece.h"

namespace tidegate::detail {

const ChangeBatch& Piece::events() const noexcept {
  static const ChangeBatch kNotRouted;
  if (inPlace_) return source_->events;
  return own_ ? own_->events : kNotRouted;
}

ChangeEvent Piece::original(std::uint32_t origin) const {
  ChangeEvent event = source_->events[origin];
  if (shown_) event.shape = source_->shapes[origin];
  return event;
}

void Piece::show() noexcept {
  if (inPlace_ && !shown_) exchangeShapes();
}

void Piece::hide() noexcept {
  if (source_ && shown_) exchangeShapes();
}

void Piece::exchangeShapes() noexcept {
  ChangeBatch& events = source_->events;
  for (std::size_t i = 0; i < events.size(); ++i) events[i].shape.swap(source_->shapes[i]);
  shown_ = !shown_;
}

}  // namespace tidegate::detail
