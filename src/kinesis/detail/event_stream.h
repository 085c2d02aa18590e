/// AWS's event stream (application/vnd.amazon.eventstream), after the "Event stream encoding" page that several of its
/// services share. A message, numbers most significant octet first:
///
///     total length 4 | headers' length 4 | CRC-32 of these 8 octets | headers | payload | CRC-32 of all before it
///
/// and a header: name's length 1 | name | type 1 | value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidegate::kinesis::detail {

/// The greatest message and headers that AWS's own library takes.
constexpr std::size_t kMaxEventOctets = 24u << 20;
constexpr std::size_t kMaxEventHeaderOctets = 128u << 10;

struct EventMessage {
  /// Those whose value is a text; the others are checked and left out, since nothing here asks for them.
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string payload{};

  /// A header's text, or "".
  std::string_view header(std::string_view name) const;
};

/// Takes octets as they come, gives messages. Both checksums are checked, lengths before anything is kept for them.
/// Memory is what was pushed and not given yet: nothing is allocated because a length says so.
class EventStreamDecoder {
 public:
  void push(std::string_view octets);
  /// The next whole message; none: more octets are needed. @throws Error{parseError, Retry::later} where the octets are
  /// no event stream, from then on each time.
  std::optional<EventMessage> next();
  /// Octets pushed and not given.
  std::size_t buffered() const noexcept { return octets_.size() - at_; }
  /// Whether an end here would cut a message in two.
  bool withinMessage() const noexcept { return buffered() > 0; }

 private:
  std::string octets_;
  std::size_t at_ = 0;
  bool broken_ = false;
};

}  // namespace tidegate::kinesis::detail
