#include "durable_streams/detail/base64_decode.h"

#include "core/detail/octet_text.h"

namespace tidegate::durable_streams::detail {

std::optional<std::string> decodeBase64Lines(std::string_view text) {
  if (text.find_first_of("\r\n") == text.npos) return tidegate::detail::fromBase64(text);
  std::string joined;
  joined.reserve(text.size());
  for (const char c : text) {
    if (c != '\r' && c != '\n') joined += c;
  }
  return tidegate::detail::fromBase64(joined);
}

}  // namespace tidegate::durable_streams::detail
