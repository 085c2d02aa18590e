#include "postgres/detail/copy_decoder.h"

#include <fmt/format.h>

#include "postgres/detail/big_endian.h"
#include "tidegate/core/error.h"

namespace tidegate::postgres::detail {
namespace {

constexpr std::string_view kSignature{"PGCOPY\n\377\r\n\0", 11};
constexpr std::uint32_t kHasOids = 1u << 16;
constexpr std::int16_t kTrailer = -1;

}  // namespace

void CopyDecoder::refuse(const std::string& why) const {
  throw Error(ErrorCode::parseError, Retry::later, fmt::format("reading \"{}\" by COPY: {}", table_, why));
}

void CopyDecoder::readHeader(std::string_view& message) {
  constexpr std::size_t kFlags = 4, kExtensionLength = 4;
  if (!message.starts_with(kSignature) || message.size() < kSignature.size() + kFlags + kExtensionLength) {
    refuse("the stream does not begin as binary COPY does");
  }
  message.remove_prefix(kSignature.size());
  if ((bigEndian<std::uint32_t>(message.data()) & kHasOids) != 0) refuse("rows with OIDs are not read");
  const auto extension = bigEndian<std::uint32_t>(message.data() + kFlags);
  message.remove_prefix(kFlags + kExtensionLength);
  if (extension > message.size()) refuse("its header is longer than its first message");
  message.remove_prefix(extension);
  headerRead_ = true;
}

void CopyDecoder::decodeColumn(std::size_t i, std::string_view octets, Value& out) const {
  try {
    columns_[i].decode(octets, out);
  } catch (const Error& e) {
    refuse(fmt::format("column \"{}\": {}", columns_[i].name, e.message()));
  }
}

bool CopyDecoder::next(std::string_view& message, std::vector<Value>& values) {
  if (!headerRead_) readHeader(message);
  if (message.empty()) return false;
  if (trailerRead_) refuse("something follows its trailer");
  if (message.size() < 2) refuse("a row is cut off");
  const auto fields = static_cast<std::int16_t>(bigEndian<std::uint16_t>(message.data()));
  message.remove_prefix(2);
  if (fields == kTrailer) {
    trailerRead_ = true;
    if (!message.empty()) refuse("something follows its trailer");
    return false;
  }
  if (fields < 0 || static_cast<std::size_t>(fields) != columns_.size()) {
    refuse(fmt::format("a row has {} columns where {} were asked for", fields, columns_.size()));
  }
  values.resize(columns_.size());
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (message.size() < 4) refuse("a row is cut off");
    const auto length = static_cast<std::int32_t>(bigEndian<std::uint32_t>(message.data()));
    message.remove_prefix(4);
    if (length == -1) {
      values[i].variant() = Null{};
      continue;
    }
    if (length < 0 || static_cast<std::size_t>(length) > message.size()) {
      refuse(fmt::format("column \"{}\" has {} octets where {} are left", columns_[i].name, length, message.size()));
    }
    decodeColumn(i, message.substr(0, static_cast<std::size_t>(length)), values[i]);
    message.remove_prefix(static_cast<std::size_t>(length));
  }
  return true;
}

void CopyDecoder::finish() const {
  if (!trailerRead_) refuse("it ended without its trailer");
}

}  // namespace tidegate::postgres::detail
