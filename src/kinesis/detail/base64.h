/// RFC 4648, section 4.
#pragma once

#include <string>
#include <string_view>

namespace tidegate::kinesis::detail {

/// Appends what the text encodes. @return false where it is not base64 with its padding; `out` is as it was then.
bool appendBase64Decoded(std::string_view text, std::string& out);
std::string base64Of(std::string_view octets);

}  // namespace tidegate::kinesis::detail
