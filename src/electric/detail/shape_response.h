/// Answers of the Shape API and their fields.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "electric/detail/shape_request.h"
#include "tidegate/http/server.h"

namespace tidegate::electric::detail {

/// What an answer says of its shape.
struct ShapeAnswer {
  int status = 200;
  std::string handle{};
  std::string offset{};
  std::string schema{};  ///< empty: not said
  bool upToDate = false;
  bool noChanges = false;
  std::string body{};
};

/// Writes the fields that go with answers, as the options have it.
class ShapeFields {
 public:
  ShapeFields(const ShapeServerOptions& options, const Clock& clock);
  /// The whole answer; 304 without a body where the client has it already.
  http::Response answer(const ShapeRequest& request, ShapeAnswer answer) const;
  /// The fields of an event stream.
  http::Headers events(const ShapeRequest& request, const ShapeAnswer& answer) const;

 private:
  void cache(const ShapeRequest& request, int status, bool hasHandle, http::Headers& headers) const;
  http::Headers fields(const ShapeRequest& request, const ShapeAnswer& answer) const;
  std::string etag(const ShapeRequest& request, const ShapeAnswer& answer) const;

  const ShapeServerOptions& options_;
  const Clock& clock_;
};

/// Electric's `electric-cursor`: the end of the running interval in seconds since 2024-10-09; past a client's own, a
/// little later than that, so that no cache takes its next request for the last one.
std::uint64_t nextCursor(std::int64_t nowMicros, std::chrono::milliseconds interval, std::string_view previous);

/// {"message":"…","errors":{"where":["…"]}}; `field` may be empty.
http::Response shapeError(int status, std::string_view message, std::string_view field = {}, std::string_view why = {});

}  // namespace tidegate::electric::detail
