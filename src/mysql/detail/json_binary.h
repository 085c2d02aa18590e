/// MySQL's binary JSON, as text.
#pragma once

#include <string>
#include <string_view>

namespace tidegate::mysql::detail {

/// Appends the document as MySQL prints it: {"a": 1, "b": [true, null]}. No octets: null, as MySQL reads them.
/// @throws Error{parseError}
void jsonFromBinary(std::string_view octets, std::string& out);

}  // namespace tidegate::mysql::detail
