/// Base64 (RFC 4648 section 4) for octets that are kept in texts.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tidegate::detail {

std::string base64(std::string_view octets);
/// @return nullopt for anything that `base64` does not write.
std::optional<std::string> fromBase64(std::string_view text);

}  // namespace tidegate::detail
