#include "engine/detail/unit.h"

namespace tidegate::detail {

Piece& UnitOfWork::add(BatchRef batch, std::chrono::microseconds now) {
  if (!open_) openedAt_ = now;
  return pieces_.emplace_back(std::move(batch));
}

void UnitOfWork::keep() {
  open_ = true;
  const Piece& piece = pieces_.back();
  events_ += piece.events().size();
  bytes_ += piece.bytes();
  keptBytes_ += piece.bytes();
}

Piece* UnitOfWork::numbered(std::size_t number) noexcept {
  const std::size_t at = number - firstNumber_;
  return at < pieces_.size() ? &pieces_[at] : nullptr;
}

void UnitOfWork::dropFirst() noexcept {
  keptBytes_ -= pieces_.front().bytes();
  pieces_.pop_front();
  ++firstNumber_;
}

void UnitOfWork::takeBack() { pieces_.pop_back(); }

void UnitOfWork::release() noexcept {
  pieces_.clear();
  keptBytes_ = firstNumber_ = 0;
  doneOfFirst = 0;
  retained_ = !open_;
}

void UnitOfWork::clear() noexcept {
  open_ = false;
  release();
  events_ = 0;
  bytes_ = 0;
}

}  // namespace tidegate::detail
