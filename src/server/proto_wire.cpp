#include "server/detail/proto_wire.h"

#include "tidegate/core/error.h"
#include "tidegate/core/value.h"

namespace tidegate::server::detail {
namespace {

constexpr std::size_t kLengthRoom = 5;  ///< octets kept free for a length of up to 32 bits

}  // namespace

void ProtoWriter::plain(std::uint64_t value) {
  while (value >= 0x80) {
    out_.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out_.push_back(static_cast<char>(value));
}

void ProtoWriter::varint(std::uint32_t field, std::uint64_t value) {
  tag(field, WireType::varint);
  plain(value);
}

void ProtoWriter::fixed64(std::uint32_t field, std::uint64_t value) {
  tag(field, WireType::fixed64);
  for (int i = 0; i < 8; ++i) out_.push_back(static_cast<char>(value >> (8 * i)));
}

void ProtoWriter::bytes(std::uint32_t field, std::string_view value) {
  tag(field, WireType::bytes);
  plain(value.size());
  out_.append(value);
}

std::size_t ProtoWriter::begin(std::uint32_t field) {
  tag(field, WireType::bytes);
  out_.append(kLengthRoom, '\0');
  return out_.size();
}

void ProtoWriter::end(std::size_t began) {
  // A length of full width, as the format allows: nothing that was written has to move.
  std::uint64_t length = out_.size() - began;
  for (std::size_t i = 0; i < kLengthRoom; ++i, length >>= 7) {
    const bool last = i + 1 == kLengthRoom;
    out_[began - kLengthRoom + i] = static_cast<char>((length & 0x7F) | (last ? 0 : 0x80));
  }
}

std::uint64_t ProtoReader::plain() {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 10; ++i) {
    if (i >= rest_.size()) fail("ends within a number");
    const auto octet = static_cast<std::uint8_t>(rest_[i]);
    value |= std::uint64_t{octet & 0x7Fu} << (7 * i);
    if (octet < 0x80) {
      rest_.remove_prefix(i + 1);
      return value;
    }
  }
  fail("holds a number of more than 64 bits");
}

bool ProtoReader::next() {
  if (rest_.empty()) return false;
  const std::uint64_t tag = plain();
  if (tag >> 3 == 0 || tag >> 3 > 0x1FFFFFFF) fail("holds a field without a number");
  field_ = static_cast<std::uint32_t>(tag >> 3);
  type_ = static_cast<WireType>(tag & 7);
  std::uint64_t length = 0;
  switch (type_) {
    case WireType::varint:
      number_ = plain();
      return true;
    case WireType::fixed64:
      length = 8;
      break;
    case WireType::fixed32:
      length = 4;
      break;
    case WireType::bytes:
      length = plain();
      break;
    default:
      fail("holds a field of an unknown type");
  }
  if (length > rest_.size()) fail("ends within a field");
  bytes_ = rest_.substr(0, static_cast<std::size_t>(length));
  rest_.remove_prefix(static_cast<std::size_t>(length));
  if (type_ == WireType::fixed64) {
    number_ = 0;
    for (std::size_t i = 8; i-- > 0;) number_ = number_ << 8 | static_cast<std::uint8_t>(bytes_[i]);
  }
  return true;
}

void ProtoReader::expect(WireType type) const {
  if (type_ != type) fail("holds a field of another type than the schema's");
}

std::uint64_t ProtoReader::varint() const {
  expect(WireType::varint);
  return number_;
}

std::uint64_t ProtoReader::fixed64() const {
  expect(WireType::fixed64);
  return number_;
}

std::string_view ProtoReader::bytes() const {
  expect(WireType::bytes);
  return bytes_;
}

std::string_view ProtoReader::text() const {
  const std::string_view text = bytes();
  if (!isUtf8(text)) fail("holds a string that is not UTF-8");
  return text;
}

void ProtoReader::fail(std::string_view what) const {
  throw Error(ErrorCode::parseError, Retry::never,
              std::string(message_) + " " + std::string(what) + " (field " + std::to_string(field_) +
                  "); send the frames of docs/sync-api.md");
}

}  // namespace tidegate::server::detail
