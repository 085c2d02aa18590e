/// Base64 as event streams carry it (PROTOCOL.md, section 5.8).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tidegate::durable_streams::detail {

/// RFC 4648 section 4, strictly: the standard alphabet, whole groups of four, padding only at the end and its unused
/// bits zero. CR and LF, which cut it into lines, are left out first. nullopt where it is anything else.
std::optional<std::string> decodeBase64Lines(std::string_view text);

}  // namespace tidegate::durable_streams::detail
