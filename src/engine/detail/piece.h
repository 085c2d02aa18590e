/// A batch made ready for a sink, kept until its unit of work is durable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/detail/shared_batch.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {

/// A change that could not be made ready: a map function failed.
struct RouteFault {
  std::uint32_t origin = 0;  ///< index in the source's batch
  std::uint32_t before = 0;  ///< index in the routed batch of the first event after it
  Error error;
};

class Piece {
 public:
  Piece() = default;
  explicit Piece(BatchRef source) : source_(std::move(source)) {}
  Piece(Piece&&) = default;
  Piece& operator=(Piece&&) = delete;
  ~Piece() { hide(); }

  /// What the sink shall apply.
  const ChangeBatch& events() const noexcept;
  std::size_t bytes() const noexcept { return source_ ? source_->bytes * (inPlace_ ? 1 : 2) : 0; }
  /// The source's index of a routed event.
  std::uint32_t originOf(std::size_t event) const noexcept {
    return inPlace_ ? static_cast<std::uint32_t>(event) : origins_[event];
  }
  const Position& positionOf(std::uint32_t origin) const { return source_->events[origin].position; }
  /// The source's event with its own shape.
  ChangeEvent original(std::uint32_t origin) const;

  /// Puts the targets' shapes into the events, which is how they are once routed.
  void show() noexcept;
  /// Puts the source's shapes back, while the events are at hand: later they are not in any cache.
  void hide() noexcept;

  std::vector<Shape> prepare{};  ///< targets to be made fit before the events
  std::vector<RouteFault> faults{};
  bool ofBaseline = false;  ///< its positions are no places that the stream has come to

 private:
  friend class Router;
  void exchangeShapes() noexcept;

  BatchRef source_{};
  bool inPlace_ = false;  ///< what is applied are the source's own events, with other shapes
  bool shown_ = false;
  BatchRef own_{};                        ///< else: copies
  std::vector<std::uint32_t> origins_{};  ///< beside the copies
};

}  // namespace tidegate::detail
