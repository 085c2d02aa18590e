/// A request for a shape, read and checked.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "electric/detail/shape_definition.h"
#include "electric/detail/shape_hub.h"
#include "electric/detail/shape_offset.h"
#include "tidegate/electric/shape_server.h"

namespace tidegate::electric::detail {

/// What is wrong with a request: a parameter, and why. Answered with 400.
struct BadParameter {
  std::string name;
  std::string why;
};

struct ShapeRequest {
  enum class From : std::uint8_t { beginning, now, offset };

  ShapeQuery query{};
  From from = From::beginning;
  ShapeOffset offset{};
  std::string offsetText{};  ///< as sent
  bool events = false;       ///< live, as server-sent events
  bool changesOnly = false;
  bool full = false;
  std::string cursor{};
  std::string expiredHandle{};  ///< one that the client must not get again
  std::string ifNoneMatch{};
};

/// @throws BadParameter
ShapeRequest readShapeRequest(const http::Request& request);
/// The table that a request names, among those of a hub; null where there is none. @throws BadParameter
Shape findShapeTable(const ShapeHub& hub, const std::string& name);
/// @throws BadParameter; Error{permissionDenied} for columns that were not granted.
ShapeDefinition defineShape(const Shape& table, const ShapeRequest& request, const ShapeGrant& grant,
                            const WhereLimits& limits);

}  // namespace tidegate::electric::detail
