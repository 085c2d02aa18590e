/// Octets as text: base64 (RFC 4648, sections 4 and 5) and hexadecimal digits. What reads takes only what is written
/// here, so that octets have one text: no white space, no bits set that mean nothing, small hexadecimal letters.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tidegate::detail {

/// With its padding.
std::string base64Of(std::string_view octets);
/// Appends what the text encodes. @return false where it is not base64 with its padding; `out` is as it was then.
bool appendFromBase64(std::string_view text, std::string& out);
std::optional<std::string> fromBase64(std::string_view text);

/// The alphabet of URLs, without padding.
std::string base64UrlOf(std::string_view octets);
std::optional<std::string> fromBase64Url(std::string_view text);

std::string hexOf(std::string_view octets);
/// Appends what the digits encode. @return false where they are no octets; `out` is as it was then.
bool appendFromHex(std::string_view text, std::string& out);
std::optional<std::string> fromHex(std::string_view text);

}  // namespace tidegate::detail
