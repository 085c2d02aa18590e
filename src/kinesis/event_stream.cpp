#include "kinesis/detail/event_stream.h"

#include <fmt/format.h>
#include <simdjson.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <set>

#include "tidegate/core/error.h"

namespace tidegate::kinesis::detail {
namespace {

constexpr std::size_t kPreludeOctets = 12;
constexpr std::size_t kEmptyMessageOctets = 16;
constexpr std::size_t kMaxHeaderValueOctets = 32'767;
/// What is given is moved out of the way once it is that much.
constexpr std::size_t kShiftOctets = 64u << 10;

enum HeaderType : std::uint8_t { kTrue, kFalse, kInt8, kInt16, kInt32, kInt64, kOctets, kText, kTimestamp, kUuid };

[[noreturn]] void refuseEvents(std::string_view why) {
  throw Error(ErrorCode::parseError, Retry::later, fmt::format("the event stream is damaged: {}", why));
}

std::uint32_t numberAt(std::string_view octets, std::size_t at, std::size_t width) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < width; ++i) number = number << 8 | static_cast<unsigned char>(octets[at + i]);
  return number;
}

std::uint32_t checksumOf(std::string_view octets) {
  // A message is shorter than what zlib counts in.
  return static_cast<std::uint32_t>(
      ::crc32(0, reinterpret_cast<const Bytef*>(octets.data()), static_cast<uInt>(octets.size())));
}

/// Reads headers one octet group after the other, never past their end.
class HeaderReader {
 public:
  explicit HeaderReader(std::string_view octets) : left_(octets) {}
  bool atEnd() const { return left_.empty(); }
  std::string_view take(std::size_t count) {
    if (count > left_.size()) refuseEvents("a header is cut short");
    const std::string_view taken = left_.substr(0, count);
    left_.remove_prefix(count);
    return taken;
  }
  std::uint32_t number(std::size_t width) { return numberAt(take(width), 0, width); }

 private:
  std::string_view left_;
};

std::string_view valueOf(HeaderReader& reader, std::uint32_t type) {
  static constexpr std::array<std::size_t, 10> kWidths{0, 0, 1, 2, 4, 8, 0, 0, 8, 16};
  if (type > kUuid) refuseEvents(fmt::format("a header has the unknown type {}", type));
  if (type != kOctets && type != kText) return reader.take(kWidths[type]);
  const std::size_t length = reader.number(2);
  if (length > kMaxHeaderValueOctets) refuseEvents("a header's value is too long");
  return reader.take(length);
}

bool isUtf8(std::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

void readHeaders(std::string_view octets, EventMessage& message) {
  HeaderReader reader(octets);
  std::set<std::string_view> names;
  while (!reader.atEnd()) {
    const std::string_view name = reader.take(reader.number(1));
    if (name.empty() || !isUtf8(name)) refuseEvents("a header's name is no text");
    if (!names.insert(name).second) refuseEvents("a header is there twice");
    const std::uint32_t type = reader.number(1);
    const std::string_view value = valueOf(reader, type);
    if (type != kText) continue;
    if (!isUtf8(value)) refuseEvents("a header's value is no text");
    message.headers.emplace_back(name, value);
  }
}

/// The message's whole length, once its prelude is there and right.
std::size_t lengthIn(std::string_view octets) {
  if (numberAt(octets, 8, 4) != checksumOf(octets.substr(0, 8))) refuseEvents("the checksum of a prelude is wrong");
  const std::size_t total = numberAt(octets, 0, 4), headers = numberAt(octets, 4, 4);
  if (total < kEmptyMessageOctets || total > kMaxEventOctets) {
    refuseEvents(fmt::format("a message of {} octets", total));
  }
  if (headers > kMaxEventHeaderOctets || headers > total - kEmptyMessageOctets) {
    refuseEvents(fmt::format("headers of {} octets in a message of {}", headers, total));
  }
  return total;
}

}  // namespace

std::string_view EventMessage::header(std::string_view name) const {
  const auto found = std::find_if(headers.begin(), headers.end(), [&](const auto& h) { return h.first == name; });
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

void EventStreamDecoder::push(std::string_view octets) {
  if (at_ == octets_.size() || at_ >= kShiftOctets) {
    octets_.erase(0, at_);
    at_ = 0;
  }
  octets_.append(octets);
}

std::optional<EventMessage> EventStreamDecoder::next() {
  if (broken_) refuseEvents("nothing can be read after the damage");
  const std::string_view rest = std::string_view(octets_).substr(at_);
  if (rest.size() < kPreludeOctets) return std::nullopt;
  try {
    const std::size_t total = lengthIn(rest);
    if (rest.size() < total) return std::nullopt;
    const std::string_view whole = rest.substr(0, total);
    if (numberAt(whole, total - 4, 4) != checksumOf(whole.substr(0, total - 4))) {
      refuseEvents("the checksum of a message is wrong");
    }
    const std::size_t headers = numberAt(whole, 4, 4);
    EventMessage message;
    readHeaders(whole.substr(kPreludeOctets, headers), message);
    message.payload = whole.substr(kPreludeOctets + headers, total - kEmptyMessageOctets - headers);
    at_ += total;
    return message;
  } catch (const Error&) {
    broken_ = true;
    throw;
  }
}

}  // namespace tidegate::kinesis::detail
