/// Change events as messages: which subject, which headers, which body (docs/formats.md, "Changes in NATS").
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nats/detail/fenced_log.h"
#include "tidegate/nats/sink.h"
#include "tidegate/source/change_event.h"

namespace tidegate::nats::detail {

inline constexpr const char* kOpHeader = "Tidegate-Op";
inline constexpr const char* kPositionHeader = "Tidegate-Position";
inline constexpr const char* kHlcHeader = "Tidegate-Hlc";
inline constexpr const char* kPartHeader = "Tidegate-Part";

/// Shapes by the text that names them in messages.
/// @thread One at a time.
class ShapeNames {
 public:
  /// The shape's name: 16 hexadecimal digits of the SHA-256 of `shapeJson`.
  const std::string& nameOf(const Shape& shape);

 private:
  std::map<const TableShape*, std::pair<Shape, std::string>> names_;  ///< shapes are kept, so that no address is reused
};

/// A shape's one JSON text, and back. @throws Error{parseError}
std::string shapeJson(const TableShape& shape);
Shape shapeFromJson(std::string_view json);

/// Finds shapes by name. @throws Error{parseError} where there is none of that name.
using ShapeOf = std::function<Shape(std::string_view name)>;

/// The op's text in headers; what it is not is nullopt.
std::optional<ChangeOp> opFromText(std::string_view text) noexcept;

/// The body of an event. Of schemaChange: `beforeName` is the name of the shape before, empty where there was none.
void appendEventBody(const ChangeEvent& event, Body form, std::string_view beforeName, std::string& out);

/// What a message's headers say of its event.
struct EventHeaders {
  std::string_view op{}, hlc{}, shape{}, transaction{};
};
/// Takes shape and transaction out of a message's mark: "<mark> <shape> <transaction>". Each header costs a writer as
/// much as a short body does, so these have none of their own.
void takeMark(std::string_view mark, EventHeaders& headers) noexcept;
/// "<transaction id>", then 'b' where the transaction begins with this event and 'e' where it ends with it.
std::string transactionText(const ChangeEvent& event);
/// The stamp of a commit time: its milliseconds, and as counter the microseconds within. 0 for times before 1970.
std::uint64_t hlcOf(std::int64_t commitMicros) noexcept;
/// The other way round; counters over 999 are passed over.
std::int64_t microsOf(std::uint64_t hlc) noexcept;

/// Reads an event; it has no position yet. @throws Error{parseError}
ChangeEvent eventFrom(const EventHeaders& headers, std::string_view body, const ShapeOf& shapeOf);

}  // namespace tidegate::nats::detail
