/// What is behind a ShapeFeed: the hub that readers see, and whoever fills it.
#pragma once

#include <utility>

#include "electric/detail/shape_hub.h"
#include "tidegate/electric/shape_feed.h"

namespace tidegate::electric {

struct ShapeFeed::Impl {
  explicit Impl(ShapeFeedOptions options) : hub(std::move(options)) {}
  virtual ~Impl() = default;
  /// Takes over what has come since the last time, where nobody brings it. For readers, before they look.
  virtual void refresh() {}

  detail::ShapeHub hub;
};

}  // namespace tidegate::electric
