/// A unit of work: what was applied to a sink since its last commit.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>

#include "engine/detail/piece.h"

namespace tidegate::detail {

/// Keeps its pieces, so that a failed flush loses nothing, up to a bound: past that only the source can bring them
/// again. @thread One at a time.
class UnitOfWork {
 public:
  /// A piece to be filled and then `keep`ed or `takeBack`en.
  Piece& add(BatchRef batch, std::chrono::microseconds now);
  /// The last piece counts.
  void keep();
  /// The last piece held nothing for the sink.
  void takeBack();
  /// Forgets the pieces, not that there were some.
  void release() noexcept;
  /// The unit is over.
  void clear() noexcept;

  bool empty() const noexcept { return !open_; }
  bool retained() const noexcept { return retained_; }
  std::size_t keptBytes() const noexcept { return keptBytes_; }
  std::uint64_t events() const noexcept { return events_; }
  std::size_t bytes() const noexcept { return bytes_; }
  std::chrono::microseconds openedAt() const noexcept { return openedAt_; }

  std::deque<Piece>& pieces() noexcept { return pieces_; }
  /// Pieces are numbered through while some become durable; null behind the last.
  Piece* numbered(std::size_t number) noexcept;
  std::size_t firstNumber() const noexcept { return firstNumber_; }
  /// The first piece is durable.
  void dropFirst() noexcept;
  /// Events of the first piece that are durable already; only while a poison change is singled out.
  std::size_t doneOfFirst = 0;

 private:
  std::deque<Piece> pieces_;
  std::size_t firstNumber_ = 0;
  bool open_ = false, retained_ = true;
  std::uint64_t events_ = 0;
  std::size_t bytes_ = 0, keptBytes_ = 0;
  std::chrono::microseconds openedAt_{0};
};

}  // namespace tidegate::detail
