/// Base64url without padding (RFC 7515, section 2), one text for each sequence of octets.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tidegate::server::detail {

/// @return nullopt for padding, other characters, a length that none has, and bits that would be thrown away.
std::optional<std::string> fromBase64Url(std::string_view text);

}  // namespace tidegate::server::detail
