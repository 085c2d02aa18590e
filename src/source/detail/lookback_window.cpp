#include "source/detail/lookback_window.h"

#include <algorithm>
#include <bit>

namespace tidegate::detail {
namespace {
constexpr std::size_t kSmallest = 64;
}

LookbackWindow::Entry* LookbackWindow::slotOf(std::uint64_t row) noexcept {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = static_cast<std::size_t>(row) & mask;
  while (slots_[at].number != 0 && slots_[at].row != row) at = (at + 1) & mask;
  return &slots_[at];
}

const Hash128* LookbackWindow::find(std::uint64_t row) const noexcept {
  if (live_ == 0) return nullptr;
  const Entry* e = const_cast<LookbackWindow*>(this)->slotOf(row);
  return e->number == 0 ? nullptr : &e->print;
}

bool LookbackWindow::put(std::uint64_t row, Hash128 print, std::uint64_t number) {
  if ((live_ + 1) * 4 > slots_.size() * 3) rebuild(std::max(kSmallest, slots_.size() * 2), 0, 0);
  Entry* e = slotOf(row);
  if (e->number == 0) ++live_;
  const bool changed = e->number == 0 || e->print != print;
  *e = {row, print, number};
  return changed;
}

bool LookbackWindow::outdate(std::uint64_t row) noexcept {
  if (live_ == 0) return false;
  Entry* e = slotOf(row);
  if (e->number == 0 || e->print == Hash128{}) return false;
  e->print = Hash128{};
  return true;
}

std::size_t LookbackWindow::drop(std::uint64_t from, std::uint64_t to) {
  if (live_ < nextDrop_) return 0;
  const std::size_t dropped = dropNow(from, to);
  nextDrop_ = std::max<std::size_t>(4'096, live_ * 2);
  return dropped;
}

std::size_t LookbackWindow::dropNow(std::uint64_t from, std::uint64_t to) {
  std::size_t dead = 0;
  forEach([&](const Entry& e) { dead += e.number >= from && e.number < to; });
  if (dead == 0) return 0;
  rebuild(std::max(kSmallest, std::bit_ceil((live_ - dead) * 4 / 3 + 1)), from, to);
  return dead;
}

void LookbackWindow::rebuild(std::size_t capacity, std::uint64_t from, std::uint64_t to) {
  std::vector<Entry> old(capacity);
  old.swap(slots_);
  live_ = 0;
  for (const Entry& e : old) {
    if (e.number == 0 || (e.number >= from && e.number < to)) continue;
    *slotOf(e.row) = e;
    ++live_;
  }
}

}  // namespace tidegate::detail
